"""`kerasrun plot`."""

import typer

from kerasrun.commands._options import RUNS, Output, Run, Trust


def plot(run: Run = None, trust: Trust = False, output: Output = RUNS) -> None:
    """Draw a run's curves and its model's graph as PNG files, and print their paths.

    The graph of the model needs Graphviz; without it the curves are drawn all the same.

    Example: kerasrun plot runs/lenet-1
    """
    from kerasrun.results.plots import plot_run
    from kerasrun.runs.listing import find_run

    found = find_run(run, output)
    for path in plot_run(found, trust=trust):
        typer.echo(f"{found}/{path.relative_to(found.root)}")
