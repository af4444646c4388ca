"""`kerasrun plot`."""

from typing import Annotated, Literal

import typer

from kerasrun.commands._completion import splits
from kerasrun.commands._options import (
    RUNS,
    Output,
    Overrides,
    Target,
    Trust,
    check_overrides,
    is_experiment,
    split_meant,
)
from kerasrun.errors import UsageError

GROUP, ORDER = "Look at runs and networks", 120


def plot(
    target: Target = None,
    file_format: Annotated[
        Literal["png", "svg"],
        typer.Option("--format", metavar="png|svg", help="The format of the pictures; a compact drawing is SVG."),
    ] = "png",
    full: Annotated[
        bool, typer.Option("--full", help="Draw every layer of the network, as keras.utils.plot_model does.")
    ] = False,
    show_shapes: Annotated[bool, typer.Option(help="Whether the whole graph shows the shapes of each layer.")] = True,
    show_layer_names: Annotated[bool, typer.Option(help="Whether the whole graph names the layers.")] = True,
    expand_nested: Annotated[
        bool, typer.Option("--expand-nested", help="Draw the layers of models within the model in the whole graph.")
    ] = False,
    dpi: Annotated[int, typer.Option(min=10, max=2400, metavar="N", help="Dots per inch of the whole graph.")] = 200,
    labels: Annotated[
        bool, typer.Option("--labels", help="Draw how many examples each class has instead, or how numbers are spread.")
    ] = False,
    examples: Annotated[
        bool, typer.Option("--examples", help="Draw pictures of a split instead, with what a run's model says of them.")
    ] = False,
    split: Annotated[
        str | None,
        typer.Option(
            help="Of --examples: train, validation or test; by default test, else validation.", autocompletion=splits
        ),
    ] = None,
    overrides: Overrides = None,
    trust: Trust = False,
    output: Output = RUNS,
) -> None:
    """Draw a run's curves and its network, or an experiment's network before it is trained.

    The paths of the pictures are printed. The network is drawn as boxes, blocks of layers that are repeated once. The
    whole graph, which --full draws, needs Graphviz; without it only the curves are drawn then.

    Example: kerasrun plot runs/lenet-1 --format svg
    """
    from kerasrun.results.plots import Drawing, plot_experiment, plot_run
    from kerasrun.results.split_pictures import plot_examples, plot_labels_of_experiment, plot_labels_of_run
    from kerasrun.runs.listing import find_run

    if full and (labels or examples):
        raise UsageError("--full draws the network, which --labels and --examples leave out: give it by itself")
    if split is not None and not examples:
        raise UsageError("--split says of which examples --examples shows pictures: give --examples as well")
    drawing = Drawing(file_format, full, show_shapes, show_layer_names, expand_nested, dpi)
    changes = overrides or ()
    if target and is_experiment(target):
        if examples:
            raise UsageError("--examples shows what a model says: name a RUN")
        if labels:
            typer.echo(plot_labels_of_experiment(target, drawing, changes, trust=trust))
        else:
            typer.echo(plot_experiment(target, drawing, overrides=changes, trust=trust))
        return
    found, pictures = find_run(target, output), []
    if labels:
        pictures.append(plot_labels_of_run(found, drawing, changes, trust=trust))
    if examples:
        pictures.append(plot_examples(found, drawing, split_meant(split), changes, trust=trust))
    if not (labels or examples):
        check_overrides(overrides)
        pictures += plot_run(found, drawing, trust=trust)
    for path in pictures:
        typer.echo(f"{found}/{path.relative_to(found.root)}")
