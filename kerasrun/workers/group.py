"""Processes that train one run together, watched by their parent from their start to the end of all of them.

What ends them:

| event | it is |
| --- | --- |
| rank 0 ends with an exit code of its own | the end: the others get some time to end too, if the code is 0 |
| another one fails with an exit code of its own | the end, unless rank 0 fails too: it has said why |
| one was killed by a signal, is silent, or has not come | a loss |
| one ends with the exit code of a `LostWorkerError` | a loss of another one, if one shows, or else of this one |
| none does a step for a long time | a loss |

Then all are killed: nothing else ends a process that waits in a collective for one that is gone.
"""

import os
import selectors
import signal
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType

from kerasrun.errors import LostWorkerError
from kerasrun.workers.child_processes import SIGNALS, exit_code
from kerasrun.workers.cluster import Place
from kerasrun.workers.timeouts import Timeouts
from kerasrun.workers.worker import BLOCK, Worker

SECONDS_BETWEEN_LOOKS = 0.1
LONGEST_LOOK = 1.0
"""Seconds that count between two looks: while this process itself was stopped (Ctrl-Z), nobody could be heard."""
WAITS_FOR_NOBODY = ("starting", "saving")
"""The phases of rank 0 in which it may take any time."""


@dataclass(frozen=True)
class End:
    """How it ended: with an exit code, or with a loss where that is None; and what is left to say."""

    exit_code: int | None
    message: str = ""


class Group:
    """The processes; none of them is left when the block ends."""

    def __init__(self, timeouts: Timeouts, asked: Sequence[int]) -> None:
        """
        Args:
            asked: the signals that ask this process to stop, in their order; more may come while it runs.
        """
        self._timeouts = timeouts
        self._asked = asked
        self._workers: list[Worker] = []
        self._pipes = selectors.DefaultSelector()
        self._looked_at = time.monotonic()
        self._now = 0.0
        """Seconds since the beginning, as far as they count."""

    def __enter__(self) -> "Group":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self._running:
            worker.kill()
        for worker in self._workers:
            worker.bury(self._now)
        self._pipes.close()

    @property
    def leader(self) -> Worker:
        """Return rank 0."""
        return self._workers[0]

    def start(
        self, command: Sequence[str], addresses: Sequence[str], environment: Callable[[int, int], Mapping[str, str]]
    ) -> None:
        """Start a process for each address, with what `environment` adds for its rank and the count of all.

        Raises:
            OSError: if one cannot be started.
        """
        for rank in range(len(addresses)):
            if self._asked and rank:
                return  # those that are there are stopped, and wait for no others
            place = Place(rank, len(addresses), tuple(addresses))
            more = {**environment(rank, len(addresses)), "TF_CONFIG": place.tf_config()}
            worker = Worker(rank, command, {**os.environ, **more})
            self._workers.append(worker)
            for pipe, take in worker.pipes.items():
                self._pipes.register(pipe, selectors.EVENT_READ, take)

    def watch(self) -> End:
        """Wait for the end, or for a loss. The first signal is passed on to rank 0; the second one is the end.

        Raises:
            ValueError: if a worker tells something that is not JSON.
        """
        passed_on = False
        while (end := self._end()) is None:
            self._look()
            # Before rank 0 has spoken, it may not listen yet, and would end with a traceback.
            if self._asked and not passed_on and self.leader.heard_at is not None:
                self.leader.process.send_signal(self._asked[0])
                passed_on = True
        if end.exit_code == 0:
            last = self._now + self._timeouts.ending
            while self._running and self._now < last and len(self._asked) < 2:
                self._look()
        return end

    @property
    def _running(self) -> list[Worker]:
        return [worker for worker in self._workers if worker.exit_code is None]

    @property
    def _someone_is_missed(self) -> bool:
        return any(worker.exit_code == LostWorkerError.exit_code for worker in self._workers)

    def _look(self) -> None:
        ready = self._pipes.select(SECONDS_BETWEEN_LOOKS)
        now = time.monotonic()
        self._now += min(now - self._looked_at, LONGEST_LOOK)
        self._looked_at = now
        for key, _ in ready:
            data = os.read(key.fd, BLOCK)
            if data:
                key.data(data, self._now)
            else:
                self._pipes.unregister(key.fileobj)
        for worker in self._workers:
            worker.look(self._now)

    def _end(self) -> End | None:
        """Return the end by the first rule that knows it; None while there is none."""
        rules = (
            self._asked_twice,
            self._of_leader,
            self._killed,
            self._silent,
            self._failed,
            self._stopped,
            self._stuck,
        )
        return next((end for rule in rules if (end := rule()) is not None), None)

    def _asked_twice(self) -> End | None:
        return End(exit_code(self._asked[-1])) if len(self._asked) > 1 else None

    def _of_leader(self) -> End | None:
        """Rank 0 ended by itself, and has said why."""
        code = self.leader.exit_code
        if code is None or code == LostWorkerError.exit_code:
            return None
        if (stop := self._stop(self.leader)) is not None:
            return End(stop)
        return End(code) if code >= 0 else None

    def _killed(self) -> End | None:
        for worker in self._workers:
            code = worker.exit_code
            if code is None or code >= 0 or self._stop(worker) is not None:
                continue
            if worker.phase == "ending" and self.leader.exit_code is None:
                continue  # crashed when rank 0 may not need it any more
            printed = f"\n{worker.printed}" if code != -signal.SIGKILL and worker.printed else ""
            return _loss(worker, f"was killed by {_name(-code)}, {worker.when}{printed}")
        return None

    def _silent(self) -> End | None:
        for worker in self._running:
            usual = self._timeouts.joining if worker.phase == "starting" else self._timeouts.stall
            limit = self._timeouts.suspicion if self._someone_is_missed else usual
            if worker.heard_at is None and self._now >= self._timeouts.start:
                return _loss(worker, f"has not come: nothing was heard of it for {self._now:.0f} s")
            if worker.heard_at is not None and (silence := self._now - worker.heard_at) >= limit:
                return _loss(worker, f"was silent for {silence:.0f} s, {worker.when}")
        return None

    def _failed(self) -> End | None:
        """One ended by itself: for a reason of its own, or for the loss of another one, which may show later."""
        failed = [worker for worker in self._workers if worker.exit_code and self._stop(worker) is None]
        if not failed:
            return None
        failed.sort(key=lambda worker: worker.ended_at)
        waits = bool(self._running) and self._now - failed[0].ended_at < self._timeouts.cause
        for worker in failed:
            if worker.exit_code != LostWorkerError.exit_code:
                if waits and self.leader.exit_code is None:
                    return None  # rank 0 may fail in the same way, and says it itself
                return End(worker.exit_code, f"worker {worker.rank}: {worker.printed}")
        if waits or any(self._stop(worker) is not None for worker in self._workers):
            return None
        why = f": {failed[0].told['missed']}" if "missed" in failed[0].told else ""
        return _loss(failed[0], f"ended with exit code {failed[0].exit_code}, {failed[0].when}{why}")

    def _stopped(self) -> End | None:
        """One was stopped by a signal to it alone, and rank 0 does not follow, as it does while they train."""
        is_alone = self.leader.phase == "starting" or self._someone_is_missed
        for worker in self._workers:
            waited = self._now - worker.ended_at >= self._timeouts.ending
            stop = self._stop(worker)
            if stop is not None and (self.leader.exit_code is not None or (waited and is_alone)):
                said = worker.printed.splitlines()[-1:]  # nobody else says why all end
                return End(stop, f"worker {worker.rank}: {said[0]}" if said else "")
        return None

    def _stuck(self) -> End | None:
        """None moves, though rank 0 computes with the others, and so waits for them."""
        still = self._now - max(worker.moved_at or 0.0 for worker in self._workers)
        if self.leader.phase in WAITS_FOR_NOBODY or still < self._timeouts.collective:
            return None
        each = ", ".join(f"worker {worker.rank} is {worker.phase} {worker.when}" for worker in self._workers)
        return End(None, f"nothing has moved for {still:.0f} s: {each}")

    def _stop(self, worker: Worker) -> int | None:
        """Return the exit code of a worker that ended because a signal asked it to; None for all others."""
        code = worker.exit_code
        if code in [exit_code(number) for number in SIGNALS]:
            return code
        # By the signal itself, where it came before the worker listened.
        return exit_code(-code) if code is not None and -code in self._asked else None


def _loss(worker: Worker, how: str) -> End:
    return End(None, f"worker {worker.rank} on {socket.gethostname()} {how}")


def _name(number: int) -> str:
    return next((one.name for one in signal.Signals if one == number), f"signal {number}")
