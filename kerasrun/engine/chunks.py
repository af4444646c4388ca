"""How many steps to fuse: as many as take about half a second, so that Ctrl-C and progress answer soon."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

TARGET_SECONDS = 0.5
LARGEST_GROWTH = 4


class ChunkSize:
    """The number of steps in a chunk, by the measured time of a step; it never changes a result."""

    def __init__(self, *, fixed: int | None = None) -> None:
        self.fixed = fixed
        """The only size, where a callback needs each step."""
        self._size = 1
        self.seconds_per_step: float | None = None
        """The time of a step in the last chunk; None before the second call, since the first one traces."""
        self.measured_seconds = 0.0
        self.first_seconds = 0.0
        """The time of the first call, tracing included; 0 before it."""

    def next(self, remaining: int) -> int:
        return min(self.fixed or self._size, remaining)

    def expected_seconds(self, remaining: int) -> float | None:
        """Return how long the next chunk will take; None before anything was measured."""
        return None if self.seconds_per_step is None else self.next(remaining) * self.seconds_per_step

    @contextmanager
    def measured(self, steps: int) -> Iterator[None]:
        """Time a chunk of this many steps."""
        begin = time.perf_counter()
        yield
        seconds = time.perf_counter() - begin
        if not self.first_seconds:
            self.first_seconds = seconds
            return
        self.measured_seconds += seconds
        self.seconds_per_step = seconds / steps
        wanted = round(steps * TARGET_SECONDS / max(seconds, 1e-6))
        self._size = max(1, min(wanted, steps * LARGEST_GROWTH))
