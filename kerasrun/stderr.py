"""What is for the user, on stderr: where the command line, or a call in Python, has it shown.

Names of files, classes and layers are other people's. To a terminal some of their characters are commands, or turn the
text around; here is the one place that writes these as Python escapes them.
"""

import contextlib
import io
import logging
import re
import sys
from typing import Any

LOGGER = logging.getLogger("kerasrun")
_COMMANDS = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""Control characters but for tabs and ends of lines, and what sets the direction of writing."""


_LONG = ((re.compile(r"\S{1001,}"), 100), (re.compile(r"[^\n]{5001,}"), 2000))
"""Words and lines that nobody reads, and how many characters of each end are shown: a number may have thousands."""


def harmless(text: str) -> str:
    """Return a text without characters that a terminal would not show."""
    return _COMMANDS.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def plain(text: str) -> str:
    """Return a text in which nothing breaks a line or cannot be encoded.

    Control characters, ends of lines and bytes of a file name that are not UTF-8 are written as Python escapes them.
    """
    if text.isprintable():  # a page has the addresses of many pictures
        return text
    encoded = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in encoded)


def _short(text: str) -> str:
    """Return a text with no more of its words and lines than can be read."""
    for pattern, kept in _LONG:
        text = pattern.sub(lambda found, kept=kept: f"{found[0][:kept]}…{found[0][-kept:]}", text)  # type: ignore[misc]
    return text


def say_before_waiting(text: str) -> None:
    """Say what takes a while, where somebody sits before a terminal; a log need not have it."""
    if sys.stderr.isatty():
        LOGGER.info("%s", text)


class Shown(io.TextIOWrapper):
    """A stream that writes nothing but harmless text, also where its encoding lacks a character."""

    def __init__(self, stream: io.TextIOWrapper) -> None:
        encoding, lines = stream.encoding, stream.line_buffering
        super().__init__(stream.detach(), encoding, "backslashreplace", line_buffering=lines)

    def write(self, text: str) -> int:
        return self.write_as_it_is(harmless(text))

    def write_as_it_is(self, text: str) -> int:
        return super().write(text)


class Stderr(Shown):
    """A stderr on which everything that is said may be lost: a full disk or a dead pipe behind it ends nothing.

    What prints there is not ours alone: Keras, plugins, warnings.
    """

    def __init__(self, stream: io.TextIOWrapper) -> None:
        at_once = stream.write_through  # PYTHONUNBUFFERED
        super().__init__(stream)
        self.reconfigure(write_through=at_once)

    def write(self, text: str) -> int:
        super().write(_short(text))
        return len(text)

    def write_as_it_is(self, text: str) -> int:
        with contextlib.suppress(OSError):
            super().write_as_it_is(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            super().flush()


def as_it_is() -> Any:
    """Return stderr for what moves the cursor itself; who writes there makes the names in it harmless."""
    return _AsItIs(sys.stderr)


class _AsItIs:
    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        stream = self._stream
        return stream.write_as_it_is(text) if isinstance(stream, Shown) else int(stream.write(text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def in_notebook() -> bool:
    """Return whether the kernel of a notebook runs this program."""
    ipython = sys.modules.get("IPython")
    return hasattr(ipython.get_ipython() if ipython else None, "kernel")


class _CurrentStderr(logging.Handler):
    """Writes to whatever `sys.stderr` is at the moment: a live progress bar replaces it for a while.

    A notebook shows stderr in red, so there it gets warnings alone.
    """

    def emit(self, record: logging.LogRecord) -> None:
        file = sys.stdout if record.levelno < logging.WARNING and in_notebook() else sys.stderr
        with contextlib.suppress(OSError):  # a full disk behind stderr must not end a training
            print(harmless(getattr(record, "on_terminal", None) or self.format(record)), file=file)


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
