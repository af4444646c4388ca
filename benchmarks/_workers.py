"""Processes that stay alive and train one epoch when asked.

A contender is started, traces its graph and fills its caches in an epoch that does not count; from then on it waits
at the beginning of every epoch. So contenders take turns without paying for start-up again.
"""

import json
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks._turn import ANSWER

ROOT = Path(__file__).parents[1]
LINES_OF_LOG = 20


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

    def epoch(self) -> dict[str, float]:
        """Have one epoch trained; what the contender reports of it: `seconds`, `images`, and maybe more."""
        with suppress(BrokenPipeError):  # it has ended; its last words are read below
            self._stdin.write("epoch\n")
            self._stdin.flush()
        answer = next((line for line in self._stdout if line.startswith(ANSWER)), None)
        if answer is None:
            raise SystemExit(self._why_it_ended())
        report: dict[str, float] = json.loads(answer.removeprefix(ANSWER))
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
