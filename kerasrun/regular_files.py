"""The one door to files for reading: only regular files are opened.

Under any name there may be a named pipe, a socket, a terminal or a device, which a program would wait for, or read
without an end. Whoever opens files by name itself (HDF5, Arrow, a memory map) is preceded by `require_regular`.
"""

import errno
import hashlib
import io
import os
import stat
import sys
from collections.abc import Iterable
from pathlib import Path

LARGEST_TEXT = 2**25
"""How many bytes a text may have: a description of a run, its table of epochs, a plugin."""
LARGEST_NETWORK = 2**23
"""How many bytes of JSON or YAML a network may have, without its weights."""
_KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def open_regular(path: Path) -> io.BufferedReader:
    """Open a file to read its bytes; the OSError of another kind of file says what it is."""
    require_regular(path)
    file = open(path, "rb", opener=_without_waiting)  # noqa: SIM115
    try:
        state = os.fstat(file.fileno())
        _require_kind(state.st_mode, path)  # it may have been replaced since
        if state.st_size == 0:
            _require_no_stream(file.fileno(), path)
    except OSError:
        file.close()
        raise
    return file


def require_regular(path: Path) -> None:
    """Raise an OSError that says what is there if it is neither a regular file nor a folder."""
    _require_kind(path.stat().st_mode, path)


def refusal_of_links(places: Iterable[Path]) -> str | None:
    """Return why nothing is written to the first of the places that is a link; None if none is."""
    links = (place for place in places if place.is_symlink())
    return next((f"{link} is a link, and nothing is written through one" for link in links), None)


def _require_kind(mode: int, path: Path) -> None:
    kind = _KINDS.get(stat.S_IFMT(mode))
    if kind:
        raise OSError(errno.EINVAL, f"it is {kind}, not a file", str(path))


def _without_waiting(name: str, flags: int) -> int:
    return os.open(name, flags | getattr(os, "O_NONBLOCK", 0))  # Windows has no named pipes under names of files


def _require_no_stream(descriptor: int, path: Path) -> None:
    """Refuse what is a file by its kind, but would be waited for, such as /proc/kmsg."""
    if sys.platform != "linux":
        return
    try:
        os.pread(descriptor, 1, 0)
    except BlockingIOError:
        raise OSError(errno.EINVAL, "it is a stream of the system, not a file", str(path)) from None


def read_bytes(path: Path, most: int = LARGEST_TEXT) -> bytes:
    """Read a file; an OSError says that it has more than `most` bytes, or that it grows."""
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > most:
            raise OSError(errno.EFBIG, f"it has more than {most:,} bytes", str(path))
        content = file.read(size + 1)
    if len(content) > size:
        raise OSError(errno.EFBIG, "it grows while it is read", str(path))
    return content


def sha256_of_file(path: Path) -> str:
    """Return the checksum of a file's content, as hexadecimal text."""
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
