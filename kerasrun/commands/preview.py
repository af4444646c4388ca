"""`kerasrun preview`."""

from pathlib import Path
from typing import Annotated

import typer

from kerasrun.commands._options import ExperimentFile, Overrides, Trust

GROUP, ORDER = "Write an experiment", 30


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
    """Draw the first training examples as the network will see them.

    They are augmented and preprocessed, as in the first training steps, and shown with their labels. Masks are drawn
    over their images. The picture's path is printed; nothing is trained.

    Example: kerasrun preview configs/unet_masks.yaml --count 32
    """
    from kerasrun.results.preview import preview as draw

    typer.echo(draw(file, overrides=overrides or (), output=output, count=count, trust=trust))
