"""What a worker tells the process that started it: one JSON object a line, through a pipe that it inherited.

| message | when |
| --- | --- |
| `{"alive": true}` | at once, and then every second, from a thread |
| `{"phase": "training"}`, `"validating"` | before each chunk of batches |
| `{"phase": "freezing"}` | the same, where frozen layers are computed once |
| `{"phase": "saving"}` | by rank 0, when it begins to do alone what the others wait for |
| `{"phase": "ending"}` | by the others, when rank 0 has no more for them to do |
| `{"step": 120, "epoch": 3}` | after each chunk of steps |
| `{"missed": "…"}` | before it ends because it misses another one: how it noticed that |
| `{"run": "runs/x-1"}` | by rank 0, as soon as the run directory is its own |
| `{"saved": 120}` | by rank 0, when a checkpoint is on disk, and for the one at which a resume begins |

The format is kerasrun's own; `kerasrun/workers/parent.py` reads it. It is neither stored nor sent to another machine.
"""

import json
import os
import stat
import threading
import time

from kerasrun.errors import LostWorkerError, WorkersError
from kerasrun.text.problems import shown

VARIABLE = "KERASRUN_CHANNEL"
"""The environment variable with the number of the descriptor to write to."""
SECONDS_BETWEEN_SIGNS_OF_LIFE = 1.0


class Channel:
    """Tells the parent what this process does, and by a thread that it is alive.

    A process whose parent is gone ends at once with the exit code of a `LostWorkerError`: nobody would restart it, and
    nothing else would ever end it.
    """

    def __init__(self, descriptor: int) -> None:
        """
        Args:
            descriptor: the end of a pipe to write to; open until the process ends.
        """
        os.set_inheritable(descriptor, False)  # what this process starts must not speak in its name
        self._descriptor = descriptor
        self._one_at_a_time = threading.Lock()
        threading.Thread(target=self._live, name="kerasrun-channel", daemon=True).start()

    @classmethod
    def from_environment(cls) -> "Channel | None":
        """Return the channel of a process that was started with one, or None.

        The variable is taken out of the environment: it is not meant for the processes that this one starts. So a
        process asks once.

        Raises:
            WorkersError: if the variable does not name a pipe.
        """
        written = os.environ.pop(VARIABLE, None)
        if written is None:
            return None
        try:
            descriptor = int(written)
            is_pipe = stat.S_ISFIFO(os.fstat(descriptor).st_mode)
        except (ValueError, OverflowError, OSError):
            is_pipe = False
        if not is_pipe:
            raise WorkersError(f"{VARIABLE}={shown(written)} names no open pipe; unset it: --workers sets it")
        return cls(descriptor)

    def tell(self, **message: bool | int | str) -> None:
        """Write a message; any thread may. Where the parent is gone, the process ends here."""
        rest = json.dumps(message).encode() + b"\n"
        try:
            with self._one_at_a_time:
                while rest:
                    rest = rest[os.write(self._descriptor, rest) :]
        except BrokenPipeError:
            os._exit(LostWorkerError.exit_code)

    def _live(self) -> None:
        while True:
            self.tell(alive=True)
            time.sleep(SECONDS_BETWEEN_SIGNS_OF_LIFE)


_channels: list[Channel] = []
"""That of this process, if it has one."""


def begin() -> None:
    """Open the channel of this process, if it was started with one."""
    if channel := Channel.from_environment():
        _channels.append(channel)


def is_open() -> bool:
    """Return whether a parent listens."""
    return bool(_channels)


def tell(**message: bool | int | str) -> None:
    """Tell the parent, if there is one."""
    for channel in _channels:
        channel.tell(**message)
