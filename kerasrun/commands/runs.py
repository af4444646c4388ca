"""`kerasrun runs`."""

from typing import Annotated

import typer

from kerasrun.commands._options import RUNS, Json, Output
from kerasrun.errors import UsageError

GROUP, ORDER = "Look at runs and networks", 100


def runs(
    output: Output = RUNS,
    sort: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="Numbers from the highest, text from A to Z; by default the newest first.",
            show_default=False,
        ),
    ] = None,
    reverse: Annotated[bool, typer.Option("--reverse", help="The other way round.")] = False,
    where: Annotated[
        str | None,
        typer.Option(metavar="CONDITION", help="Only some, such as 'val_accuracy > 0.9 and seed = 1'."),
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(metavar="NAME,…", help="Which columns; by default those that tell the runs apart."),
    ] = None,
    as_json: Json = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
) -> None:
    """List the runs in a folder: how each ended, how good it is, and what was changed for it.

    Example: kerasrun runs --where 'val_loss < 0.1' --sort seconds
    """
    if as_json and as_csv:
        raise UsageError("--json and --csv both say how to print; give one of them")
    from kerasrun.results.runs_table import selected, to_csv, to_json, to_text
    from kerasrun.runs.directory import groups_in, where_else
    from kerasrun.runs.listing import list_runs

    every = list_runs(output)
    shown = [] if columns is None else [name.strip() for name in columns.split(",")]
    found = selected(every, where, sort, reverse=reverse, columns=shown)
    if as_json or as_csv:
        typer.echo((to_json if as_json else to_csv)(found, shown))
    elif not found:
        typer.echo(f"none of {len(every)} runs: {where}" if every else f"no runs here yet; {where_else(output)}")
    else:
        typer.echo(to_text(found, shown))
        if groups := groups_in(output):
            typer.echo(groups, err=True)
