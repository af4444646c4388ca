"""`time_limit`: when to stop, so that what is at hand is saved before the time is over."""

import math
import time

from kerasrun.experiment.units import duration

UNCERTAINTY = 1.5
"""Work that is still to be done may take this many times as long as it did the last time."""
MARGIN_SECONDS = 1.0
"""Seconds for what is not measured: the last lines, and the end of the process."""


class Paused(Exception):  # noqa: N818  not an error: what was asked for
    """Training ended in time, after its state was saved; `train` and `resume` return the run then."""


class TimeLimit:
    """The limit of one process, counted from the beginning of its `train` or `resume`.

    Until the process has got further than the checkpoint that it began with, there is no limit: however short it is,
    resuming often enough comes to the end.
    """

    def __init__(self, seconds: float | None = None, begun: float = 0.0) -> None:
        """`begun` is of `time.monotonic`."""
        self.seconds = seconds
        self._end = math.inf if seconds is None else begun + seconds
        self._has_progressed = False

    def __str__(self) -> str:
        return "none" if self.seconds is None else duration(self.seconds)

    def progressed(self) -> None:
        """Note that a step was taken, or an epoch ended."""
        self._has_progressed = True

    def binds(self) -> bool:
        """Return whether training must look at the clock."""
        return self.seconds is not None and self._has_progressed

    def leaves(self, seconds: float) -> bool:
        """Return whether work that took this long the last time can be done in time."""
        return not self.binds() or time.monotonic() + UNCERTAINTY * seconds + MARGIN_SECONDS < self._end
