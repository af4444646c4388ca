"""The errors that a user can cause, as one tree. Each leaf says what is wrong, where, and what to do.

KerasrunError                    exit code 1: the run failed for a reason that the user can mend
├── UsageError                   exit code 2: the command line is wrong
│   └── ExperimentError          exit code 2: the experiment file is wrong (all problems at once)
├── DataError                    a folder, an array, an image or a label is not as it must be
│   └── UnreadableImageError     an image file cannot be used
├── RunDirectoryError            no run here, a foreign folder, a run that cannot be written
│   ├── DamagedFileError         a file of the run is missing, or is not what was written
│   ├── RunBusyError             another process is writing this run
│   └── CheckpointError          no checkpoint can be read
├── ModelError                   the network does not fit the data, or its weights do not fit it
├── PluginError                  a plugin cannot be read, or its code fails
├── ModelFileError               a model file that kerasrun cannot use
├── ExportError                  a model cannot be written in a form, or computes something else in it
├── StorageError                 the storage of a sweep cannot be used
├── DeviceError                  a device that was asked for is not there, or cannot do what was asked for
├── WorkersError                 the processes that are to train together are described wrongly
├── OutOfMemoryError             what was read, built or computed does not fit into memory
├── NotFiniteError               the loss became NaN or infinite
├── TooFewStepsError             training ended before there was enough to compare
├── FailedRunsError              of several runs that belong together, some are not finished
├── NotExactError                training again, or going on after a cut, did not give the same bits
├── LostWorkerError              exit code 75: another process that trains this run is lost, not this one's fault
├── Interrupted                  exit code 130 or 143: stopped by a signal, after the state was saved
├── StdoutError                  what is printed cannot be written where stdout goes
└── MissingProgramError          a program that is not Python's (Graphviz), or an optional package, is missing
"""

import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class KerasrunError(Exception):
    """Anything that the user can mend; printed without a traceback, and the exit code is 1."""

    exit_code = 1

    def _render_traceback_(self) -> list[str]:
        """Return what a notebook shows instead of a traceback."""
        return [f"{type(self).__name__}: {self}"]


class UsageError(KerasrunError):
    """The command line is wrong: the exit code is 2."""

    exit_code = 2


class ExperimentError(UsageError):
    """The experiment file is wrong; the message lists every problem with its place."""

    sentences: tuple[str, ...] = ()
    """The problems without their places and lines."""


class DataError(KerasrunError):
    """The data on disk cannot be used as the experiment says."""


class UnreadableImageError(DataError):
    """A file that is not an image, or that is damaged, empty or misnamed."""

    def __init__(self, path: Path | None, reason: str) -> None:
        super().__init__(f"{path or 'image'}: {reason}")
        self.path = path
        self.reason = reason


class RunDirectoryError(KerasrunError):
    """A run directory is missing, foreign, or cannot be written."""


class DamagedFileError(RunDirectoryError):
    """A file of a run is missing, or is not what was written; a checkpoint may have it."""


class RunBusyError(RunDirectoryError):
    """Another process is writing this run."""


class CheckpointError(RunDirectoryError):
    """No checkpoint of the run can be read."""


class ModelError(KerasrunError):
    """The network cannot be built for this data, or its weights are another network's."""

    def __init__(self, message: str, layer: tuple[str, int | str] | None = None) -> None:
        """
        Args:
            layer: the section of the experiment and the place in it, from 0, of the layer that is to blame, or the key.
        """
        super().__init__(message)
        self.layer = layer


class PluginError(KerasrunError):
    """A file of the user's own code cannot be read or imported, or what it defines fails."""


class ModelFileError(KerasrunError):
    """A model file is missing, damaged, or was not written by kerasrun."""


class ExportError(KerasrunError):
    """A model cannot be written in another form, or what was written does not compute what the model does."""


class StorageError(KerasrunError):
    """The storage of a sweep cannot be reached, or has no such sweep."""


class DeviceError(KerasrunError):
    """The device that was asked for is not there, or cannot compute as was asked for."""


class WorkersError(KerasrunError):
    """The cluster describes the processes that are to train together wrongly, or as kerasrun cannot use them."""


class OutOfMemoryError(KerasrunError):
    """There is no memory left for what was to be read, built or computed."""


MORE_MEMORY = "end other programs, or raise the limits of this one (ulimit -v)"
"""What to do where no key of an experiment helps."""


_NO_THREAD = "can't start new thread"
"""Python's message where a thread cannot be started: memory is short, or the user has too many threads."""


@contextmanager
def within_memory(doing: str, advice: str) -> Iterator[None]:
    """Explain a full memory, whoever noticed it, by what was being done and what to change; the innermost one does.

    Raises:
        OutOfMemoryError: in place of what was raised.
    """
    try:
        yield
    except Exception as error:
        if not is_full_memory(error):
            raise
        said = " ".join(str(error).split())
        if said == _NO_THREAD:
            said += ", which ulimit -u bounds too"
        size = f" ({said[:200]})" if said else ""
        raise OutOfMemoryError(f"{doing}: there is not enough memory{size}; {advice}") from error


def is_full_memory(error: BaseException) -> bool:
    """Return whether Python, the system or TensorFlow, where it is loaded, found no memory; a full disk is another."""
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    if isinstance(error, RuntimeError):
        return str(error) == _NO_THREAD
    if isinstance(error, ImportError):  # of a library that finds no place among the addresses
        return "failed to map segment" in str(error) or "cannot allocate memory" in str(error)
    exhausted = getattr(sys.modules.get("tensorflow.python.framework.errors"), "ResourceExhaustedError", ())
    return isinstance(error, MemoryError) or (isinstance(error, exhausted) and "No space left" not in str(error))


class NotFiniteError(KerasrunError):
    """The loss became NaN or infinite."""


class TooFewStepsError(KerasrunError):
    """Training ended before there was enough to compare."""


class FailedRunsError(KerasrunError):
    """Some runs of a group are not finished; the others are."""


class NotExactError(KerasrunError):
    """Training again, or going on after a cut, did not give the same bits."""


class LostWorkerError(KerasrunError):
    """Another process that trains the same run is lost, so this one cannot go on; started again, all of them can.

    The exit code is that of a temporary failure (EX_TEMPFAIL of sysexits.h).
    """

    exit_code = 75


class Interrupted(KerasrunError):  # noqa: N818  not an error: what was asked for
    """Training was stopped by a signal after its state was saved; the message holds the resume command."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class StdoutError(KerasrunError):
    """Stdout goes to a full disk, or is closed."""


class MissingProgramError(KerasrunError):
    """A program outside Python, or an optional package, is not installed."""
