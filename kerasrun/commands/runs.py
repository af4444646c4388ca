"""`kerasrun runs`."""

import typer

from kerasrun.commands._options import RUNS, Json, Output

GROUP, ORDER = "Look at runs and networks", 100


def runs(output: Output = RUNS, as_json: Json = False) -> None:
    """List the runs in a folder: how each ended, its epochs and its best value.

    Example: kerasrun runs --json
    """
    from kerasrun.results.runs_table import to_json, to_text
    from kerasrun.runs.listing import list_runs

    found = list_runs(output)
    typer.echo(to_json(found) if as_json else to_text(found))
