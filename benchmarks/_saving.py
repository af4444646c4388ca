"""What a checkpoint costs, from the times of four epochs in a row, the first of which ends with one.

The first epoch holds what training stops for, the second what is written in the background meanwhile; the other two are
as epochs are without. So near each other, they meet the machine in the same mood.
"""

import time

from benchmarks import _turn

EPOCHS = 4
"""In a turn."""
WARM_UP = EPOCHS - 1
"""Epochs before the first turn, so that every fourth epoch from the start, which saves, begins a turn."""


class Turn:
    """Waits before the first epoch of a turn, and after the last tells what its checkpoint cost."""

    def begin_epoch(self, epoch: int) -> None:
        if epoch == 0 or self._place(epoch) == 0:
            _turn.wait()
            self._seconds: list[float] = []
        self._begin = time.perf_counter()

    def end_epoch(self, epoch: int) -> None:
        self._seconds.append(time.perf_counter() - self._begin)
        if self._place(epoch) == EPOCHS - 1:
            *saving, one, other = self._seconds
            _turn.report(lost=sum(saving) - one - other, epoch=(one + other) / 2)

    def writes_until_now(self, epoch: int) -> bool:
        """Whether what is written in the background must be done, so that the epochs to come are without."""
        return self._place(epoch) == 1

    def _place(self, epoch: int) -> int:
        return (epoch - WARM_UP) % EPOCHS
