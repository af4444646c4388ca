"""Show training on stderr: a live line in a terminal, and a line for each epoch."""

import logging
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from kerasrun import stderr
from kerasrun.engine.chunks import ChunkSize
from kerasrun.experiment.schema import Fit
from kerasrun.experiment.units import duration
from kerasrun.training.time_left import TimeLeft

logger = logging.getLogger("kerasrun")

# The first steps are slower than the rest: memory is touched for the first time, the pipeline is not full.
SETTLED_SECONDS = 1.0
# Below this, an estimate would be read after the run has ended.
WORTH_ESTIMATING_SECONDS = 5
# An estimate is corrected in a new line if it was wrong by this share.
WORTH_CORRECTING = 0.25
NUMBER_WIDTH = 7
TIME_WIDTH = len("3 min 20 s")
BAR_WIDTH = (10, 24)


class TrainingProgress:
    """Shows every chunk and every epoch, and estimates early how long the run will take."""

    def __init__(self, fit: Fit, steps: int, columns: Sequence[str], chunks: ChunkSize) -> None:
        """
        Args:
            steps: the number of steps in an epoch.
            columns: the names that the logs of an epoch can have, in their order.
            chunks: what measures the steps.
        """
        self.fit = fit
        self.steps = steps
        self.columns = columns
        self.chunks = chunks
        self.time_left = TimeLeft(steps, chunks)
        self._expected_end: float | None = None
        """By the estimate that was said last."""
        self._console = Console(file=stderr.as_it_is())
        self._is_live = False
        self._epoch = 0
        self._done, self._total = 0, steps
        self._validates = False
        self._logs: Mapping[str, float] = {}

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Show a live line while entered, if stderr is a terminal and the line is wanted."""
        console = self._console
        # `--quiet` raises the level of what writes to stderr.
        is_quiet = any(handler.level > logging.INFO for handler in logger.handlers)
        if not console.is_terminal or console.is_jupyter or is_quiet or self.fit.verbose not in ("auto", 1):
            yield
            return
        live = Live(get_renderable=lambda: self._live_line(console.width), console=console, transient=True)
        with live:
            self._is_live = True
            yield
        self._is_live = False

    def begin_stage(self) -> None:
        """Begin a stage, whose epochs will not take what those before took."""
        self.time_left.begin_stage()

    def begin_epoch(self, epoch: int, step: int, last: int) -> None:
        """Show that an epoch begins, or goes on, at a step; training ends after the epoch with the number `last`."""
        self._epoch, self._done, self._total, self._validates, self._logs = epoch, step, self.steps, False, {}
        self.time_left.begin_epoch(step, last - epoch - 1, time.monotonic())
        if self._expected_end is not None:
            self._say_time_left()

    def steps_done(self, step: int, logs: Mapping[str, float]) -> None:
        """Show that a chunk is done; `step` counts within the epoch."""
        self._done, self._logs = step, logs
        self.time_left.steps_done(step, time.monotonic())
        if self._expected_end is None and self.chunks.measured_seconds >= SETTLED_SECONDS:
            self._say_time_left()

    def wants_logs(self) -> bool:
        """Return whether the metrics of a chunk are shown at all; reading them costs time."""
        return self._is_live

    def validating(self, examples: int) -> None:
        """Show that the validation of this many examples begins."""
        self._validates, self._done, self._total = True, 0, examples

    def validated(self, examples: int) -> None:
        """Show that so many more examples were validated."""
        self._done += examples

    def end_epoch(self, epoch: int, logs: Mapping[str, float], seconds: float, best: bool) -> None:
        """Show the logs of an epoch that is done; a terminal gets what fits into a line."""
        widths = (sys.maxsize, *([self._console.width] if self._console.is_terminal else []))
        whole, *fitting = (self._epoch_line(epoch, logs, seconds, best, width) for width in widths)
        self._say("%s", whole, on_terminal=next(iter(fitting), None))

    def _epoch_line(self, epoch: int, logs: Mapping[str, float], seconds: float, best: bool, width: int) -> str:
        """Return the values below those of the line before, whichever epochs validate."""
        head = f"{self._numbered(epoch)}: "
        time_taken = duration(seconds).rjust(NUMBER_WIDTH)
        names = _fitting(self.columns, width - len(head) - max(TIME_WIDTH, len(time_taken)) - len(" best"))
        values = (f"{name} {number(logs[name])} " if name in logs else " " * _width(name) for name in names)
        line = f"{head}{''.join(values)}{time_taken}{' best' * best}"
        return line[:width]

    def _numbered(self, epoch: int) -> str:
        return f"epoch {epoch + 1:>{len(str(self.fit.epochs))}}/{self.fit.epochs}"

    def _live_line(self, width: int) -> Table:
        """Return the line as far as it fits: metrics are left out first, the last ones before the others."""
        left, per_step = self.time_left.seconds(time.monotonic()), self.chunks.seconds_per_step
        always = [
            self._numbered(self._epoch) + " validating" * self._validates,
            f"{self._done}/{self._total}",
            *([] if left is None else [f"{duration(left)} left"]),
        ]
        maybe = [] if per_step is None else [f"{self.fit.batch_size / per_step:,.0f} examples/s"]
        maybe += [f"{name} {number(value)}" for name, value in self._logs.items()]
        room = width - sum(len(text) + 2 for text in always)
        while maybe and sum(len(text) + 2 for text in maybe) > room - BAR_WIDTH[0]:
            maybe.pop()
        bar_width = min(BAR_WIDTH[1], room - sum(len(text) + 2 for text in maybe))
        bar = [ProgressBar(self._total, self._done, width=bar_width)] if bar_width >= BAR_WIDTH[0] else []
        line = Table.grid(padding=(0, 2, 0, 0), pad_edge=False)
        for _ in range(len(always) + len(bar) + len(maybe)):
            line.add_column(no_wrap=True)
        head, *others = (Text(stderr.harmless(text)) for text in (*always, *maybe))
        line.add_row(head, *bar, *others)
        return line

    def _say_time_left(self) -> None:
        """Say how long training will go on, unless that was said, and is still about true."""
        now = time.monotonic()
        left, per_step = self.time_left.seconds(now), self.chunks.seconds_per_step
        if left is None or per_step is None:
            return
        before, self._expected_end = self._expected_end, self._expected_end or now
        if left <= WORTH_ESTIMATING_SECONDS or (before and abs(now + left - before) < left * WORTH_CORRECTING):
            return
        self._expected_end = now + left
        self._say("about %s to go, at %s examples/s", duration(left), f"{self.fit.batch_size / per_step:,.0f}")

    def _say(self, message: str, *arguments: object, on_terminal: str | None = None) -> None:
        """Log a line; under `verbose: 0` it is for `log.txt` alone."""
        extra = {"for_log_alone": self.fit.verbose == 0, "on_terminal": on_terminal}
        logger.info(message, *arguments, extra=extra)


def number(value: float) -> str:
    """Return a number in as many digits as fit into `NUMBER_WIDTH`, four of them or all before the point, padded."""
    forms = [f"{value:.0f}"] if abs(value) >= 1000 else []
    forms += [f"{value:.{digits}g}" for digits in (4, 3, 2, 1)]
    return next((form for form in forms if len(form) <= NUMBER_WIDTH), forms[-1]).ljust(NUMBER_WIDTH)


def _width(name: str) -> int:
    return len(name) + NUMBER_WIDTH + 2


def _fitting(names: Sequence[str], room: int) -> list[str]:
    """Return the names that fit, in their order: losses are the last to be left out, then values of validation."""
    kept: set[str] = set()
    for name in sorted(names, key=lambda name: (name not in ("loss", "val_loss"), not name.startswith("val_"))):
        if name != "learning_rate" and _width(name) <= room:
            kept.add(name)
            room -= _width(name)
    if "learning_rate" in names and _width("learning_rate") <= room:
        kept.add("learning_rate")
    return [name for name in names if name in kept]
