"""`kerasrun inspect`."""

from pathlib import Path
from typing import Annotated

import typer

from kerasrun.commands._options import Json, Overrides
from kerasrun.errors import DataError

GROUP, ORDER = "Write an experiment", 25


def inspect(
    target: Annotated[
        Path,
        typer.Argument(metavar="FILE|DATA", help="An experiment, or a file or folder of data.", show_default=False),
    ],
    overrides: Overrides = None,
    as_json: Json = False,
    html: Annotated[
        Path | None,
        typer.Option(metavar="FILE.html", help="Also write a page with the pictures.", show_default=False),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="End with 1 if examples are in more than one split.")
    ] = False,
) -> None:
    """Look at data before training: what there is of each class, and what is wrong with it.

    It finds copies and pictures that look alike, within and across splits; damaged files and files that are passed
    over; blank pictures, columns with one value, columns that give the label away, and classes of a few examples.

    Example: kerasrun inspect data/photos --html photos.html
    """
    from kerasrun.inspection.inspection import inspect as look

    found = look(target, overrides=overrides or ())
    typer.echo(found.to_json() if as_json else found.to_text())
    if html:
        from kerasrun.inspection.page import write_page

        typer.echo(write_page(found, html))
    if strict and found.crosses_splits:
        raise DataError(
            "the same example is in more than one split, so what is measured on it means nothing: see above"
        )
