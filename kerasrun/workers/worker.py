"""One of the processes that train together, as their parent sees it: what it tells and prints, and how it ends."""

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Any

from kerasrun.workers.channel import VARIABLE

BLOCK = 2**16
"""Bytes to read at once: all that a pipe holds."""
KEPT_BYTES, KEPT_LINES = 2**16, 200
"""How much of what a worker prints is kept, from the end."""


class Worker:
    """A process in a session of its own, so that what a terminal sends reaches the parent alone.

    Rank 0 has the parent's streams. What the others print is kept, and shown only if they fail.
    """

    def __init__(self, rank: int, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """
        Raises:
            OSError: if the process cannot be started.
        """
        self.rank = rank
        self.told: dict[str, Any] = {}
        """The last value of each thing that it told; see `kerasrun/workers/channel.py`."""
        self.heard_at: float | None = None
        self.moved_at: float | None = None
        """When it last told more than that it is alive."""
        self.exit_code: int | None = None
        """As `subprocess.Popen.returncode` has it: negative for a signal."""
        self.ended_at = 0.0
        self._line = b""
        self._printed = b""
        reader, writer = os.pipe()
        channel: IO[bytes] = os.fdopen(reader, "rb", buffering=0)
        streams: dict[str, Any] = {}
        if rank:
            streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        try:
            self.process = subprocess.Popen(
                command,
                env={**environment, VARIABLE: str(writer)},
                pass_fds=[writer],
                start_new_session=True,
                bufsize=0,
                **streams,
            )
        except BaseException:
            channel.close()
            raise
        finally:
            os.close(writer)
        self.pipes: dict[IO[bytes], Callable[[bytes, float], None]] = {channel: self._hear}
        """What it writes to, and what takes in the bytes that came through, at a time."""
        if self.process.stdout is not None:
            self.pipes[self.process.stdout] = self._keep
        for pipe in self.pipes:
            os.set_blocking(pipe.fileno(), False)

    @property
    def phase(self) -> str:
        """Return what it does: as it told, or "starting" before it has told anything."""
        return str(self.told.get("phase", "starting"))

    @property
    def when(self) -> str:
        """Return how far it has come, as the end of a sentence."""
        return f"after step {self.told['step']}" if "step" in self.told else "before its first step"

    @property
    def printed(self) -> str:
        """Return the last lines that it printed, without an end of line."""
        return "\n".join(self._printed.decode(errors="backslashreplace").splitlines()[-KEPT_LINES:])

    def look(self, now: float) -> None:
        """Note whether it has ended; what it started and left behind then ends too.

        Raises:
            ValueError: if something that it told is not JSON.
        """
        if self.exit_code is None and self.process.poll() is not None:
            self.exit_code, self.ended_at = self.process.returncode, now
            self.kill()
            self._read_the_rest(now)

    def kill(self) -> None:
        """Kill it with all that it started."""
        with contextlib.suppress(ProcessLookupError):  # nothing was left
            os.killpg(self.process.pid, signal.SIGKILL)

    def bury(self, now: float) -> None:
        """Wait until it is gone after a `kill`, and let its pipes go."""
        self.process.wait()
        self._read_the_rest(now)
        for pipe in self.pipes:
            pipe.close()

    def _read_the_rest(self, now: float) -> None:
        for pipe, take in self.pipes.items():
            take(pipe.read(BLOCK) or b"", now)  # None where a process that it started still has the other end

    def _hear(self, data: bytes, now: float) -> None:
        *lines, self._line = (self._line + data).split(b"\n")
        for line in lines:
            message = json.loads(line)
            self.heard_at = now
            if "alive" not in message:
                self.moved_at = now
            self.told |= message

    def _keep(self, data: bytes, now: float) -> None:
        self._printed = (self._printed + data)[-KEPT_BYTES:]


def gpu_of(rank: int, devices: Sequence[int]) -> Mapping[str, str]:
    """Return the variable that leaves a process one GPU: of those that the experiment names, or that this one sees."""
    numbers = devices or range(rank + 1)
    seen = os.environ.get("CUDA_VISIBLE_DEVICES")
    visible = seen.split(",") if seen else [str(number) for number in range(max(numbers) + 1)]
    number = numbers[rank] if rank < len(numbers) else len(visible)
    return {"CUDA_VISIBLE_DEVICES": visible[number] if number < len(visible) else "-1"}
