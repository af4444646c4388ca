"""`fit` on VGG16 with one of Keras's callbacks, which saves at the end of every sixth epoch."""

import argparse
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers

from benchmarks._saving import EPOCHS, Turn


class Paced(keras.callbacks.Callback):  # type: ignore[misc]
    """Six epochs a turn; the last callback, so that what the other one saves is measured."""

    turn = Turn()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.turn.begin_epoch(epoch)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.turn.end_epoch(epoch)


def timed(saving: type[keras.callbacks.Callback]) -> type[keras.callbacks.Callback]:
    """The callback, telling how long it keeps `fit` waiting when it saves."""

    class Timed(saving):  # type: ignore[misc]
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            with Paced.turn.stopped():
                super().on_train_batch_end(batch, logs)

    return Timed


def build(classes: int, side: int) -> keras.Model:
    """The network of benchmarks/experiments/vgg16_all.yaml."""
    base = keras.applications.VGG16(include_top=False, weights=None, input_shape=(side, side, 3))
    x = layers.Dense(256, activation="relu")(layers.Flatten()(base.output))
    model = keras.Model(base.input, layers.Dense(classes, activation="softmax")(x))
    model.compile(optimizer=keras.optimizers.Adam(1e-5), loss="categorical_crossentropy", metrics=["accuracy"])
    return model


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("saving", choices=["BackupAndRestore", "ModelCheckpoint"])
    parser.add_argument("--data", type=Path, required=True, help="an .npz with x_train and y_train")
    parser.add_argument("--folder", type=Path, required=True, help="where to save")
    parser.add_argument("--batch-size", type=int, required=True)
    parser.add_argument("--epochs", type=int, required=True)
    given = parser.parse_args()
    keras.utils.set_random_seed(1)
    with np.load(given.data) as data:
        x, labels = data["x_train"].astype("float32"), data["y_train"]
    y = keras.utils.to_categorical(labels)
    every = EPOCHS * len(x) // given.batch_size  # steps
    if given.saving == "BackupAndRestore":
        saving = timed(keras.callbacks.BackupAndRestore)(str(given.folder / "backup"), save_freq=every)
    else:
        saving = timed(keras.callbacks.ModelCheckpoint)(str(given.folder / "model.keras"), save_freq=every)
    build(y.shape[1], x.shape[1]).fit(
        x, y, batch_size=given.batch_size, epochs=given.epochs, verbose=0, callbacks=[saving, Paced()]
    )
