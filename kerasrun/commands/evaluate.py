"""`kerasrun evaluate`."""

from pathlib import Path
from typing import Annotated

import typer

from kerasrun.commands._completion import splits
from kerasrun.commands._options import RUNS, Json, Last, Output, Overrides, Run, Trust, split_meant
from kerasrun.commands._workers import Workers, begin_workers, place_of_worker
from kerasrun.errors import UsageError

GROUP, ORDER = "Use what was trained", 70


def evaluate(
    run: Run = None,
    split: Annotated[
        str | None,
        typer.Option(
            help="train, validation or test; by default test, else validation.",
            show_default=False,
            autocompletion=splits,
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH", help="Measure on these class folders, or this table, instead.", show_default=False
        ),
    ] = None,
    threshold: Annotated[
        str | None,
        typer.Option(
            metavar="PROBABILITY|RULE",
            help="Above it, the second class or a label is positive. best-f1, youden or cost=5:1 (a missed positive : "
            "a false alarm) choose it on validation.",
            show_default=False,
        ),
    ] = None,
    keep_threshold: Annotated[
        bool, typer.Option("--keep-threshold", help="Write the threshold into the model file; predict decides by it.")
    ] = False,
    last: Last = False,
    overrides: Overrides = None,
    trust: Trust = False,
    as_json: Json = False,
    output: Output = RUNS,
    workers: Workers = None,
) -> None:
    """Measure how good a run's best model is, or the mean of those of a group that `repeat` made.

    The measures are loss, metrics, and what suits the labels: precision, recall, F1 and a confusion matrix for
    classes, the overlap of areas for masks, errors for numbers.

    Example: kerasrun evaluate runs/lenet-1 --split validation
    """
    begin_workers(workers)
    from kerasrun.many.ensemble import evaluate_group
    from kerasrun.many.group import named_group
    from kerasrun.reported import evaluate as evaluate_run
    from kerasrun.runs.listing import find_run

    split = split_meant(split)
    if group := named_group(run, output):
        if keep_threshold:
            raise UsageError("--keep-threshold is for the model file of a run, not for a group; name a run")
        of_group = evaluate_group(
            group, split=split, data=data, last=last, threshold=threshold, overrides=overrides or (), trust=trust
        )
        typer.echo(of_group.to_json() if as_json else of_group.to_text())
        return
    report = evaluate_run(
        find_run(run, output),
        split=split,
        data=data,
        last=last,
        threshold=threshold,
        keep_threshold=keep_threshold,
        overrides=overrides or (),
        trust=trust,
        place=place_of_worker(),
    )
    if report:
        typer.echo(report.to_json() if as_json else report.to_text())
