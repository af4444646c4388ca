"""`kerasrun schema`."""

from pathlib import Path
from typing import Annotated

import typer

from kerasrun.collector import uncollected

GROUP, ORDER = "Write an experiment", 35


def schema(
    file: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write it there, and print nothing.", show_default=False),
    ] = None,
) -> None:
    """Print the JSON Schema of experiment files, by which editors complete and check.

    It is of the installed kerasrun and Keras: every key, every layer with its arguments, and what they mean.

    Example: kerasrun schema -o .kerasrun-schema.json
    """
    with uncollected():
        from kerasrun.experiment.json_schema import schema_text

        text = schema_text()
    if file:
        from kerasrun.experiment.new_files import write_schema

        write_schema(file)
    else:
        typer.echo(text, nl=False)
