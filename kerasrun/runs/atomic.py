"""Every write to a run: under a private name in the same folder, flushed to the disk, renamed, the folder flushed.

Whoever reads sees the old content or the new one, whatever happens in between: a full disk, a kill, a power cut. A
write that fails removes its private file and raises `RunDirectoryError`; what a killed process leaves behind has a name
that no reader looks at, and `remove_leftovers` takes it away.
"""

import contextlib
import errno
import json
import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kerasrun.errors import RunDirectoryError

_PRIVATE = ".tmp-"
_LARGEST_WRITE = 1 << 26  # macOS refuses writes of 2 GiB and more
_NO_SPACE = "what was written before is kept; free some space"
_NO_RIGHT = "kerasrun must be able to write there: see who owns it and whether the disk is mounted read-only"
_WHAT_TO_DO = {
    errno.ENOSPC: _NO_SPACE,
    errno.EDQUOT: _NO_SPACE,
    errno.EACCES: _NO_RIGHT,
    errno.EPERM: _NO_RIGHT,
    errno.EROFS: _NO_RIGHT,
    errno.EIO: "what was written before is kept; the disk reports a fault, so copy the run to another one",
}


def write_bytes(path: Path, data: bytes) -> None:
    """Put `data` at `path`, whole or not at all.

    Raises:
        RunDirectoryError: if the disk refuses; what was at `path` is still there.
    """
    with replacing(path) as private:
        _write(private, data)


def write_text(path: Path, text: str) -> None:
    """Write text as `write_bytes` does, in UTF-8, with its line ends as they are."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> None:
    """Write indented JSON. Floats come back bit for bit; `NaN` and `Infinity` are written as Python does."""
    write_text(path, json.dumps(value, indent=2) + "\n")


def replace_from(private: Path, path: Path) -> None:
    """Put a file that was made elsewhere in the folder of `path` in place; it is gone afterwards, also after a failure.

    Raises:
        RunDirectoryError: if the disk refuses; what was at `path` is still there.
    """
    with writing(path, private):
        flush(private)
        private.replace(path)
        flush_folder(path.parent)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a name beside `path`, of the same suffix, for the block to write; then put that file in place.

    The folder of `path` is made if it is missing (its parent must be there).

    Raises:
        RunDirectoryError: if the block or the disk fails with an OSError; what was at `path` is still there.
    """
    private = private_name(path)
    with writing(path, private):
        make_folder(path.parent)
        yield private
    replace_from(private, path)


@contextmanager
def replacing_folder(path: Path, aside: Path) -> Iterator[Path]:
    """Yield a new empty folder for the block to fill; then put it at `path`.

    POSIX cannot rename over a folder that holds something. A folder at `path` is therefore moved to `aside` first and
    removed last, so that one of the two names holds a whole folder at every moment; readers must know both.

    Raises:
        RunDirectoryError: if the block or the disk fails with an OSError; what was at `path` is still there.
    """
    private = private_name(path)
    with writing(path, private):
        make_folder(path.parent)
        private.mkdir()
        yield private
        flush_folder(private)
        _exchange(private, path, aside)


def _exchange(private: Path, path: Path, aside: Path) -> None:
    if path.exists():
        remove_folder(aside)
        path.rename(aside)
        try:
            private.rename(path)
        except OSError:
            with contextlib.suppress(OSError):  # the first failure is the one to report, and `aside` is read as well
                aside.rename(path)
            raise
    else:
        private.rename(path)
    flush_folder(path.parent)
    remove_folder(aside)


@contextmanager
def temporary_folder(output: Path, prefix: str) -> Iterator[Path]:
    """Make a folder on the disk of `output` for the block; it is then removed with everything in it."""
    parent = next(folder for folder in (output.absolute(), *output.absolute().parents) if folder.is_dir())
    with explained(parent), tempfile.TemporaryDirectory(prefix=prefix, dir=parent) as private:
        yield Path(private)


def write_private(path: Path, data: bytes) -> None:
    """Write and flush a file inside a private folder, where no reader looks; an OSError stays one."""
    _write(path, data)
    flush(path)


def private_name(path: Path) -> Path:
    """Return a name beside `path` that no reader looks at and nobody else uses; it keeps the suffix, as Keras needs."""
    return path.with_name(f"{_PRIVATE}{os.getpid()}-{secrets.token_hex(4)}-{path.name}")


def remove_leftovers(folder: Path) -> None:
    """Remove what killed processes left in `folder`; only for who holds the run's lock."""
    with explained(folder):
        if folder.is_dir():
            for entry in folder.glob(f"{_PRIVATE}*"):
                _remove(entry)


def remove_file(path: Path) -> None:
    """Remove a file if it is there."""
    with explained(path):
        path.unlink(missing_ok=True)
        flush_folder(path.parent)


def remove_folder(path: Path) -> None:
    """Remove a folder, if it is there, such that no reader sees it half removed."""
    with explained(path):
        if path.exists():
            private = private_name(path)
            path.rename(private)
            _remove(private)


def truncate(path: Path, size: int) -> None:
    """Cut a file back to its first `size` bytes."""
    with explained(path):
        os.truncate(path, size)
        flush(path)


def make_folder(path: Path) -> None:
    """Make a folder unless it is there; its parent must be."""
    with explained(path):
        if not path.is_dir():
            path.mkdir(exist_ok=True)
            flush_folder(path.parent)


def flush(path: Path) -> None:
    """Wait until a file's content is on the disk."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def flush_folder(path: Path) -> None:
    """Wait until the names in a folder are on the disk, where the system can do that."""
    if sys.platform == "win32":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network file systems know no fsync of folders
            raise
    finally:
        os.close(descriptor)


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn an OSError of the block into a RunDirectoryError that names `path` and says what to do."""
    try:
        yield
    except OSError as error:
        what_to_do = f"; {_WHAT_TO_DO[error.errno]}" if error.errno in _WHAT_TO_DO else ""
        raise RunDirectoryError(f"{path} cannot be written: {error.strerror or error}{what_to_do}") from error


@contextmanager
def writing(path: Path, private: Path) -> Iterator[None]:
    """Do as `explained` does, and remove `private` if the block fails."""
    with explained(path):
        try:
            yield
        except BaseException:
            discard(private)
            raise


def _write(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    try:
        rest = memoryview(data)
        while rest:
            written = os.write(descriptor, rest[:_LARGEST_WRITE])
            if not written:
                raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
            rest = rest[written:]
    finally:
        os.close(descriptor)


def discard(private: Path) -> None:
    """Remove what a failed write made, if it is there still."""
    with contextlib.suppress(OSError):  # the failure itself is on its way up; the next owner of the lock tries again
        _remove(private)


def _remove(entry: Path) -> None:
    if entry.is_dir() and not entry.is_symlink():
        shutil.rmtree(entry)
    else:
        entry.unlink(missing_ok=True)
