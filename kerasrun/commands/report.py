"""`kerasrun report`."""

from typing import Annotated

import typer

from kerasrun.commands._options import RUNS, Output, Overrides, Run, Trust

GROUP, ORDER = "Use what was trained", 75


def report(
    run: Run = None,
    split: Annotated[
        str | None,
        typer.Option(help="train, validation or test; by default test, else validation.", show_default=False),
    ] = None,
    show: Annotated[bool, typer.Option("--open", help="Show the page in the browser.")] = False,
    overrides: Overrides = None,
    trust: Trust = False,
    output: Output = RUNS,
) -> None:
    """Write all about a run on one page: what it was, how it went, how good it is, and what it gets wrong.

    The page is one file, report.html in the run, that loads nothing from elsewhere. Its path is printed.

    Example: kerasrun report runs/lenet-1 --open
    """
    from kerasrun.results.run_report import write_report
    from kerasrun.runs.listing import find_run

    split = "validation" if split in ("val", "valid") else split
    found = find_run(run, output)
    file = write_report(found, split=split, overrides=overrides or (), trust=trust)
    typer.echo(f"{found}/{file.name}")
    if show:
        typer.launch(str(file))
