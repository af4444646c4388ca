"""What a user can cause, as one tree: a message says what is wrong, where, and what to do."""

from pathlib import Path


class KerasrunError(Exception):
    """Anything that the user can mend; printed without a traceback, and the exit code is 1."""

    exit_code = 1


class UsageError(KerasrunError):
    """The command line is wrong: the exit code is 2."""

    exit_code = 2


class ExperimentError(UsageError):
    """The experiment file is wrong; the message lists every problem with its place."""


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


class PluginError(KerasrunError):
    """A file of the user's own code cannot be read or imported, or what it defines fails."""


class ModelFileError(KerasrunError):
    """A model file is missing, damaged, or was not written by kerasrun."""


class ExportError(KerasrunError):
    """A model cannot be written in another form, or what was written does not compute what the model does."""


class DeviceError(KerasrunError):
    """The device that was asked for is not there, or cannot compute as was asked for."""


class OutOfMemoryError(KerasrunError):
    """The device has no memory left for this batch."""


class NotFiniteError(KerasrunError):
    """The loss became NaN or infinite."""


class TooFewStepsError(KerasrunError):
    """Training ended before there was enough to compare."""


class NotExactError(KerasrunError):
    """Training again, or going on after a cut, did not give the same bits."""


class Interrupted(KerasrunError):  # noqa: N818  not an error: what was asked for
    """Training was stopped by a signal after its state was saved; the message holds the resume command."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class MissingProgramError(KerasrunError):
    """A program outside Python, or an optional package, is not installed."""
