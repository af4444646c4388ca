"""Own a run while this process writes it: lock, log, and the status in `run.json` when it ends. Light to import."""

import contextlib
import errno
import logging
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kerasrun.errors import Interrupted, KerasrunError, RunDirectoryError
from kerasrun.runs import atomic, checkpoints
from kerasrun.runs.directory import RunDirectory
from kerasrun.runs.lock import lock
from kerasrun.runs.log import attach
from kerasrun.runs.records import Status
from kerasrun.training.stopping import signals

logger = logging.getLogger("kerasrun")


@dataclass
class RunStatus:
    """Whether this process trains the run; until then its status is not this process's to change."""

    run: RunDirectory
    is_mine: bool = False

    def ended(self, status: Status, reason: str, error: Exception | None = None) -> None:
        if not self.is_mine:
            return
        try:
            kind = {} if error is None else {"error": type(error).__name__}
            self.run.update_run(status=status, reason=reason, **kind)
        except RunDirectoryError as refusal:
            # Where the disk is full this fails as well, and must not hide why the run ended.
            logger.warning("that the run %s could not be noted: %s", status, refusal)


@contextlib.contextmanager
def owned(run: RunDirectory) -> Iterator[RunStatus]:
    """Hold the run's lock and log; `run.json` says how it ended, whatever happens short of a kill."""
    status = RunStatus(run)
    with lock(run), attach(run):
        try:
            with _how_to_go_on(status), _full_disk_explained(run):
                yield status
        except Interrupted as interruption:
            status.ended("interrupted", str(interruption))
            raise
        except KerasrunError as error:
            status.ended("failed", str(error), error)
            raise
        except KeyboardInterrupt as interruption:
            signal = signals.name(signals.number_of(interruption))
            status.ended("interrupted", f"stopped by {signal} before the first step of this process, or after the last")
            raise
        except Exception as error:
            logging.getLogger("kerasrun.bug").error("%s", traceback.format_exc())
            status.ended("failed", f"{type(error).__name__}: {error}", error)
            raise


@contextlib.contextmanager
def _how_to_go_on(status: RunStatus) -> Iterator[None]:
    """Add to an error of the disk what to type once the disk is mended."""
    try:
        yield
    except RunDirectoryError as error:
        if not status.is_mine or not isinstance(error.__cause__, OSError):
            raise
        run = status.run
        if not run.run_file.exists():  # the folder itself may be there again, made for a file that was being written
            raise RunDirectoryError(f"{error}; the folder of the run was removed or moved while it trained") from error
        if checkpoints.any_saved(run):
            raise RunDirectoryError(f"{error}. Then go on with: kerasrun resume {run.quoted}") from error
        raise RunDirectoryError(f"{error}. Nothing was trained yet: then train it again") from error


@contextlib.contextmanager
def _full_disk_explained(run: RunDirectory) -> Iterator[None]:
    """Explain an OSError of what a callback writes: of a full disk, or of a folder where a file should be."""
    try:
        yield
    except OSError as error:
        is_of_run = isinstance(error.filename, str) and Path(error.filename).is_relative_to(run.root)
        if not is_of_run and error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        with atomic.explained(Path(error.filename) if is_of_run else run.root):
            raise
