"""`kerasrun init`."""

from pathlib import Path
from typing import Annotated

import typer

from kerasrun.commands._completion import example_names
from kerasrun.errors import UsageError

GROUP, ORDER = "Write an experiment", 10


def init(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME]",
            help="An example experiment to copy.",
            show_default=False,
            autocompletion=example_names,
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="Your data: write an experiment for them.", show_default=False),
    ] = None,
    label: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN", help="The column of a table, or of a list of images, to predict.", show_default=False
        ),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(
            metavar="SHARES",
            help="The shares of your data for training, validation and test: 80/10/10.",
            show_default=False,
        ),
    ] = None,
    download: Annotated[
        bool,
        typer.Option(
            "--download",
            help="For photos, a pretrained network even if Keras has to download its weights when training begins.",
        ),
    ] = False,
    file: Annotated[
        Path | None,
        typer.Option("--output", metavar="FILE", help="Where to write; by default NAME.yaml here.", show_default=False),
    ] = None,
) -> None:
    """Write a first experiment, for your own data or as a copy of an example.

    Data are named with --data, an example with NAME. Without either, the examples are listed.

    Example: kerasrun init lenet_directory
    """
    from kerasrun.experiment.examples import copy_example, examples

    if name is not None and data:
        raise UsageError(f"{name} and --data both say what to write; give one of them")
    if data:
        from kerasrun.experiment.draft import draft_experiment

        typer.echo(draft_experiment(data, file, label, split=split, download=download))
    elif label is not None:
        raise UsageError("--label names a column of a table; name the table with --data PATH")
    elif split is not None or download:
        option = "--download" if split is None else "--split"
        raise UsageError(f"{option} is about your data; name them with --data PATH")
    elif name is not None:
        typer.echo(copy_example(name, file))
    elif file:
        raise UsageError("--output says where to write, but not what: name an example, or data with --data PATH")
    else:
        known = examples()
        width = max(map(len, known))
        typer.echo("\n".join(f"{one.name.ljust(width)}  {one.about}" for one in known.values()))
