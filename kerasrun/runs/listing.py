"""Which runs there are, and which one a command means."""

import functools
import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from kerasrun.errors import NotFiniteError, RunDirectoryError
from kerasrun.regular_files import read_bytes
from kerasrun.runs import atomic, checkpoints
from kerasrun.runs.directory import LATEST, RunDirectory, follow_latest, open_run, run_names, where_else
from kerasrun.runs.lock import owner
from kerasrun.runs.metrics import Cell, Table
from kerasrun.runs.records import RunRecord, Seconds, Status
from kerasrun.text import json_text

ListedStatus = Status | Literal["killed", "damaged"]


@dataclass(frozen=True)
class RunSummary:
    """A run as a line of a table."""

    run: RunDirectory
    status: ListedStatus
    """As in `run.json`; `killed` if that says `running` and nobody writes it, `damaged` if it cannot be read."""
    epochs_done: int | None = None
    epochs: int | None = None
    """How many were asked for."""
    best_name: str | None = None
    best_value: float | None = None
    best_epoch: int | None = None
    """Counted from one."""
    started: str | None = None
    """ISO 8601, UTC."""
    seconds: float | None = None
    """Of training, summed over the epochs."""
    experiment: str | None = None
    """The name of the experiment."""
    seed: int | None = None
    overrides: Mapping[str, str] = field(default_factory=dict)
    """What `-s` changed, by key path, as it was typed."""
    metrics: Mapping[str, Cell] = field(default_factory=dict)
    """The row of `metrics.csv` of the best epoch, else of the last one."""
    test: Mapping[str, Cell] = field(default_factory=dict)
    """Loss and metrics of the last evaluation on the test split; empty where there was none."""
    problem: str | None = None
    """Why it is `damaged`."""

    @property
    def name(self) -> str:
        return self.run.name

    @functools.cached_property
    def bytes(self) -> int | None:
        """The bytes of all files of the run, counted when it is asked for; None where they cannot be counted."""
        try:
            return atomic.size_of_folder(self.run.root)
        except RunDirectoryError:  # a folder that may not be read, or is nested too deeply
            return None


def find_run(argument: Path | None, output: Path) -> RunDirectory:
    """The run that the user means: a path, the name of a run in `output`, or nothing for the newest.

    Raises:
        RunDirectoryError: if there is none such; says what is there instead.
    """
    if argument is None:
        return _latest(output)
    is_bare_name = argument.name == str(argument) and not argument.exists()
    return open_run(output / argument if is_bare_name and run_names(output) else argument)


def is_run(argument: Path, output: Path) -> bool:
    """Return whether an argument names a run: its folder, or its name in `output`."""
    return RunDirectory(argument.absolute()).run_file.exists() or str(argument) in run_names(output)


def newest_unfinished(output: Path) -> RunDirectory:
    """The run that `resume` means without an argument: the one begun last that is not finished and that nobody writes.

    Where every run is finished it is the newest run, so that `resume` can say so and how to extend it.

    Raises:
        RunDirectoryError: if there is none.
    """
    waiting: dict[tuple[bool, str], RunDirectory] = {}
    for run in _runs(output):
        with suppress(RunDirectoryError):  # a run whose `run.json` is damaged has to be named, or to be the latest
            content = run.read_run()
            if _status(run, content) in ("killed", "interrupted", "failed", "paused") and checkpoints.any_saved(run):
                # One whose loss became NaN would do so again.
                goes_on = content.get("error") != NotFiniteError.__name__ or content["status"] != "failed"
                waiting[goes_on, content["started"]] = run
    return waiting[max(waiting)] if waiting else _latest(output)


def list_runs(output: str | Path = Path("runs")) -> list[RunSummary]:
    """Every run in `output` in the order of names and numbers; one that cannot be read is listed as `damaged`."""
    return [summary_of(run) for run in _runs(Path(output))]


def _runs(output: Path) -> list[RunDirectory]:
    return [RunDirectory((output / name).absolute()) for name in run_names(output)]


def _latest(output: Path) -> RunDirectory:
    if not run_names(output):
        raise RunDirectoryError(f"no run in {output} yet; {where_else(output)}")
    latest = output / LATEST
    target = follow_latest(latest)
    if target == latest or not target.exists():
        state = (
            "is a folder, not a link"
            if latest.is_dir()
            else "is missing"
            if target == latest
            else f"points at {target.name}, which is gone"
        )
        raise RunDirectoryError(f"{latest} {state}; name a run: {', '.join(run_names(output))}")
    return open_run(target)


def summary_of(run: RunDirectory) -> RunSummary:
    """Return a run as a line of a table."""
    try:
        content = run.read_run()
        status = _status(run, content)
        best = content.get("best")
        done, metrics = Table(run.metrics_file).of_epoch(best["epoch"] if best else None)
        seconds = math.fsum(_seconds(Table(run.timings_file)))
        test = _test(run)
    except RunDirectoryError as error:
        return RunSummary(run, "damaged", problem=str(error))
    return RunSummary(
        run=run,
        status=status,
        epochs_done=done,
        epochs=content.get("epochs"),
        best_name=best["monitor"] if best else None,
        best_value=best["value"] if best else None,
        best_epoch=best["epoch"] if best else None,
        started=content.get("started"),
        seconds=seconds,
        experiment=content.get("experiment"),
        seed=content.get("seed"),
        overrides={key: value for key, _, value in (one.partition("=") for one in content.get("overrides", ()))},
        metrics={name: value for name, value in metrics.items() if name != "epoch"},
        test=test,
    )


def _test(run: RunDirectory) -> dict[str, Cell]:
    """Return what the last evaluation on the test split measured."""
    file = run.evaluation("test")
    try:
        report = json_text.parse(read_bytes(file))
        measured = report.get("metrics") if isinstance(report, dict) else None
        found: dict[str, Cell] = json_text.checked(dict[str, float | None], measured)
        return found
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise RunDirectoryError(
            f"{file} is damaged: {error}; kerasrun evaluate {run.quoted} writes it again"
        ) from error


def _seconds(table: Table) -> list[float]:
    try:
        return json_text.checked(list[Seconds], [float(cell or 0) for cell in table.column("seconds")])
    except ValueError as error:
        raise RunDirectoryError(f"{table.path} is damaged: row {error}") from error


def _status(run: RunDirectory, content: RunRecord) -> ListedStatus:
    status = content["status"]
    return "killed" if status == "running" and owner(run) is None else status
