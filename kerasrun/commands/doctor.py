"""`kerasrun doctor`."""

from pathlib import Path
from typing import Annotated

import typer

from kerasrun.commands._options import RUNS, Json, Output, Overrides, Trust
from kerasrun.commands._workers import StartTimeout, Workers, begin_workers, named_gpus
from kerasrun.workers.timeouts import SECONDS_TO_COME

GROUP, ORDER = "Train it", 65


def doctor(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help="An experiment, to say what workers would gain.", show_default=False),
    ] = None,
    overrides: Overrides = None,
    trust: Trust = False,
    as_json: Json = False,
    output: Output = RUNS,
    workers: Workers = None,
    start_timeout: StartTimeout = SECONDS_TO_COME,
) -> None:
    """Say what this machine is, whether several work together, and what they would gain.

    Workers meet, compare what must be the same, and measure how fast they add up numbers. Nothing is written.

    Example: kerasrun doctor configs/lenet_directory.yaml --workers 2
    """
    devices = () if file is None else named_gpus(file, overrides or (), is_needed=workers is not None)
    begin_workers(workers, devices=devices, start_timeout=start_timeout)
    from kerasrun.training.doctor import doctor as examine

    diagnosis = examine(file, overrides=overrides or (), output=output, trust=trust, start_timeout=start_timeout)
    if diagnosis:
        typer.echo(diagnosis.to_json() if as_json else diagnosis.to_text())
