"""Show training on stderr: a live bar in a terminal, and a line for each epoch."""

import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from kerasrun.engine.chunks import ChunkSize
from kerasrun.experiment.schema import Fit
from kerasrun.experiment.units import duration

logger = logging.getLogger("kerasrun")

# The first steps are slower than the rest: memory is touched for the first time, the pipeline is not full.
SETTLED_SECONDS = 1.0
# Below this, an estimate would be read after the run has ended.
WORTH_ESTIMATING_SECONDS = 5


class TrainingProgress:
    """Shows every chunk and every epoch, and estimates early how long the run will take."""

    def __init__(self, fit: Fit, steps: int) -> None:
        self.fit = fit
        self.steps = steps
        self._estimated = False
        self._bar: Progress | None = None

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Show a live bar while entered, if stderr is a terminal and the bar is wanted."""
        console = Console(file=sys.stderr)
        # `--quiet` raises the level of what writes to stderr.
        is_quiet = any(handler.level > logging.INFO for handler in logger.handlers)
        if not console.is_terminal or is_quiet or self.fit.verbose not in ("auto", 1):
            yield
            return
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.fields[logs]}"),
        )
        with Progress(*columns, console=console, transient=True) as self._bar:
            yield
        self._bar = None

    def begin_epoch(self, epoch: int, step: int) -> None:
        """Show that an epoch begins, or goes on, at a step."""
        if self._bar:
            for task in self._bar.task_ids:
                self._bar.remove_task(task)
            description = f"epoch {epoch + 1}/{self.fit.epochs}"
            self._bar.add_task(description, total=self.steps, completed=step, rate="", logs="")

    def steps_done(self, epoch: int, step: int, chunks: ChunkSize, logs: Mapping[str, float]) -> None:
        """Show that a chunk is done; `step` counts within the epoch."""
        seconds_per_step = chunks.seconds_per_step
        if seconds_per_step is None:
            return
        rate = self.fit.batch_size / seconds_per_step
        if not self._estimated and chunks.measured_seconds >= SETTLED_SECONDS:
            self._estimated = True
            remaining = self.steps * (self.fit.epochs - epoch) - step
            if (seconds := remaining * seconds_per_step) > WORTH_ESTIMATING_SECONDS:
                self._say("about %s to go, at %s examples/s", duration(seconds), f"{rate:,.0f}")
        if self._bar:
            (task,) = self._bar.task_ids
            self._bar.update(task, completed=step, rate=f"{rate:,.0f} examples/s", logs=_line(logs))

    def wants_logs(self) -> bool:
        """Return whether the metrics of a chunk are shown at all; reading them costs time."""
        return self._bar is not None

    def validating(self, epoch: int) -> None:
        """Show that validation begins."""
        if self._bar:
            (task,) = self._bar.task_ids
            self._bar.update(task, description=f"epoch {epoch + 1}/{self.fit.epochs}, validating")

    def end_epoch(self, epoch: int, logs: Mapping[str, float], seconds: float, best: bool) -> None:
        """Show the logs of an epoch that is done."""
        mark = "  (best)" if best else ""
        self._say("epoch %d/%d: %s, in %s%s", epoch + 1, self.fit.epochs, _line(logs), duration(seconds), mark)

    def _say(self, message: str, *arguments: object) -> None:
        """Log a line; under `verbose: 0` it is for `log.txt` alone."""
        logger.info(message, *arguments, extra={"for_log_alone": self.fit.verbose == 0})


def _line(logs: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in logs.items())
