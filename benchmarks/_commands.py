"""Whole commands, as a user waits for them: what they print, how long they take, how much memory they need."""

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
KERASRUN = (sys.executable, "-m", "kerasrun")
_AS_INSTALLED = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
"""The environment of a command: the bytecode of kerasrun is kept, as it is of every package that pip installs."""
_UNIT = 1 if sys.platform == "darwin" else 1024
"""Of the memory that the kernel tells, in bytes."""


@dataclass(frozen=True)
class Finished:
    """A command that came to its end."""

    output: str
    seconds: float
    peak: int
    """The most memory that the process had at once, in bytes (its resident set); no less than `own_peak()`."""


def run(command: Sequence[str], *, stdin: str = "") -> Finished:
    """Run a command in the project's root; the benchmark ends where it fails.

    Args:
        stdin: what the command is told, all at once.
    """
    with tempfile.TemporaryFile("w+") as given, tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        given.write(stdin)
        given.seek(0)
        begin = time.perf_counter()
        process = subprocess.Popen(command, cwd=ROOT, env=_AS_INSTALLED, stdin=given, stdout=output, stderr=errors)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        for file in (output, errors):
            file.seek(0)
        if process.returncode:
            told = errors.read().decode(errors="replace")
            raise SystemExit(f"{' '.join(command)}\nended with exit code {process.returncode}:\n{told}")
        return Finished(output.read().decode(), seconds, usage.ru_maxrss * _UNIT)


def own_peak() -> int:
    """The most memory that this process had so far, in bytes. The kernel counts it for a child, until that begins."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _UNIT


def with_overrides(*overrides: str) -> list[str]:
    """`-s key.path=value` for each of them."""
    return [argument for override in overrides for argument in ("-s", override)]


def only_run(folder: Path) -> Path:
    """The run directory in a folder that one training made."""
    return next(path for path in folder.iterdir() if path.is_dir() and not path.is_symlink())
