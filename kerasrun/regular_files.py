"""The one door to files for reading: only regular files are opened.

Under any name there may be a named pipe, a socket, a terminal or a device, which a program would wait for, or read
without an end. Whoever opens files by name itself (HDF5, Arrow, a memory map) is preceded by `require_regular`.
"""

import errno
import io
import os
import stat
from pathlib import Path

_KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def open_regular(path: Path) -> io.BufferedReader:
    """Open a file to read its bytes; the OSError of another kind of file says what it is."""
    return open(path, "rb", opener=_opened)  # `Path.open` takes no opener


def require_regular(path: Path) -> None:
    """Raise an OSError that says what is there if it is neither a regular file nor a folder."""
    kind = _KINDS.get(stat.S_IFMT(path.stat().st_mode))
    if kind:
        raise OSError(errno.EINVAL, f"it is {kind}, not a file", str(path))


def read_bytes(path: Path, most: int | None = None) -> bytes:
    """Read a file; an OSError says that it has more than `most` bytes."""
    with open_regular(path) as file:
        content = file.read() if most is None else file.read(most + 1)
    if most is not None and len(content) > most:
        raise OSError(errno.EFBIG, f"it has more than {most:,} bytes", str(path))
    return content


def _opened(path: str, flags: int) -> int:
    require_regular(Path(path))
    # What became a pipe meanwhile is not waited for.
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
