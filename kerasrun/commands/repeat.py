"""`kerasrun repeat`."""

from typing import Annotated

import typer

from kerasrun.commands._options import RUNS, ExperimentFile, Output, Overrides, Trust
from kerasrun.errors import FailedRunsError, UsageError

GROUP, ORDER = "Train it", 55


def repeat(
    file: ExperimentFile,
    seeds: Annotated[
        str | None,
        typer.Option(metavar="N|A,B,…", help="How many seeds, or which: 5, or 1,2,7.", show_default=False),
    ] = None,
    folds: Annotated[
        int | None,
        typer.Option(
            min=2,
            metavar="K",
            help="Divide the training examples into K parts, each of which validates in turn.",
            show_default=False,
        ),
    ] = None,
    overrides: Overrides = None,
    trust: Trust = False,
    output: Output = RUNS,
) -> None:
    """Train an experiment with several seeds, or on the folds of its data.

    All runs are in one folder; mean, deviation and interval of the metrics are printed. If it is killed, the same
    command goes on.

    Example: kerasrun repeat configs/table_csv.yaml --folds 5
    """
    from kerasrun.many.repeat import repeat as repeat_experiment

    summary = repeat_experiment(
        file, seeds=_seeds(seeds), folds=folds, overrides=overrides or (), output=output, trust=trust
    )
    typer.echo(summary.to_text())
    if summary.failed:
        raise FailedRunsError(f"{len(summary.failed)} runs are not finished: {', '.join(summary.failed)}")


def _seeds(text: str | None) -> int | list[int] | None:
    if text is None:
        return None
    parts = text.split(",")
    if not all(part.isdecimal() and len(part) <= 10 and int(part) < 2**32 for part in parts) or parts == ["0"]:
        raise UsageError(f"--seeds {text}: expected how many seeds, such as 5, or which, such as 1,2,7")
    return int(text) if len(parts) == 1 else [int(part) for part in parts]
