"""`kerasrun diff`."""

from pathlib import Path
from typing import Annotated

import typer

from kerasrun.commands._completion import run_names, splits
from kerasrun.commands._options import RUNS, Json, Output, Trust
from kerasrun.errors import UsageError

GROUP, ORDER = "Look at runs and networks", 103


def diff(
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="RUN RUN...", help="Run directories, or their names.", autocompletion=run_names),
    ],
    picture: Annotated[
        Path | None,
        typer.Option("--plot", metavar="FILE.png", help="Draw their curves over each other.", show_default=False),
    ] = None,
    predictions: Annotated[
        bool,
        typer.Option("--predictions", help="Also compare what the models of two runs predict for the same examples."),
    ] = False,
    split: Annotated[
        str | None,
        typer.Option(
            metavar="SPLIT",
            help="With --predictions: train, validation or test; by default test, else validation.",
            autocompletion=splits,
        ),
    ] = None,
    trust: Trust = False,
    as_markdown: Annotated[bool, typer.Option("--md", help="Print Markdown.")] = False,
    as_json: Json = False,
    output: Output = RUNS,
) -> None:
    """Show what differs between runs, and what came of it.

    It compares experiment, data, code of plugins, versions and machine, and shows the metrics side by side.

    Example: kerasrun diff lenet-1 lenet-2
    """
    if split is not None and not predictions:
        raise UsageError("--split says whose predictions are compared, so it needs --predictions")
    if as_json and as_markdown:
        raise UsageError("--json and --md both say how to print; give one of them")
    from kerasrun.results.run_diff import diff as compare
    from kerasrun.runs.listing import find_run

    found = [find_run(run, output) for run in runs]
    compared = compare(*found, predictions=predictions, split=split, trust=trust)
    if picture:
        from kerasrun.results.plots import plot_together

        plot_together(found, picture)
    typer.echo(compared.to_json() if as_json else compared.to_markdown() if as_markdown else compared.to_text())
