"""Check that a run goes on with the data that it began with, which is known once every file was read.

Light to import: TensorFlow is not needed.
"""

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from kerasrun.errors import DataError
from kerasrun.pipeline.selection import is_in_memory
from kerasrun.reading.data import Data
from kerasrun.runs.directory import RunDirectory

if TYPE_CHECKING:
    from kerasrun.engine.job import Job
    from kerasrun.training.writer import RunWriter

logger = logging.getLogger("kerasrun")

KEY: Final = "data_fingerprint"
"""The key in `run.json`; null until a run has read its data."""
FILES_KEY = "data_files"
"""The key of `Data.files` in `run.json`."""
_AT_ONCE = 1.0
"""Seconds of waiting that are not reported."""


def to_compare(recorded: Mapping[str, Any], data: Data, *, accept: bool) -> str | None:
    """Return what a resume compares with the fingerprint that `run.json` recorded.

    Where names, sizes and times of the files are those of the run, nobody waits until they are read: they are taken for
    the same, and held against the run when they are (`FingerprintCheck`).

    Args:
        accept: whether another fingerprint would be accepted, which must then be known.

    Raises:
        DataError: if a file cannot be used.
    """
    if recorded.get(KEY, "") is None:
        return None  # it had not read its data, and so taken no step that a resume knows of
    looks_the_same = data.files is not None and data.files == recorded.get(FILES_KEY)
    if looks_the_same and not data.is_read and not accept:
        return str(recorded[KEY])
    return data.fingerprint


class FingerprintCheck:
    """Compares the data with the run, before anything is saved that was computed from them."""

    def __init__(self, run: RunDirectory, job: "Job", writer: "RunWriter") -> None:
        self._run = run
        self._data = job.data
        self._splits = job.splits
        self._team = job.team
        self._writer = writer
        self._is_done = False

    def require(self) -> None:
        """Wait until every file was read, then compare; the first time, the run takes note.

        Raises:
            DataError: if a file cannot be used, or the data are others than those of the run.
            WorkersError: if another process has other data.
        """
        if self._is_done:
            return
        if not self._data.is_read_within(_AT_ONCE):
            logger.info("reading the rest of the files of the data: what was computed is saved when all were read once")
        now, recorded = self._data.fingerprint, self._run.read_run().get(KEY)
        if recorded is None:
            self._writer.submit(lambda: self._run.update_run(**{KEY: now}))
        elif recorded != now:
            raise DataError(
                f"a file of the data is not what it was when {self._run} began, although names, sizes and times are: "
                f"the fingerprint is {now[:12]}, it was {recorded[:12]}; what was computed since is not saved. Put the "
                f"files back as they were, or kerasrun resume {self._run.quoted} --accept-changes goes on, although "
                "the run will then not end with the same bits"
            )
        self._team.require_same_data(now)
        self._is_done = True
        self._say_copies()

    def _say_copies(self) -> None:
        """Warn where examples that validate train as well, as far as that is known without reading them again."""
        from kerasrun.inspection.findings import trained_and_validated

        if len(self._splits) < 2 or not all(is_in_memory(split.inputs) for split in self._splits):
            return
        train, validation = self._splits
        if copies := trained_and_validated(train, validation):
            logger.warning(
                "%d of %d validation examples are training examples too, so validation is better than it should be: "
                "kerasrun inspect names them",
                *(copies, len(validation)),
            )

    def look(self) -> None:
        """Do as `require`, if every file was read by now, and there is nobody else who may still read."""
        if self._data.is_read and self._team.workers == 1:
            self.require()
