"""`kerasrun plot`."""

from typing import Annotated, Literal

import typer

from kerasrun.commands._options import RUNS, Output, Run, Trust

GROUP, ORDER = "Use a run", 100


def plot(
    run: Run = None,
    file_format: Annotated[
        Literal["png", "svg"], typer.Option("--format", metavar="png|svg", help="The format of the pictures.")
    ] = "png",
    show_shapes: Annotated[bool, typer.Option(help="Whether the graph shows the shapes of each layer.")] = True,
    show_layer_names: Annotated[bool, typer.Option(help="Whether the graph names the layers.")] = True,
    expand_nested: Annotated[
        bool, typer.Option("--expand-nested", help="Draw the layers of models within the model.")
    ] = False,
    dpi: Annotated[int, typer.Option(min=10, max=2400, metavar="N", help="Dots per inch of the graph.")] = 200,
    trust: Trust = False,
    output: Output = RUNS,
) -> None:
    """Draw a run's curves and its model's graph.

    The paths of the pictures are printed. The graph of the model needs Graphviz; without it only the curves are drawn.

    Example: kerasrun plot runs/lenet-1 --format svg
    """
    from kerasrun.results.plots import Drawing, plot_run
    from kerasrun.runs.listing import find_run

    found = find_run(run, output)
    drawing = Drawing(file_format, show_shapes, show_layer_names, expand_nested, dpi)
    for path in plot_run(found, drawing, trust=trust):
        typer.echo(f"{found}/{path.relative_to(found.root)}")
