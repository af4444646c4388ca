"""`kerasrun train`."""

from typing import Annotated

import typer

from kerasrun.commands._options import RUNS, ExperimentFile, Output, Overrides


def train(
    file: ExperimentFile,
    overrides: Overrides = None,
    output: Output = RUNS,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Try everything on one batch, then remove it.")] = False,
) -> None:
    """Train the experiment in FILE into a new run directory.

    Example: kerasrun train configs/lenet_directory.yaml -s fit.epochs=3
    """
    from kerasrun.training.train import dry_run as try_out
    from kerasrun.training.train import train as run_training

    if dry_run:
        try_out(file, overrides=overrides or (), output=output)
    else:
        typer.echo(run_training(file, overrides=overrides or (), output=output))
