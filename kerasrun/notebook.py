"""What a notebook shows: the epochs of a training as one table, a run with its results, its curves and its page."""

import functools
import importlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ParamSpec

from markupsafe import Markup

from kerasrun import reported
from kerasrun.experiment.units import duration
from kerasrun.report.scores import shown
from kerasrun.results.plots import plot_curves
from kerasrun.results.run_report import write_report
from kerasrun.runs import directory
from kerasrun.runs.directory import RunDirectory
from kerasrun.runs.listing import summary_of
from kerasrun.stderr import in_notebook, plain

Arguments = ParamSpec("Arguments")
_PAGE_HEIGHT = 700


@dataclass(frozen=True)
class Picture:
    """A picture that a notebook shows."""

    path: Path

    def _repr_png_(self) -> bytes:
        return self.path.read_bytes()


@dataclass(frozen=True)
class Page:
    """A page that a notebook shows, in a frame of its own, which keeps its style and its names to itself."""

    path: Path

    def _repr_html_(self) -> str:
        return Markup('<iframe sandbox srcdoc="{}" style="width: 100%; height: {}px; border: 0"></iframe>').format(
            self.path.read_text(encoding="utf-8"), _PAGE_HEIGHT
        )


class Run(RunDirectory):
    """A run directory, as `kerasrun.train`, `resume` and `open_run` return it."""

    def curves(self) -> Picture:
        """Draw every metric over the epochs: `plots/curves.png`.

        Raises:
            RunDirectoryError: if no epoch is done.
        """
        return Picture(plot_curves(self))

    def report(self, **options: Any) -> Page:
        """Write all about the run on one page; arguments as for `kerasrun.write_report`."""
        return Page(write_report(self, **options))

    def _repr_html_(self) -> str:
        return _table(["run", str(self)], list(_facts(self)))


def _facts(run: RunDirectory) -> Iterator[tuple[str, str]]:
    """Yield what is known of a run, in words."""
    summary = summary_of(run)
    yield "status", f"{summary.status}: {summary.problem}" if summary.problem else summary.status
    if summary.epochs_done is not None:
        yield "epochs", f"{summary.epochs_done} of {summary.epochs or '?'}"
    if summary.seconds is not None:
        yield "trained for", duration(summary.seconds)
    if summary.best_epoch is not None:
        yield "best epoch", f"{summary.best_epoch} by {summary.best_name}"
    yield from ((name, shown(value)) for name, value in summary.metrics.items())
    yield from ((f"test: {name}", shown(value)) for name, value in summary.test.items())


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return HTML in which every text is text."""

    def line(tag: str, cells: Sequence[str]) -> Markup:
        return Markup("<tr>{}</tr>").format(
            Markup("").join(Markup(f"<{tag} style='text-align: left'>{{}}</{tag}>").format(plain(one)) for one in cells)
        )

    return Markup("<table>{}{}</table>").format(line("th", header), Markup("").join(line("td", row) for row in rows))


class EpochTable:
    """The epochs of a training as a table that grows: a `watch` of `kerasrun.train`."""

    def __init__(self, display: Callable[..., Any], html: Callable[[str], Any]) -> None:
        """Take `display` and `HTML` of `IPython.display`."""
        self._display, self._html = display, html
        self._rows: list[Mapping[str, float]] = []
        self._place: Any = None  # below what is said before the first epoch

    def __call__(self, epoch: int, logs: Mapping[str, float]) -> None:
        self._rows.append({"epoch": epoch, **logs})
        names = list(dict.fromkeys(name for row in self._rows for name in row))
        rows = [[str(row["epoch"]), *(shown(row.get(name)) for name in names[1:])] for row in self._rows]
        shown_now = self._html(_table(names, rows))
        if self._place is None:
            self._place = self._display(shown_now, display_id=True)
        else:
            self._place.update(shown_now)


@contextmanager
def _epochs_in_a_table() -> Iterator[EpochTable | None]:
    """Give a table in place of the lines of epochs, where a notebook runs this program."""
    if not in_notebook():
        yield None
        return
    shows = importlib.import_module("IPython.display")
    handlers = list(logging.getLogger("kerasrun").handlers)
    for handler in handlers:
        handler.addFilter(_is_no_epoch)
    try:
        yield EpochTable(shows.display, shows.HTML)
    finally:
        for handler in handlers:
            handler.removeFilter(_is_no_epoch)


def _is_no_epoch(record: logging.LogRecord) -> bool:
    return not hasattr(record, "on_terminal")  # the mark of lines of progress


def _shown(call: Callable[Arguments, RunDirectory | None]) -> Callable[Arguments, Run | None]:
    @functools.wraps(call)
    def shown_call(*arguments: Arguments.args, **options: Arguments.kwargs) -> Run | None:
        with _epochs_in_a_table() as table:
            run = call(*arguments, **({"watch": table} | options if table else options))  # type: ignore[arg-type]
        return None if run is None else Run(run.root)

    return shown_call


train, resume = _shown(reported.train), _shown(reported.resume)


@functools.wraps(directory.open_run)
def open_run(path: str | Path) -> Run:
    return Run(directory.open_run(path).root)
