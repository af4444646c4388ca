"""How many steps to fuse: as many as take about half a second, so that Ctrl-C and progress answer soon."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

TARGET_SECONDS = 0.5
LARGEST_GROWTH = 4


class ChunkSize:
    """Follows the measured time of a step; how steps are cut into chunks never changes a result."""

    def __init__(self, *, fixed: int | None = None) -> None:
        self.fixed = fixed
        """The only size, where callbacks want to hear of each step."""
        self._size = 1
        self._measured = False
        self.seconds_per_step: float | None = None
        """Of the last chunk; None before anything was measured: the first call, which traces, does not count."""
        self.measured_seconds = 0.0
        self.first_seconds = 0.0
        """Of the first call, tracing included."""

    def next(self, remaining: int) -> int:
        return min(self.fixed or self._size, remaining)

    def expected_seconds(self, remaining: int) -> float | None:
        """What the next chunk takes; None before anything was measured."""
        return None if self.seconds_per_step is None else self.next(remaining) * self.seconds_per_step

    @contextmanager
    def measured(self, steps: int) -> Iterator[None]:
        """Time a chunk of so many steps."""
        begin = time.perf_counter()
        yield
        seconds = time.perf_counter() - begin
        if not self._measured:
            self._measured = True
            self.first_seconds = seconds
            return
        self.measured_seconds += seconds
        self.seconds_per_step = seconds / steps
        wanted = round(steps * TARGET_SECONDS / max(seconds, 1e-6))
        self._size = max(1, min(wanted, steps * LARGEST_GROWTH))
