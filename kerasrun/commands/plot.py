"""`kerasrun plot`."""

from typing import Annotated, Literal

import typer

from kerasrun.commands._options import RUNS, Output, Overrides, Target, Trust, check_overrides, is_experiment

GROUP, ORDER = "Look at runs and networks", 120


def plot(
    target: Target = None,
    file_format: Annotated[
        Literal["png", "svg"], typer.Option("--format", metavar="png|svg", help="The format of the pictures.")
    ] = "png",
    show_shapes: Annotated[bool, typer.Option(help="Whether the graph shows the shapes of each layer.")] = True,
    show_layer_names: Annotated[bool, typer.Option(help="Whether the graph names the layers.")] = True,
    expand_nested: Annotated[
        bool, typer.Option("--expand-nested", help="Draw the layers of models within the model.")
    ] = False,
    dpi: Annotated[int, typer.Option(min=10, max=2400, metavar="N", help="Dots per inch of the graph.")] = 200,
    overrides: Overrides = None,
    trust: Trust = False,
    output: Output = RUNS,
) -> None:
    """Draw a run's curves and its network, or an experiment's network before it is trained.

    The paths of the pictures are printed. The graph of the network needs Graphviz; without it only the curves are
    drawn.

    Example: kerasrun plot runs/lenet-1 --format svg
    """
    from kerasrun.results.plots import Drawing, plot_experiment, plot_run
    from kerasrun.runs.listing import find_run

    drawing = Drawing(file_format, show_shapes, show_layer_names, expand_nested, dpi)
    if target and is_experiment(target):
        typer.echo(plot_experiment(target, drawing, overrides=overrides or (), trust=trust))
        return
    check_overrides(overrides)
    found = find_run(target, output)
    for path in plot_run(found, drawing, trust=trust):
        typer.echo(f"{found}/{path.relative_to(found.root)}")
