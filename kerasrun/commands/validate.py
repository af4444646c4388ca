"""`kerasrun validate`."""

from typing import Annotated

import typer

from kerasrun.collector import uncollected
from kerasrun.commands._options import ExperimentFile, Overrides, Trust
from kerasrun.errors import ExperimentError, ModelError

GROUP, ORDER = "Write an experiment", 20


def validate(
    file: ExperimentFile,
    overrides: Overrides = None,
    trust: Trust = False,
    resolved: Annotated[bool, typer.Option("--resolved", help="Print it with every default filled in.")] = False,
    origins: Annotated[bool, typer.Option("--origins", help="Print the same, each value with its origin.")] = False,
) -> None:
    """Check an experiment file, and report every mistake with its place.

    Neither data nor TensorFlow are loaded. The file of a saved network is checked if it is there.

    Example: kerasrun validate configs/lenet_directory.yaml
    """
    with uncollected():
        from kerasrun.experiment.load import load

        loaded = load(file, overrides or ())
    experiment = loaded.experiment
    if experiment.model.is_there():
        try:
            loaded.settled(trust=trust)
        except ModelError as error:
            raise ExperimentError(str(error)) from error
    if experiment.sweep:
        from kerasrun.experiment.search import check_values

        check_values(loaded, file, overrides or ())
    if origins:
        from kerasrun.experiment.origins import with_origins

        typer.echo(with_origins(loaded), nl=False)
    elif resolved:
        from kerasrun.experiment.resolved import resolved_yaml

        typer.echo(resolved_yaml(experiment), nl=False)
    else:
        typer.echo(f"{file}: no mistakes found")
