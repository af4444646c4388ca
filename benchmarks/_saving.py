"""What a checkpoint costs, measured in two ways over six epochs in a row, the third of which ends with one.

`stopped` is how long the thread that trains does nothing else: inside our save, inside Keras's callback. It is steady.
`lost` is everything, slower steps beside a writing thread included, as the difference of epochs; on a machine whose
epochs vary by a second, so does it.

The first two do not count: a process that waited for its turn finds its memory gone cold. The third holds what training
stops for, the fourth what is written in the background meanwhile; the last two are as epochs are without. So near each
other, they meet the machine in the same mood.
"""

import contextlib
import time
from collections.abc import Iterator

from benchmarks import _turn

EPOCHS = 6
"""In a turn."""
SETTLING = 2
"""Of these, before the one that saves."""
WARM_UP = EPOCHS - 1 - SETTLING
"""Epochs before the first turn, so that the one that saves is every sixth from the start."""


class Turn:
    """Waits before the first epoch of a turn, and after the last tells what its checkpoint cost."""

    def __init__(self) -> None:
        self._seconds: list[float] = []
        self._stopped = 0.0

    def begin_epoch(self, epoch: int) -> None:
        if epoch == 0 or self._place(epoch) == 0:
            _turn.wait()
            self._seconds, self._stopped = [], 0.0
        self._begin = time.perf_counter()

    def end_epoch(self, epoch: int) -> None:
        self._seconds.append(time.perf_counter() - self._begin)
        if epoch == WARM_UP - 1:
            _turn.report()
        elif self._place(epoch) == EPOCHS - 1:
            saving, writing, one, other = self._seconds[SETTLING:]
            _turn.report(stopped=self._stopped, lost=saving + writing - one - other, epoch=(one + other) / 2)

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        """Around what keeps the thread that trains from training, for the sake of a checkpoint."""
        begin = time.perf_counter()
        try:
            yield
        finally:
            self._stopped += time.perf_counter() - begin

    def writes_until_now(self, epoch: int) -> bool:
        """Whether what is written in the background must be done, so that the epochs to come are without."""
        return self._place(epoch) == SETTLING + 1

    def _place(self, epoch: int) -> int:
        return (epoch - WARM_UP) % EPOCHS
