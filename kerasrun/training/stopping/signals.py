"""Ctrl-C, SIGTERM, SIGHUP and SIGUSR1: the first one asks training to save and stop, the second ends it at once.

SIGUSR1 is what Slurm sends some time before it takes the machine away (`--signal=USR1@120`); SIGHUP comes when the
terminal goes away, as with a closed laptop.
"""

import logging
import os
import signal
import sys
import threading
from types import FrameType, TracebackType
from typing import TYPE_CHECKING

from kerasrun.workers import channel
from kerasrun.workers.child_processes import SIGNALS, exit_code

if TYPE_CHECKING:  # every command imports this module, and training alone listens
    import socket

logger = logging.getLogger("kerasrun")


class Stopped(KeyboardInterrupt):
    """A signal where there is nothing to save; like Ctrl-C, it passes every `except Exception` on its way."""

    def __init__(self, number: int) -> None:
        super().__init__(f"interrupted by {name(number)} before training began, or after it; nothing was lost")
        self.number = number

    def _render_traceback_(self) -> list[str]:
        """Return what a notebook shows instead of a traceback."""
        return [str(self)]


def number_of(interruption: KeyboardInterrupt) -> int:
    """Return the signal behind an interruption."""
    return interruption.number if isinstance(interruption, Stopped) else signal.SIGINT


def name(number: int) -> str:
    """Return the name that users know."""
    return "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name


def interrupt_on_signals() -> None:
    """Make SIGTERM, SIGHUP and SIGUSR1 interrupt this process as Ctrl-C does, instead of ending it silently.

    For the command line: the main thread of a process that is ours. Training listens in its own way meanwhile.
    """
    for number in SIGNALS:
        if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
            signal.signal(number, _interrupt)


def raise_if_interrupted() -> None:
    """Raise the interruption that was lost on its way: code in C may drop it, or make another error of it."""
    if _interruptions:
        raise _interruptions[0]


_interruptions: list[Stopped] = []


def _interrupt(number: int, frame: FrameType | None) -> None:
    signal.signal(number, _end_at_once)
    _interruptions.append(Stopped(number))
    raise _interruptions[-1]


def _end_at_once(number: int, frame: FrameType | None) -> None:
    if not channel.is_open():  # a parent hears signals itself, and passes the first one on
        os._exit(exit_code(number))


class StopRequest:
    """While entered, holds the number of the signal that asked to stop, or None.

    Python runs its handlers between two lines of Python; a step of a large network may be minutes away from the next.
    So signals are heard by a thread, through the descriptor that the interpreter writes each signal's number to.

    In a thread other than the main one, where Python delivers no signals, it never asks.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self._before: dict[int, object] = {}

    def __enter__(self) -> "StopRequest":
        raise_if_interrupted()
        if threading.current_thread() is threading.main_thread():
            self._listen()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._before:
            return
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        signal.set_wakeup_fd(self._descriptor_before)
        self._writer.close()
        self._thread.join()
        self._before = {}

    def __bool__(self) -> bool:
        return self.signal is not None

    def _listen(self) -> None:
        import socket

        # Who began this process with a signal ignored (nohup, a job in the background) wants it ignored.
        heard = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
        if not heard:
            return
        reader, self._writer = socket.socketpair()
        self._writer.setblocking(False)
        self._descriptor_before = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        self._before = {number: signal.signal(number, _leave_to_the_thread) for number in heard}
        self._thread = threading.Thread(target=self._hear, args=(reader, heard), daemon=True)
        self._thread.start()

    def _hear(self, reader: "socket.socket", heard: list[signal.Signals]) -> None:
        is_interactive = hasattr(sys, "ps1")  # a notebook: what it has in its variables would be lost
        with reader:
            while received := reader.recv(1):
                number = received[0]
                if number not in heard:
                    continue
                if self.signal is not None and (is_interactive or channel.is_open()):
                    continue
                if self.signal is not None:
                    # At once: every file is whole or not there, and the system releases the run's lock.
                    os._exit(exit_code(number))
                self.signal = number
                more = "" if is_interactive or channel.is_open() else "; once more ends it at once"
                logger.info("%s: stopping after the steps at hand%s", name(number), more)


def _leave_to_the_thread(number: int, frame: FrameType | None) -> None:
    """Do nothing; without a handler in Python, the interpreter would not write the signal's number."""
