"""Processes that stay alive and train one epoch when asked.

A contender is started, traces its graph and fills its caches in an epoch that does not count; from then on it waits
at the beginning of every epoch. So contenders take turns without paying for start-up again.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks._commands import ROOT
from benchmarks._rounds import take_turns
from benchmarks._turn import ANSWER

LINES_OF_LOG = 20

Report = dict[str, float]
"""`seconds`, `images`, and maybe more."""


def measure(
    commands: Mapping[str, Sequence[str]], rounds: int, folder: Path, told: Callable[[Report], str]
) -> dict[str, list[Report]]:
    """Start every contender, have it train an epoch that does not count, then let all of them take turns.

    Args:
        commands: what runs under each name.
        folder: for their logs.
        told: what is said of a report on stderr.

    Returns:
        for each contender its report of every round.
    """

    def epoch(name: str) -> Report:
        report = workers[name].epoch()
        print(f"{name}: {told(report)}", file=sys.stderr, flush=True)
        return report

    with ExitStack() as stack:
        workers: dict[str, Worker] = {}
        for number, (name, command) in enumerate(commands.items()):
            workers[name] = stack.enter_context(Worker(command, folder / f"{number}.log"))
            workers[name].epoch()  # traces; the next contender starts when this is done
        return take_turns(list(workers), rounds, epoch)


def images_per_second(report: Report) -> float:
    """Of an epoch."""
    return report["images"] / report["seconds"]


def speed_told(report: Report) -> str:
    """`12,345 images/s`."""
    return f"{images_per_second(report):,.0f} images/s"


class Worker:
    """One contender: a command that answers each line on stdin with an epoch and an answer on stdout."""

    def __init__(self, command: Sequence[str], log: Path) -> None:
        """Start the command; what it writes to stderr goes to `log`."""
        self.command = command
        self.log = log
        with log.open("wb") as stderr:
            self._process = subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, text=True
            )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._stdin, self._stdout = self._process.stdin, self._process.stdout

    def epoch(self) -> Report:
        """Have one epoch trained; what the contender reports of it."""
        with suppress(BrokenPipeError):  # it has ended; its last words are read below
            self._stdin.write("epoch\n")
            self._stdin.flush()
        answer = next((line for line in self._stdout if line.startswith(ANSWER)), None)
        if answer is None:
            raise SystemExit(self._why_it_ended())
        report: Report = json.loads(answer.removeprefix(ANSWER))
        return report

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with suppress(BrokenPipeError):  # it has ended without having been asked
            self._stdin.close()
        self._stdout.read()  # to its end, so that the process does not fail on a closed pipe
        self._stdout.close()
        self._process.wait()

    def _why_it_ended(self) -> str:
        code = self._process.wait()
        tail = "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-LINES_OF_LOG:])
        return f"{' '.join(self.command)}\nended with exit code {code}:\n{tail}"
