"""Processes that help this one, and the signals that ask it to stop, which must not end them before."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

if sys.platform == "win32":
    PREEMPTION = (signal.SIGTERM,)
else:
    PREEMPTION = (signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP)
SIGNALS = (signal.SIGINT, *PREEMPTION)


def exit_code(number: int) -> int:
    """Return 130 for Ctrl-C; 143 for the others, so that a job script need not know which of them came."""
    return 128 + (signal.SIGINT if number == signal.SIGINT else signal.SIGTERM)


@contextmanager
def deaf_children() -> Iterator[None]:
    """Keep `SIGNALS` from processes that are started in the block; for this one they wait until the block ends.

    A scheduler signals every process of a job, and a helper must outlive the process that it helps.
    """
    if sys.platform == "win32":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
