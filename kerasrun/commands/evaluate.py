"""`kerasrun evaluate`."""

from pathlib import Path
from typing import Annotated

import typer

from kerasrun.commands._options import RUNS, Json, Last, Output, Overrides, Run, Threshold, Trust
from kerasrun.commands._workers import Workers, begin_workers, place_of_worker

GROUP, ORDER = "Use what was trained", 70


def evaluate(
    run: Run = None,
    split: Annotated[
        str | None,
        typer.Option(help="train, validation or test; by default test, else validation.", show_default=False),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH", help="Measure on these class folders, or this table, instead.", show_default=False
        ),
    ] = None,
    threshold: Threshold = None,
    last: Last = False,
    overrides: Overrides = None,
    trust: Trust = False,
    as_json: Json = False,
    output: Output = RUNS,
    workers: Workers = None,
) -> None:
    """Measure how good a run's best model is.

    The measures are loss, metrics, and what suits the labels: precision, recall, F1 and a confusion matrix for
    classes, the overlap of areas for masks, errors for numbers.

    Example: kerasrun evaluate runs/lenet-1 --split validation
    """
    begin_workers(workers)
    from kerasrun.results.evaluation import evaluate as evaluate_run
    from kerasrun.runs.listing import find_run

    report = evaluate_run(
        find_run(run, output),
        split="validation" if split in ("val", "valid") else split,
        data=data,
        last=last,
        threshold=threshold,
        overrides=overrides or (),
        trust=trust,
        place=place_of_worker(),
    )
    if report:
        typer.echo(report.to_json() if as_json else report.to_text())
