"""`--workers`: several processes that train one run, on this machine or where a cluster has started them."""

import itertools
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kerasrun.errors import UsageError, WorkersError
from kerasrun.workers.timeouts import SECONDS_TO_COME, SECONDS_TO_MOVE, Timeouts

if TYPE_CHECKING:  # the help imports this module, too
    from kerasrun.workers.cluster import Place

Workers = Annotated[
    str | None,
    typer.Option(
        "--workers",
        metavar="N|slurm",
        help="Share the work among N processes on this machine, or those that srun has started.",
        show_default=False,
    ),
]
Shards = Annotated[
    int | None,
    typer.Option(
        "--shards",
        min=1,
        metavar="S",
        help="Cut each batch into S parts, a multiple of each number of workers to use; by default as many as workers.",
        show_default=False,
    ),
]
Restarts = Annotated[
    int, typer.Option("--restarts", min=0, metavar="N", help="After a loss, start the workers again, up to N times.")
]
Elastic = Annotated[bool, typer.Option("--elastic", help="After a loss, go on with the workers that are left.")]
StartTimeout = Annotated[
    int,
    typer.Option(
        "--start-timeout", min=1, max=10**6, metavar="SECONDS", help="How long to wait for a worker to start."
    ),
]
CollectiveTimeout = Annotated[
    int,
    typer.Option(
        "--collective-timeout",
        min=1,
        max=10**6,
        metavar="SECONDS",
        help="Start the workers of --workers N again if none takes a step for this long.",
    ),
]

_MOST_WORKERS = 4096
"""On one machine."""
_WITH_VALUE, _ALONE = ("--workers", "--restarts", "--collective-timeout"), ("--elastic",)


def begin_workers(
    workers: str | None,
    *,
    shards: int = 0,
    restarts: int = 0,
    elastic: bool = False,
    devices: Sequence[int] = (),
    start_timeout: int = SECONDS_TO_COME,
    collective_timeout: int = SECONDS_TO_MOVE,
) -> None:
    """Have several processes do this command, and end with their exit code; return where this process does it.

    Args:
        workers: as given; by default one for each of several devices.
        shards: into how many parts each batch is cut, 0 for as many as workers.
        devices: the numbers of the GPUs that the experiment names.

    Raises:
        UsageError: as `workers_to_begin`, or if the experiment names fewer GPUs than there are to be workers.
        WorkersError: as `workers_to_begin`, or if this machine cannot start so many.
    """
    if workers is None and len(devices) > 1 and "TF_CONFIG" not in os.environ:
        workers = str(len(devices))
    count = workers_to_begin(workers, shards)
    if count == 1:
        return
    if 0 < len(devices) < count:
        raise UsageError(f"--workers {count}: each has a GPU, and the experiment names only {len(devices)}: set device")
    import secrets
    import shlex

    from kerasrun.runs.environment import STARTED_AS
    from kerasrun.workers import parent
    from kerasrun.workers.arrival import JOB
    from kerasrun.workers.cluster import free_addresses
    from kerasrun.workers.worker import gpu_of

    job = os.environ.get(JOB) or secrets.token_hex(16)
    arguments = _without_workers(sys.argv[1:])

    def command(run: str | None) -> list[str]:
        for_all = itertools.takewhile(lambda one: one.startswith("-"), arguments)
        trust = ["--trust"] if "--trust" in arguments else []
        again = [*for_all, "resume", f"--start-timeout={start_timeout}", *trust, "--", run or ""]
        # -P: a typing.py in the working directory is the user's, not Python's.
        return [sys.executable, "-P", "-m", "kerasrun", *(arguments if run is None else again)]

    def smaller(of: int) -> int | None:
        return next((one for one in range(of - 1, 0, -1) if (shards or count) % one == 0), None)

    try:
        code = parent.run(
            command,
            count,
            addresses=free_addresses,
            environment=lambda rank, of: {**gpu_of(rank, devices), STARTED_AS: shlex.join(sys.argv), JOB: job},
            smaller=smaller if elastic else None,
            restarts=restarts,
            timeouts=Timeouts(start=start_timeout, collective=collective_timeout),
        )
    except OSError as error:
        raise WorkersError(f"--workers {count}: this machine cannot start so many processes: {error}") from error
    sys.exit(code)


def workers_to_begin(workers: str | None, shards: int = 0) -> int:
    """Return how many processes this one is to begin: 1 where it does everything itself, or srun has begun the others.

    Args:
        workers: as given.
        shards: into how many parts each batch is cut, 0 for as many as workers.

    Raises:
        UsageError: if `workers` is neither a number nor `slurm`, does not divide the shards, or this is Windows.
        WorkersError: if Slurm has started nothing.
    """
    if workers is None:
        return 1
    if workers == "slurm":
        import shlex

        from kerasrun.runs.environment import STARTED_AS
        from kerasrun.workers.cluster import from_slurm

        os.environ.update({"TF_CONFIG": from_slurm(os.environ).tf_config(), STARTED_AS: shlex.join(sys.argv)})
        return 1
    if not re.fullmatch("[1-9][0-9]{0,3}", workers) or int(workers) > _MOST_WORKERS:
        raise UsageError(f"--workers {workers}: expected a number of processes up to {_MOST_WORKERS}, or slurm")
    count = int(workers)
    if count == 1:
        return count
    if sys.platform == "win32":
        raise UsageError(
            "--workers N: Windows cannot pass a pipe on to the processes that are to tell how far they are; train in "
            "one process, or set TF_CONFIG for each"
        )
    if (shards or count) % count:
        raise UsageError(f"--workers {count}: cannot share {shards} shards evenly; take a divisor of {shards}")
    return count


def named_gpus(file: Path, changes: Sequence[str], *, is_needed: bool, alone: bool = False) -> tuple[int, ...]:
    """Return the GPUs that an experiment names; it is read for that only where it may name some.

    Args:
        is_needed: read it in any case: its mistakes are to be told before processes begin.
        alone: as for `kerasrun.experiment.load.load`.
    """
    from kerasrun.regular_files import read_bytes

    if not is_needed:
        try:
            text = read_bytes(file)
        except (OSError, ValueError):
            return ()  # who reads the experiment tells it
        is_needed = b"device" in text or b"base" in text or any(change.startswith("device") for change in changes)
    if not is_needed:
        return ()
    from kerasrun.experiment.load import load

    device = load(file, changes, alone=alone).experiment.device
    return device if isinstance(device, tuple) else ()


def place_of_worker() -> "Place":
    """Return which of several processes this one is that `--workers` has begun, or srun; it may be the only one."""
    from kerasrun.runs.environment import STARTED_AS
    from kerasrun.workers.cluster import ONE_PROCESS, place_here

    return place_here() if os.environ.get(STARTED_AS) else ONE_PROCESS


def _without_workers(arguments: Sequence[str]) -> list[str]:
    """Return a command line without what is the parent's alone."""
    kept, is_value = [], False
    for argument in arguments:
        if is_value:
            is_value = False
        elif argument in _WITH_VALUE:
            is_value = True
        elif argument not in _ALONE and not argument.startswith(tuple(f"{name}=" for name in _WITH_VALUE)):
            kept.append(argument)
    return kept
