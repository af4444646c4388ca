"""`runs`: a line for each run, with the columns that tell the runs apart."""

import csv
import importlib.util
import io
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from kerasrun.errors import MissingProgramError, UsageError
from kerasrun.experiment.units import amount, duration
from kerasrun.report import plain
from kerasrun.results.runs_condition import number_of, parse
from kerasrun.runs import listing
from kerasrun.runs.directory import in_natural_order
from kerasrun.runs.listing import RunSummary
from kerasrun.text.problems import closest, listed

_OWN = ("run", "status", "epochs", "started", "seconds", "bytes")
"""Columns that there are even where no run has a value."""
_LONGEST = 40
"""How many characters of a value a table shows."""
_MOST_COLUMNS = 30
"""How many columns a table has that nobody asked for."""
Values = Mapping[str, Any]
"""What is known of a run, by the names of columns."""


class Runs(list[RunSummary]):
    """Runs as records."""

    def to_pandas(self) -> Any:
        """Return a `DataFrame` with what is known of each run, as columns of `kerasrun runs`; numbers as numbers.

        Raises:
            MissingProgramError: if pandas is not installed.
        """
        if importlib.util.find_spec("pandas") is None:
            raise MissingProgramError("to_pandas needs pandas: pip install pandas")
        import pandas

        from kerasrun.text.yaml_text import read_scalar

        rows = [{**values(run), **{key: read_scalar(text) for key, text in run.overrides.items()}} for run in self]
        return pandas.DataFrame(rows)


def list_runs(output: str | Path = Path("runs")) -> Runs:
    """Every run in `output`, or in the folder of a group; one that cannot be read is listed as `damaged`."""
    return Runs(listing.list_runs(output))


def values(run: RunSummary, wanted: Collection[str] = ()) -> Values:
    """Return what is known of a run, without what is not.

    That are the metrics of its best epoch under their names in `metrics.csv`, those of the last evaluation on the test
    split as `test_…`, what `-s` changed by key paths, and values with names of their own.

    Args:
        wanted: has `bytes` if that is among them, which takes as long to find as all the rest.
    """
    known = {
        **run.overrides,
        **run.metrics,
        **({run.best_name: run.best_value} if run.best_name else {}),
        **{f"test_{name}": value for name, value in run.test.items()},
        **{"run": run.name, "status": run.status, "epochs": run.epochs_done, "epochs_asked": run.epochs},
        **{"best_epoch": run.best_epoch, "monitor": run.best_name, "experiment": run.experiment, "seed": run.seed},
        **{"started": run.started, "seconds": run.seconds},
        **({"bytes": run.bytes} if "bytes" in wanted else {}),
    }
    return {name: value for name, value in known.items() if value is not None}


def selected(
    runs: Sequence[RunSummary],
    where: str | None = None,
    sort: str | None = None,
    *,
    reverse: bool = False,
    columns: Sequence[str] = (),
) -> list[RunSummary]:
    """Return the runs of which a condition is true, in an order: by default the newest first.

    Args:
        where: `NAME OP VALUE`, several of them joined by `and`.
        sort: the column to sort by: numbers from the highest, text from A to Z; runs without a value come last.
        reverse: whether the order is the other way round.
        columns: what is to be shown of them.

    Raises:
        UsageError: if no run has one of the columns, or the condition is none.
    """
    conditions = [] if where is None else parse(where)
    names = [one.name for one in conditions] + ([] if sort is None else [sort])
    known = {run.name: values(run, names) for run in runs} if names or columns else {}
    _require((*names, *columns), known.values())
    kept = [run for run in runs if all(one.holds(known[run.name]) for one in conditions)]
    if sort is None:
        return sorted(kept, key=lambda run: run.started or "", reverse=not reverse)
    with_value = [run for run in kept if known[run.name].get(sort, math.nan) == known[run.name].get(sort)]
    without = {run.name for run in kept} - {run.name for run in with_value}

    def place(run: RunSummary) -> tuple[int, Any]:
        number = number_of(known[run.name][sort])
        return (1, in_natural_order(str(known[run.name][sort]))) if number is None else (0, -number)

    return sorted(with_value, key=place, reverse=reverse) + [run for run in kept if run.name in without]


def _require(columns: Iterable[str], known: Collection[Values]) -> None:
    """Check that runs have columns of these names; where there are no runs, any may be asked for.

    Raises:
        UsageError: naming the nearest one that they have.
    """
    names = dict.fromkeys((*_OWN, *(name for one in known for name in one)))
    for column in columns:
        if known and column not in names:
            near = closest(column, names)
            meant = f"did you mean '{near}'?" if near else f"there are {listed(sorted(names), 'and')}"
            raise UsageError(f"no run has the column '{column}'; {meant}")


def default_columns(runs: Sequence[RunSummary]) -> list[str]:
    """Return the columns that tell runs apart: what was monitored and tested, and what was changed if it differs.

    Of tests, the loss is left out where there are other measures.
    """
    monitored = [run.best_name for run in runs if run.best_name]
    tested = dict.fromkeys(name for run in runs for name in run.test)
    measures = [f"test_{name}" for name in tested if name != "loss" or len(tested) == 1]
    changed = dict.fromkeys(key for run in runs for key in run.overrides)
    different = [key for key in changed if len({run.overrides.get(key) for run in runs}) > 1]
    names = ("run", "status", "epochs", *monitored, *measures, "started", "seconds", "bytes", *different)
    return list(dict.fromkeys(names))[:_MOST_COLUMNS]


def to_text(runs: Sequence[RunSummary], columns: Sequence[str] = ()) -> str:
    """Return a table of some columns, by default those that tell the runs apart."""
    names = columns or default_columns(runs)
    header = [_short(name) for name in names]
    return plain.text_table(
        header, [[_text(name, one.get(name), one) for name in names] for one in (values(run, names) for run in runs)]
    )


def to_csv(runs: Sequence[RunSummary], columns: Sequence[str] = ()) -> str:
    """Return the same as CSV, with times in seconds and sizes in bytes."""
    names = columns or default_columns(runs)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([one.get(name) for name in names] for one in (values(run, names) for run in runs))
    return text.getvalue().rstrip("\n")


def to_json(runs: Sequence[RunSummary], columns: Sequence[str] = ()) -> str:
    """Return a list of objects, by default with everything that is known."""
    if columns:
        return plain.to_json(
            [{name: one.get(name) for name in columns} for one in (values(run, columns) for run in runs)]
        )
    return plain.to_json(
        [
            {
                "run": run.name,
                "status": run.status,
                "experiment": run.experiment,
                "seed": run.seed,
                "overrides": run.overrides,
                "epochs_done": run.epochs_done,
                "epochs": run.epochs,
                "best": {"monitor": run.best_name, "value": run.best_value, "epoch": run.best_epoch},
                "metrics": run.metrics,
                "test": run.test,
                "started": run.started,
                "seconds": run.seconds,
                "bytes": run.bytes,
                "problem": run.problem,
            }
            for run in runs
        ]
    )


def _text(column: str, value: Any, of_run: Values) -> str:
    """Return a value as a table shows it."""
    if value is None:
        return "-"
    match column:
        case "epochs":
            return f"{value}/{of_run.get('epochs_asked', '-')}"
        case "started":
            return f"{datetime.fromisoformat(value).astimezone():%Y-%m-%d %H:%M}"
        case "seconds":
            return duration(value)
        case "bytes":
            return amount(value)
    return f"{value:.4g}" if isinstance(value, float) else _short(str(value))


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
