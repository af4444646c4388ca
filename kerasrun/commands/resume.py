"""`kerasrun resume`."""

import contextlib
from typing import Annotated

import typer

from kerasrun.commands._options import RUNS, Output, Overrides, Run, Trust
from kerasrun.commands._workers import (
    CollectiveTimeout,
    Elastic,
    Restarts,
    StartTimeout,
    Workers,
    begin_workers,
    named_gpus,
    workers_to_begin,
)
from kerasrun.workers.timeouts import SECONDS_TO_COME, SECONDS_TO_MOVE

GROUP, ORDER = "Train it", 50

AcceptChanges = Annotated[
    bool,
    typer.Option("--accept-changes", help="Go on although data, versions or machine have changed; bits will differ."),
]


def resume(
    run: Run = None,
    overrides: Overrides = None,
    accept_changes: AcceptChanges = False,
    trust: Trust = False,
    output: Output = RUNS,
    workers: Workers = None,
    restarts: Restarts = 3,
    elastic: Elastic = False,
    start_timeout: StartTimeout = SECONDS_TO_COME,
    collective_timeout: CollectiveTimeout = SECONDS_TO_MOVE,
) -> None:
    """Resume an interrupted run, which ends with the same bits as without the interruption.

    Without a name, the newest unfinished one is resumed.

    Example: kerasrun resume runs/lenet-1
    """
    from kerasrun.reported import resume as resume_training
    from kerasrun.runs.listing import find_run, newest_unfinished
    from kerasrun.workers.arrival import failure_told
    from kerasrun.workers.cluster import place_here

    if workers == "slurm":
        workers_to_begin(workers)
    place = place_here(start_timeout)
    if not place.leads and workers in (None, "slurm"):  # rank 0 has the run
        resume_training(output, overrides=overrides or (), trust=trust, start_timeout=start_timeout)
        return
    with failure_told(place):
        found = find_run(run, output) if run else newest_unfinished(output)
    shards = found.read_run().get("shards", 1) if workers else 1
    devices = named_gpus(found.resolved_file, overrides or (), is_needed=False, alone=True) if workers else ()
    begin_workers(
        workers,
        shards=shards,
        restarts=restarts,
        elastic=elastic,
        devices=devices,
        start_timeout=start_timeout,
        collective_timeout=collective_timeout,
    )
    resumed = resume_training(
        found, overrides=overrides or (), accept_changes=accept_changes, trust=trust, start_timeout=start_timeout
    )
    if resumed is not None:
        with contextlib.suppress(BrokenPipeError):  # nobody reads it, and the exit code tells of the training
            typer.echo(resumed)
