"""`kerasrun preview`."""

from pathlib import Path
from typing import Annotated

import typer

from kerasrun.commands._options import ExperimentFile, Overrides, Trust

GROUP, ORDER = "Begin", 30


def preview(
    file: ExperimentFile,
    count: Annotated[int, typer.Option("--count", "-n", min=1, max=400, help="How many examples.")] = 16,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE.png", help="By default <experiment>-preview.png here.", show_default=False
        ),
    ] = None,
    overrides: Overrides = None,
    trust: Trust = False,
) -> None:
    """Draw the first training examples, augmented and preprocessed, with their labels, and print the picture's path.

    They are those of the first steps of a training. Masks are laid over their images. Nothing is opened or trained.

    Example: kerasrun preview configs/unet_masks.yaml --count 32
    """
    from kerasrun.results.preview import preview as draw

    typer.echo(draw(file, overrides=overrides or (), output=output, count=count, trust=trust))
