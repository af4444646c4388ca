"""`kerasrun sweep`."""

import logging
import sys
from typing import Annotated

import typer

from kerasrun.commands._options import RUNS, ExperimentFile, Output, Overrides, Trust
from kerasrun.errors import FailedRunsError
from kerasrun.stderr import plain
from kerasrun.workers import channel

GROUP, ORDER = "Train it", 56

logger = logging.getLogger("kerasrun")


def sweep(
    file: ExperimentFile,
    trials: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Short for -s sweep.trials=N.", show_default=False)
    ] = None,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, metavar="N", help="Trials at a time.")] = 1,
    storage: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="A database that several machines share; by default a file.", show_default=False
        ),
    ] = None,
    best: Annotated[bool, typer.Option("--best", help="Train nothing, name the winner so far.")] = False,
    overrides: Overrides = None,
    output: Output = RUNS,
    trust: Trust = False,
) -> None:
    """Search the values that the section `sweep` of an experiment names.

    Each trial is a run. The path of the best one is printed, and the command that trains it. However it was ended, the
    same command goes on.

    Example: kerasrun sweep configs/sweep_digits.yaml --jobs 2
    """
    from kerasrun.many.sweep import command, plan, work

    changes = [*(overrides or ()), *([] if trials is None else [f"sweep.trials={trials}"])]
    planned = plan(file, overrides=changes, output=output, storage=storage, trust=trust)
    if jobs > 1 and not best and not channel.is_open():
        from kerasrun.many.jobs import run

        run(jobs, [sys.executable, "-P", "-m", "kerasrun", *sys.argv[1:]])
    elif not best:
        work(planned)
    if channel.is_open():  # a worker: who began it tells what all have found
        return
    result = planned.result()
    logger.info("%s: %s", planned.group.root.name, result)
    if result.best is None:
        if best or not result.counts["running"]:
            raise FailedRunsError(f"{planned.group.root.name}: no trial has come to its end with a value")
        return
    for picture in planned.draw():
        logger.info("picture: %s", picture)
    logger.info("best: %.6g; to train it: %s", result.value, command(result, file, overrides or ()))
    typer.echo(plain(result.best))
