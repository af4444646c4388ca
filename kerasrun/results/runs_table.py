"""`runs`: a line for each run."""

from collections.abc import Sequence
from datetime import datetime

from kerasrun.experiment.units import duration
from kerasrun.report import plain
from kerasrun.runs.listing import RunSummary


def to_text(runs: Sequence[RunSummary]) -> str:
    """Return a table: name, status, epochs, best value, start and seconds of training."""
    if not runs:
        return "no runs here yet; start one with kerasrun train FILE"
    return plain.text_table(
        ["run", "status", "epochs", "best", "value", "started", "training"],
        [
            [
                run.name,
                run.status,
                "-" if run.epochs_done is None else f"{run.epochs_done}/{run.epochs}",
                run.best_name or "-",
                "-" if run.best_value is None else f"{run.best_value:.4g}",
                "-" if run.started is None else f"{datetime.fromisoformat(run.started).astimezone():%Y-%m-%d %H:%M}",
                "-" if run.seconds is None else duration(run.seconds),
            ]
            for run in runs
        ],
    )


def to_json(runs: Sequence[RunSummary]) -> str:
    """Return a list of objects."""
    return plain.to_json(
        [
            {
                "run": run.name,
                "status": run.status,
                "epochs_done": run.epochs_done,
                "epochs": run.epochs,
                "best": {"monitor": run.best_name, "value": run.best_value},
                "started": run.started,
                "seconds": run.seconds,
                "problem": run.problem,
            }
            for run in runs
        ]
    )
