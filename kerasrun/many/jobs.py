"""Processes that work on one sweep side by side: each runs the same command, on its share of the cores."""

import logging
import os
import sys
import time
from collections.abc import Sequence

from kerasrun.errors import KerasrunError, UsageError, WorkersError
from kerasrun.reading.inputs import usable_cores
from kerasrun.workers.child_processes import exit_code
from kerasrun.workers.parent import signals_collected
from kerasrun.workers.worker import BLOCK, Worker

logger = logging.getLogger("kerasrun")

_SECONDS_BETWEEN_LOOKS = 0.1


def run(count: int, command: Sequence[str]) -> None:
    """Run a command in several processes until all of them are at their end.

    For the main thread, on Linux. The first signal that asks to stop is passed on to all, which save and end; the
    second one kills them. They end as well if this process is killed.

    Args:
        count: how many processes.
        command: its words.

    Raises:
        UsageError: if there is no way here to share out the cores, or there are fewer cores than processes.
        WorkersError: if one cannot be started.
        SystemExit: if they were asked to stop, or one of them failed, which has said why.
    """
    if not hasattr(os, "sched_setaffinity"):
        raise UsageError("--jobs: only Linux can share out the cores to processes; leave it out")
    if count > usable_cores():
        raise UsageError(f"--jobs {count}: this process may use {usable_cores()} cores; give at most as many jobs")
    cores = sorted(os.sched_getaffinity(0))
    shares = [cores[number::count] for number in range(count)]
    each = len(shares[-1])
    if len(shares[0]) > each:  # the bits of a trial depend on its threads, and must not on who trains it
        shares = [share[:each] for share in shares]
    logger.info("%d trials at a time, on %d core%s and thread%s each", count, each, *2 * ["s" * (each > 1)])
    workers: list[Worker] = []
    with signals_collected() as asked:
        try:
            for share in shares:
                os.sched_setaffinity(0, share)  # which a new process inherits
                workers.append(Worker(0, command, os.environ))
        except OSError as error:
            raise WorkersError(f"--jobs {count}: this machine cannot start so many processes: {error}") from error
        finally:
            os.sched_setaffinity(0, cores)
            if len(workers) < count:
                _end(workers)
        try:
            _watch(workers, asked)
        finally:
            _end(workers)
    if asked:
        sys.exit(exit_code(asked[-1]))
    killed = [number for number, worker in enumerate(workers, 1) if (worker.exit_code or 0) < 0]
    for number in killed:
        logger.error("worker %d was killed by signal %d", number, -(workers[number - 1].exit_code or 0))
    if failed := [worker.exit_code for worker in workers if worker.exit_code]:
        logger.error("not all workers came to the end; the same command goes on")
        sys.exit(KerasrunError.exit_code if killed else failed[0])


def _watch(workers: Sequence[Worker], asked: Sequence[int]) -> None:
    """Listen to them until all have ended, or a second signal was sent."""
    told: set[int] = set()
    while any(worker.exit_code is None for worker in workers) and len(asked) < 2:
        now = time.monotonic()
        for number, worker in enumerate(workers):
            for pipe, take in worker.pipes.items():
                take(pipe.read(BLOCK) or b"", now)
            worker.look(now)
            # Before it has spoken, it may not listen yet.
            if asked and number not in told and worker.heard_at is not None and worker.exit_code is None:
                worker.process.send_signal(asked[0])
                told.add(number)
        time.sleep(_SECONDS_BETWEEN_LOOKS)


def _end(workers: Sequence[Worker]) -> None:
    for worker in workers:
        if worker.exit_code is None:
            worker.kill()
        worker.bury(time.monotonic())
