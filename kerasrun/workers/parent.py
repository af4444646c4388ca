"""The parent of several processes that train one run on this machine: it starts them again after a loss.

It knows nothing of Keras, and of a run only what rank 0 tells it. `kerasrun/workers/group.py` watches them.
"""

import contextlib
import logging
import shlex
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence

from kerasrun import stderr
from kerasrun.errors import KerasrunError
from kerasrun.workers.child_processes import SIGNALS, exit_code
from kerasrun.workers.group import Group
from kerasrun.workers.timeouts import Timeouts
from kerasrun.workers.worker import Worker

logger = logging.getLogger("kerasrun")


def run(
    command: Callable[[str | None], Sequence[str]],
    count: int,
    *,
    addresses: Callable[[int], Sequence[str]],
    environment: Callable[[int, int], Mapping[str, str]],
    smaller: Callable[[int], int | None] | None = None,
    restarts: int = 3,
    timeouts: Timeouts | None = None,
) -> int:
    """Run a command in several processes to the end, and return the exit code for all of them.

    For the main thread, on POSIX. The first SIGINT, SIGTERM, SIGHUP or SIGUSR1 is passed on to rank 0, which saves and
    has the others end, however long that takes. The second one kills all.

    Args:
        command: gives the command line of every process, for the run directory that rank 0 has named, or None.
        count: how many processes.
        addresses: gives "host:port" for each of so many processes, in the order of ranks; asked before each attempt.
        environment: gives the environment variables to add for a rank and a count.
        smaller: gives the number of processes to go on with after a loss, of so many, or None where there is no smaller
            one; without it, all are started again.
        restarts: how often all are started again without a newer checkpoint.
        timeouts: how long to wait for what.

    Raises:
        OSError: if a process cannot be started; none is left then.
    """
    known = _Known(restarts)
    with signals_collected() as asked:
        while not asked:
            with Group(timeouts or Timeouts(), asked) as group:
                group.start(command(known.run), addresses(count), environment)
                end = group.watch()
            _leave_the_live_line()
            if end.message:
                logger.error("%s", end.message)
            if end.exit_code is not None:
                return end.exit_code
            known.learn(group.leader)
            if asked:
                break
            if reason := known.why_not_again():
                logger.error("%s", reason)
                return KerasrunError.exit_code
            count = (smaller and smaller(count)) or count
            logger.warning("%s with %d worker%s", known.begin(), count, "s" * (count > 1))
        return exit_code(asked[-1])


class _Known:
    """What is known of the run after losses, and whether and how it goes on."""

    def __init__(self, restarts: int) -> None:
        self.run: str | None = None
        self._saved = -1
        """The step of the newest checkpoint; -1 before the first one."""
        self._restarts = self._left = restarts

    def learn(self, leader: Worker) -> None:
        """Take in what rank 0 told before the loss."""
        self.run = leader.told.get("run", self.run)
        if (saved := leader.told.get("saved", -1)) > self._saved:
            self._saved, self._left = saved, self._restarts

    def why_not_again(self) -> str | None:
        """Return why there is no restart, and what to do; None if there is one."""
        if self.run is not None and self._saved < 0:
            return f"{self.run}: no checkpoint was saved before that, so nothing can be resumed; train again"
        if self._left:
            return None
        later = "" if self.run is None else f"; kerasrun resume {shlex.quote(self.run)} goes on from step {self._saved}"
        tried = f"{self._restarts} restarts brought no newer checkpoint" if self._restarts else "not started again"
        return tried + later

    def begin(self) -> str:
        """Use one of the restarts, and return what to say of it."""
        self._left -= 1
        return "starting again" if self.run is None else f"going on from the checkpoint of step {self._saved}"


@contextlib.contextmanager
def signals_collected() -> Iterator[list[int]]:
    """Collect the signals that ask this process to stop, in their order."""
    asked: list[int] = []
    # Who began this process with a signal ignored (nohup, a job in the background) wants it ignored.
    heard = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, lambda number, frame: asked.append(number)) for number in heard}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _leave_the_live_line() -> None:
    """Clear the live line and show the cursor again, which rank 0 could not do where it was killed."""
    if sys.stderr.isatty():
        stderr.as_it_is().write("\r\x1b[2K\x1b[?25h")
