"""What is for the user, on stderr: where the command line, or a call in Python, has it shown."""

import contextlib
import io
import logging
import sys

LOGGER = logging.getLogger("kerasrun")


class _CurrentStderr(logging.Handler):
    """Writes to whatever `sys.stderr` is at the moment: a live progress bar replaces it for a while."""

    def emit(self, record: logging.LogRecord) -> None:
        with contextlib.suppress(OSError):  # a full disk behind stderr must not end a training
            print(getattr(record, "on_terminal", None) or self.format(record), file=sys.stderr)


class Stderr(io.TextIOWrapper):
    """A stderr on which everything that is said may be lost: a full disk or a dead pipe behind it ends nothing.

    What prints there is not ours alone: Keras, plugins, warnings.
    """

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError):
            super().write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            super().flush()


def show() -> logging.Handler:
    """Show what is logged for the user."""
    handler = _CurrentStderr()
    # Tracebacks of bugs go to log.txt; the user gets one sentence.
    handler.addFilter(lambda record: record.name != "kerasrun.bug")
    handler.addFilter(lambda record: not getattr(record, "for_log_alone", False))
    LOGGER.addHandler(handler)
    LOGGER.setLevel(logging.INFO)
    return handler


def show_unless_configured() -> None:
    """Show it in a program or a notebook that has not configured logging, and does not later."""
    if not LOGGER.hasHandlers():
        show().addFilter(lambda record: not logging.getLogger().handlers)
