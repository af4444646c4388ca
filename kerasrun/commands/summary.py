"""`kerasrun summary`."""

from typing import Annotated

import typer

from kerasrun.commands._options import (
    RUNS,
    Last,
    Output,
    Overrides,
    Target,
    Trust,
    check_overrides,
    is_experiment,
    is_model,
)

GROUP, ORDER = "Look at runs and networks", 110


def summary(
    target: Target = None,
    weights: Annotated[
        bool, typer.Option("--weights", help="Print the weights too; of those with many numbers, their range.")
    ] = False,
    last: Last = False,
    overrides: Overrides = None,
    trust: Trust = False,
    output: Output = RUNS,
) -> None:
    """List the layers of a run's model, or of an experiment before it is trained.

    Each has its shape and the number of its parameters.

    Example: kerasrun summary configs/lenet_directory.yaml
    """
    from kerasrun.results.model import open_model, summarize, untrained
    from kerasrun.runs.directory import model_of
    from kerasrun.runs.listing import find_run

    if target and is_experiment(target):
        model = untrained(target, overrides or (), trust=trust, pretrained=weights)
    else:
        check_overrides(overrides)
        path = target if target and is_model(target) else model_of(find_run(target, output), last=last)
        model = open_model(path, "cpu", trust=trust)
    typer.echo(summarize(model, weights=weights))
