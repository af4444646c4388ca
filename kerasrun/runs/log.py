"""`log.txt`: what kerasrun told the user, with the time; written while a run is open.

Everything for the user goes through `logging.getLogger("kerasrun")`. The command line shows it on stderr.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kerasrun.runs import atomic
from kerasrun.runs.directory import RunDirectory
from kerasrun.stderr import harmless

LOGGER = logging.getLogger("kerasrun")


@contextmanager
def attach(run: RunDirectory) -> Iterator[None]:
    """Append what is logged in the block to the run's `log.txt`.

    Raises:
        RunDirectoryError: if the file cannot be opened. Later failures are reported once and end nothing.
    """
    handler = _RunLog(run.log_file)
    level = LOGGER.level
    LOGGER.addHandler(handler)
    LOGGER.setLevel(min(LOGGER.getEffectiveLevel(), logging.INFO))
    try:
        yield
    finally:
        LOGGER.setLevel(level)
        LOGGER.removeHandler(handler)
        handler.close()


class _RunLog(logging.Handler):
    """Each record is one write to a file opened for appending: no buffer that a kill loses or a full disk jams."""

    def __init__(self, path: Path) -> None:
        with atomic.explained(path):
            self._descriptor = atomic.open_file(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        super().__init__()
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%S%z"))
        self._path = path
        self._failed = False

    def emit(self, record: logging.LogRecord) -> None:
        try:
            os.write(self._descriptor, (harmless(self.format(record)) + "\n").encode(errors="backslashreplace"))
        except OSError as error:
            self._report(error)
        else:
            self._failed = False

    def close(self) -> None:
        try:
            os.close(self._descriptor)
        except OSError as error:
            self._report(error)
        super().close()

    def _report(self, error: OSError) -> None:
        if not self._failed:
            self._failed = True  # first, for the report comes back to this handler
            LOGGER.warning("%s cannot be written: %s; the run goes on without it", self._path, error.strerror)
