"""`kerasrun rm`."""

import os
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from kerasrun.commands._completion import run_names
from kerasrun.commands._options import RUNS, Output
from kerasrun.errors import RunDirectoryError, UsageError
from kerasrun.stderr import plain

GROUP, ORDER = "Look at runs and networks", 105


def rm(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN...", help="Run directories, or their names.", autocompletion=run_names)
    ],
    keep: Annotated[
        Literal["best"] | None,
        typer.Option(metavar="best", help="Keep the best model and the numbers, so that no resume is possible."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", "-f", help="Also remove runs that are not finished, or that a process writes.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    output: Output = RUNS,
) -> None:
    """Remove finished runs, and say what that frees.

    Example: kerasrun rm lenet-1 lenet-2 --keep best
    """
    from kerasrun.experiment.units import amount
    from kerasrun.runs.listing import find_run
    from kerasrun.runs.removal import remove, require_removable, size

    found = list({os.path.normpath(run.root): run for run in (find_run(one, output) for one in runs)}.values())
    require_removable(found, keep_best=keep == "best", force=force)
    sizes = {run: size(run, keep_best=keep == "best") for run in found}

    def told(*counted: int | None) -> str:
        return amount(sum(one or 0 for one in counted)) + (" and more" if None in counted else "")

    what = "all but the best model and the numbers of " if keep else ""
    _confirm(f"{what}{', '.join(plain(str(run)) for run in found)}: {told(*sizes.values())}", yes=yes)
    for run, freed in sizes.items():
        remove(run, keep_best=keep == "best", force=force)
        typer.echo(f"{plain(str(run))}: {told(freed)} freed")


def _confirm(what: str, *, yes: bool) -> None:
    if yes:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(f"nobody can be asked here whether to remove {what}; give --yes")
    typer.echo(f"remove {what}? [y/N] ", nl=False, err=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise RunDirectoryError("nothing was removed")
