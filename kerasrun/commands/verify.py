"""`kerasrun verify`."""

from pathlib import Path
from typing import Annotated

import typer

from kerasrun.commands._completion import experiments_and_runs
from kerasrun.commands._options import RUNS, Json, Output, Overrides, Trust, is_experiment
from kerasrun.commands._workers import Shards, Workers, workers_to_begin
from kerasrun.errors import NotExactError

GROUP, ORDER = "Train it", 60


def verify(
    target: Annotated[
        Path,
        typer.Argument(
            metavar="FILE|RUN",
            help="An experiment, or a run directory.",
            show_default=False,
            autocompletion=experiments_and_runs,
        ),
    ],
    overrides: Overrides = None,
    steps: Annotated[int, typer.Option("--steps", "-n", min=4, metavar="N", help="How many steps to train.")] = 20,
    trust: Trust = False,
    as_json: Json = False,
    output: Output = RUNS,
    workers: Workers = None,
    shards: Shards = None,
) -> None:
    """Test whether this machine repeats a training to the last bit.

    Some steps are trained twice, and once more interrupted and resumed. All must give the same bits; with several
    workers, so must one process alone.

    Example: kerasrun verify configs/lenet_directory.yaml
    """
    from kerasrun.runs.listing import find_run
    from kerasrun.training.verification import verify as verify_bits

    count = workers_to_begin(workers, shards or 0)
    found = target if is_experiment(target) else find_run(target, output)
    report = verify_bits(
        found, overrides=overrides or (), steps=steps, trust=trust, output=output, workers=count, shards=shards
    )
    if report is None:
        return
    typer.echo(report.to_json() if as_json else report.to_text())
    if not report.exact:
        raise NotExactError(report.advice())
