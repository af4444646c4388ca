"""`kerasrun train`."""

import contextlib
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kerasrun.commands._completion import run_names
from kerasrun.commands._options import RUNS, ExperimentFile, Output, Overrides, Trust
from kerasrun.commands._workers import (
    CollectiveTimeout,
    Elastic,
    Restarts,
    Shards,
    StartTimeout,
    Workers,
    begin_workers,
    named_gpus,
)
from kerasrun.errors import UsageError
from kerasrun.stderr import say_before_waiting
from kerasrun.workers.timeouts import SECONDS_TO_COME, SECONDS_TO_MOVE

if TYPE_CHECKING:
    from kerasrun.training.resuming.branching import Branch

GROUP, ORDER = "Train it", 40


def train(
    file: ExperimentFile,
    overrides: Overrides = None,
    output: Output = RUNS,
    from_run: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="RUN",
            help="Begin with the weights of another run.",
            show_default=False,
            autocompletion=run_names,
        ),
    ] = None,
    best: Annotated[bool, typer.Option("--best", help="With --from: take best.keras (the default).")] = False,
    last: Annotated[bool, typer.Option("--last", help="With --from: take last.keras.")] = False,
    epoch: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="With --from: take the checkpoint at the end of epoch N."),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Short for -s fit.epochs=N.", show_default=False)
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Short for -s fit.batch_size=N.", show_default=False)
    ] = None,
    seed: Annotated[int | None, typer.Option(metavar="N", help="Short for -s seed=N.", show_default=False)] = None,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="Short for -s name=NAME.", show_default=False)
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run of this experiment, if there is one that can.")
    ] = False,
    trust: Trust = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Try everything on one batch, then remove it.")] = False,
    workers: Workers = None,
    shards: Shards = None,
    restarts: Restarts = 3,
    elastic: Elastic = False,
    start_timeout: StartTimeout = SECONDS_TO_COME,
    collective_timeout: CollectiveTimeout = SECONDS_TO_MOVE,
) -> None:
    """Train an experiment into a new run directory.

    The path of the directory is printed. With --resume, the same command begins a run, goes on with it however it was
    ended, and does nothing once it is finished.

    Example: kerasrun train configs/lenet_directory.yaml -s fit.epochs=3
    """
    if resume and dry_run:
        raise UsageError("--dry-run keeps no run, so there is none for --resume to go on with; give one of them")
    short = {"fit.epochs": epochs, "fit.batch_size": batch_size, "seed": seed, "name": name}
    changes = [*(f"{key}={value}" for key, value in short.items() if value is not None), *(overrides or ())]
    devices = named_gpus(file, changes, is_needed=workers is not None)
    again = 0 if dry_run else restarts
    begin_workers(
        workers,
        shards=shards or 0,
        restarts=again,
        elastic=elastic,
        devices=devices,
        start_timeout=start_timeout,
        collective_timeout=collective_timeout,
    )
    say_before_waiting(f"reading {file}")  # what is imported now takes a second
    from kerasrun.reported import train as run_training
    from kerasrun.training.train import dry_run as try_out

    branch = _branch(from_run, output, best=best, last=last, epoch=epoch)
    do = try_out if dry_run else partial(run_training, resume=resume)
    run = do(
        file,
        overrides=changes,
        output=output,
        branch=branch,
        trust=trust,
        shards=shards,
        start_timeout=start_timeout,
    )
    if run is not None:
        with contextlib.suppress(BrokenPipeError):  # nobody reads it, and the exit code tells of the training
            typer.echo(run)


def _branch(run: Path | None, output: Path, *, best: bool, last: bool, epoch: int | None) -> "Branch | None":
    from kerasrun.runs.listing import find_run
    from kerasrun.training.resuming.branching import Branch

    given = {"--best": best, "--last": last, "--epoch": epoch is not None}
    named = [name for name, is_given in given.items() if is_given]
    if named and run is None:
        meant = "; to say how many epochs to train: --epochs N" if epoch is not None else ""
        raise UsageError(f"{named[0]} says which weights of a run: name the run with --from RUN{meant}")
    if len(named) > 1:
        raise UsageError(f"{' and '.join(named)} all name weights of the run; give one of them")
    if run is None:
        return None
    return Branch(find_run(run, output), epoch if epoch is not None else "last" if last else "best")
