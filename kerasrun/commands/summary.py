"""`kerasrun summary`."""

import typer

from kerasrun.commands._options import RUNS, Last, Output, Run, Trust

GROUP, ORDER = "Use a run", 90


def summary(run: Run = None, last: Last = False, trust: Trust = False, output: Output = RUNS) -> None:
    """List the layers of a run's model.

    Each has its shape and the number of its parameters.

    Example: kerasrun summary runs/lenet-1
    """
    from kerasrun.results.model import summarize
    from kerasrun.runs.directory import model_of
    from kerasrun.runs.listing import find_run

    typer.echo(summarize(model_of(find_run(run, output), last=last), trust=trust))
