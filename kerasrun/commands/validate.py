"""`kerasrun validate`."""

from typing import Annotated

import typer

from kerasrun.collector import uncollected
from kerasrun.commands._options import ExperimentFile, Overrides

GROUP, ORDER = "Write an experiment", 20


def validate(
    file: ExperimentFile,
    overrides: Overrides = None,
    resolved: Annotated[bool, typer.Option("--resolved", help="Print it with every default filled in.")] = False,
) -> None:
    """Check an experiment file, and report every mistake with its place.

    Neither data nor TensorFlow are loaded.

    Example: kerasrun validate configs/lenet_directory.yaml
    """
    with uncollected():
        from kerasrun.experiment.load import load

        experiment = load(file, overrides or ()).experiment
    if resolved:
        from kerasrun.experiment.resolved import resolved_yaml

        typer.echo(resolved_yaml(experiment), nl=False)
    else:
        typer.echo(f"{file}: no mistakes found")
