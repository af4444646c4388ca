"""`kerasrun report`."""

import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from kerasrun.commands._completion import run_names, splits
from kerasrun.commands._options import RUNS, Output, Overrides, Trust, split_meant
from kerasrun.errors import MissingProgramError, UsageError

GROUP, ORDER = "Use what was trained", 75


def report(
    runs: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[RUN...]",
            help="Run directories, or their names; by default the newest.",
            show_default=False,
            autocompletion=run_names,
        ),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(
            help="train, validation or test; by default test, else validation.",
            show_default=False,
            autocompletion=splits,
        ),
    ] = None,
    show: Annotated[bool, typer.Option("--open", help="Show the page in the browser.")] = False,
    overrides: Overrides = None,
    trust: Trust = False,
    output: Output = RUNS,
) -> None:
    """Write all about a run on one page: what it was, how it went, how good it is, and what it gets wrong.

    The page is one file, report.html in the run, that loads nothing from elsewhere. Its path is printed. Of several
    runs it says what differs and what came of it, with their curves, and is beside the first of them.

    Example: kerasrun report runs/lenet-1 --open
    """
    from kerasrun.results.run_report import write_comparison, write_report
    from kerasrun.runs.listing import find_run

    found = [find_run(run, output) for run in runs] if runs else [find_run(None, output)]
    if len(found) > 1:
        if split is not None or overrides:
            raise UsageError("several runs are shown as they were recorded; --split and --set are for a report of one")
        file = write_comparison(found)
    else:
        file = write_report(found[0], split=split_meant(split), overrides=overrides or (), trust=trust)
    typer.echo(file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file)
    if show and not webbrowser.open(file.as_uri()):
        raise MissingProgramError(f"no browser was found that could show it; open {file} in one")
