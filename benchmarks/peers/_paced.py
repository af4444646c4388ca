"""What makes a page of Keras wait for its turn, and tells how long an epoch took and what was logged."""

import time
from typing import Any

import keras

from benchmarks import _turn


class Paced(keras.callbacks.Callback):  # type: ignore[misc]
    """Epoch by epoch within one call of `fit`, which goes on where it stood without setting anything up again."""

    def __init__(self, images: int) -> None:
        super().__init__()
        self.images = images

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        _turn.wait()
        self.begin = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        _turn.report(seconds=time.perf_counter() - self.begin, images=self.images, **(logs or {}))
