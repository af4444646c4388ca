"""Every write to a run: under a private name in the same folder, flushed to the disk, renamed, the folder flushed.

Whoever reads sees the old content or the new one, whatever happens in between: a full disk, a kill, a power cut. A
write that fails removes its private file and raises `RunDirectoryError`; what a killed process leaves behind has a name
that no reader looks at, and `remove_leftovers` takes it away.

Every removal and truncation is here too. Below the folder of a run no link is followed: it is opened, and from there
each folder on the way, so that a run of someone else cannot lead to files elsewhere. What libraries write by its path
(models, pictures, the files of callbacks) is written after a look at the same folders.
"""

import contextlib
import errno
import json
import os
import secrets
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from kerasrun.errors import RunDirectoryError

_PRIVATE = ".tmp-"
_REMOVED = f"{_PRIVATE}removed-"
_LONGEST = 50  # characters; systems take no name of more than 255 bytes
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
_NO_FILE = "is a pipe or a device; expected a file, so remove it"
_runs: set[Path] = set()
"""The folders of runs, below which no link is followed."""


def follow_no_links_below(run: Path) -> None:
    """From now on nothing is written or removed through a link below this folder."""
    _runs.add(run)


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


def replace_from(private: Path, path: Path, *, flushed: bool = True) -> None:
    """Put a file that was made elsewhere in the folder of `path` in place; it is gone afterwards, also after a failure.

    Args:
        flushed: wait until its content is on the disk, so that it is whole after a power cut too.

    Raises:
        RunDirectoryError: if the disk refuses; what was at `path` is still there.
    """
    with writing(path, private):
        if flushed:
            flush(private)
        _move(private, path)
        flush_folder(path.parent)


@contextmanager
def replacing(path: Path, *, flushed: bool = True) -> Iterator[Path]:
    """Yield a name beside `path`, of the same suffix, for the block to write; then put that file in place.

    The folder of `path` is made if it is missing (its parent must be there).

    Args:
        flushed: as of `replace_from`.

    Raises:
        RunDirectoryError: if the block or the disk fails with an OSError; what was at `path` is still there.
    """
    private = private_name(path)
    with writing(path, private):
        _make_folder(path.parent)
        yield private
    replace_from(private, path, flushed=flushed)


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
        _make_folder(path.parent)
        _make_folder(private)
        yield private
        flush_folder(private)
        _exchange(private, path, aside)


def _exchange(private: Path, path: Path, aside: Path) -> None:
    if _kind(path) is not None:
        remove_folder(aside)
        _move(path, aside)
        try:
            _move(private, path)
        except OSError:
            with contextlib.suppress(OSError):  # the first failure is the one to report, and `aside` is read as well
                _move(aside, path)
            raise
    else:
        _move(private, path)
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
    return path.with_name(f"{_PRIVATE}{os.getpid()}-{secrets.token_hex(4)}-{path.name[-_LONGEST:]}")


def remove_leftovers(folder: Path) -> None:
    """Remove what killed processes left in `folder`; only for who holds the run's lock."""
    with explained(folder):
        for name in _names(folder):
            if name.startswith(_PRIVATE):
                _remove(folder / name)


def finish_removals(folder: Path) -> None:
    """Remove what `remove_folder` left in `folder` when it was killed; no lock is needed, for nobody reads it."""
    with explained(folder):
        for name in _names(folder):
            if name.startswith(_REMOVED):
                discard(folder / name)


def remove_file(path: Path) -> None:
    """Remove a file if it is there."""
    with explained(path):
        _remove(path)
        flush_folder(path.parent)


def remove_folder(path: Path) -> None:
    """Remove a folder, if it is there, such that no reader sees it half removed."""
    with explained(path):
        if _kind(path) is not None:
            private = path.with_name(f"{_REMOVED}{secrets.token_hex(4)}-{path.name[-_LONGEST:]}")
            _move(path, private)
            with contextlib.suppress(FileNotFoundError):  # another process finishes it
                _remove(private)


def append(path: Path, data: bytes, size: int) -> None:
    """Add to a file of `size` bytes, which is as it was if the disk refuses; what was added is not flushed."""
    with explained(path):
        descriptor = open_file(path, os.O_WRONLY | os.O_APPEND)
        try:
            _write_all(descriptor, data, path)
        except OSError:
            os.ftruncate(descriptor, size)
            raise
        finally:
            os.close(descriptor)


def truncate(path: Path, size: int) -> None:
    """Cut a file back to its first `size` bytes."""
    with explained(path):
        descriptor = open_file(path, os.O_RDWR)
        try:
            os.ftruncate(descriptor, size)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def make_folder(path: Path) -> None:
    """Make a folder unless it is there; its parent must be."""
    with explained(path):
        _make_folder(path)


def make_folders(path: Path) -> None:
    """Make a folder and those above it, unless they are there."""
    if not os.path.lexists(path.parent):
        make_folders(path.parent)
    make_folder(path)


def open_file(path: Path, flags: int) -> int:
    """Open a file, which must be one and no link; an OSError is not explained."""
    flags |= getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)  # or a pipe of this name would wait
    try:
        with _at(path) as (name, folder), _link_named(path):
            descriptor = os.open(name, flags, 0o666, dir_fd=folder)
    except OSError as error:
        if error.errno == errno.ENXIO:  # a pipe that nobody reads, or a socket
            raise OSError(errno.EINVAL, f"it {_NO_FILE}") from error
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, f"it {_NO_FILE}")
    return descriptor


def sizes(path: Path) -> dict[Path, int]:
    """Return the bytes of a file, or of each file in a folder; none of what is not there."""
    with explained(path):
        try:
            found = [path / name for name in _names(path)]
        except NotADirectoryError:
            found = [path]
        kinds = {one: _kind(one) for one in found}
        return {one: kind.st_size for one, kind in kinds.items() if kind is not None and stat.S_ISREG(kind.st_mode)}


def size_of_folder(path: Path) -> int:
    """Return the bytes of all files below a folder, without following links; what is not there counts nothing.

    Raises:
        RunDirectoryError: if a folder cannot be read.
    """
    total, folders = 0, [str(path)]
    with explained(path):
        while folders:
            with contextlib.suppress(FileNotFoundError), os.scandir(folders.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                    elif entry.is_file(follow_symlinks=False):
                        total += entry.stat(follow_symlinks=False).st_size
    return total


def require_files(pattern: Path) -> None:
    """Check the files that a library is about to write by their paths; `*` in a pattern is for what varies.

    None of them may be a link, a pipe or a device.
    """
    varies = [number for number, part in enumerate(pattern.parts) if "*" in part]
    pattern = Path(*pattern.parts[: varies[0] + 1 if varies else None])
    with explained(pattern):
        for name in _names(pattern.parent):
            kind = _kind(pattern.parent / name) if fnmatchcase(name, pattern.name) else None
            if kind is not None and stat.S_ISLNK(kind.st_mode):
                raise _refusal(pattern.parent / name)
            if kind is not None and not (stat.S_ISREG(kind.st_mode) or stat.S_ISDIR(kind.st_mode)):
                raise OSError(errno.EINVAL, f"{name} {_NO_FILE}")


def flush(path: Path) -> None:
    """Wait until a file's content is on the disk."""
    descriptor = open_file(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def flush_folder(path: Path) -> None:
    """Wait until the names in a folder are on the disk, where the system can do that."""
    with _opened(path) as descriptor:
        try:
            if descriptor is not None:
                os.fsync(descriptor)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network file systems know no fsync of folders
                raise


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn an OSError of the block into a RunDirectoryError that names `path` and says what to do."""
    try:
        yield
    except OSError as error:
        what_to_do = f"; {_WHAT_TO_DO[error.errno]}" if error.errno in _WHAT_TO_DO else ""
        reason = str(error.strerror or error)
        if error.errno and "\n" in reason:  # as HDF5 says it, with addresses in memory
            reason = os.strerror(error.errno)
        raise RunDirectoryError(f"{path} cannot be written: {reason}{what_to_do}") from error


@contextmanager
def writing(path: Path, private: Path) -> Iterator[None]:
    """Do as `explained` does, and remove `private` if the block fails."""
    with explained(path):
        try:
            yield
        except BaseException:
            discard(private)
            raise


def _make_folder(path: Path) -> None:
    try:
        with _opened(path):
            return
    except FileNotFoundError:
        with _at(path) as (name, folder), contextlib.suppress(FileExistsError):
            os.mkdir(name, dir_fd=folder)
        flush_folder(path.parent)


def _write(path: Path, data: bytes) -> None:
    descriptor = open_file(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0))
    try:
        _write_all(descriptor, data, path)
    finally:
        os.close(descriptor)


def _write_all(descriptor: int, data: bytes, path: Path) -> None:
    rest = memoryview(data)
    while rest:
        written = os.write(descriptor, rest[:_LARGEST_WRITE])
        if not written:
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
        rest = rest[written:]


def discard(private: Path) -> None:
    """Remove what a failed write made, if it is there still."""
    with contextlib.suppress(OSError):  # the failure itself is on its way up; the next owner of the lock tries again
        _remove(private)


def _remove(entry: Path) -> None:
    kind = _kind(entry)
    if kind is None:
        return
    with _at(entry) as (name, folder):
        if not stat.S_ISDIR(kind.st_mode):
            os.unlink(name, dir_fd=folder)
        elif folder is None:
            shutil.rmtree(name)
        else:
            _remove_tree(name, folder)


def _remove_tree(name: str, folder: int) -> None:
    """Remove a folder with all that is in it, and follow no link.

    Folders in a folder are moved up into the first one, so that they may be nested as deeply as the disk allows.
    """
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
    top = os.open(name, flags, dir_fd=folder)
    try:
        waiting = _folders_left(top)
        while waiting:
            one = waiting.pop()
            inner = os.open(one, flags, dir_fd=top)
            try:
                for deeper in _folders_left(inner):
                    waiting.append(secrets.token_hex(16))
                    os.rename(deeper, waiting[-1], src_dir_fd=inner, dst_dir_fd=top)
            finally:
                os.close(inner)
            os.rmdir(one, dir_fd=top)
    finally:
        os.close(top)
    os.rmdir(name, dir_fd=folder)


def _folders_left(folder: int) -> list[str]:
    """Remove what is in a folder but folders that hold something, and return those."""
    left = []
    with os.scandir(folder) as entries:
        for entry in list(entries):
            if not entry.is_dir(follow_symlinks=False):
                os.unlink(entry.name, dir_fd=folder)
                continue
            try:
                os.rmdir(entry.name, dir_fd=folder)
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
                left.append(entry.name)
    return left


def _move(source: Path, target: Path) -> None:
    with _at(source) as (old, there), _at(target) as (new, here):
        os.replace(old, new, src_dir_fd=there, dst_dir_fd=here)


def _kind(path: Path) -> os.stat_result | None:
    """Return what is at `path`, a link for itself; None if nothing is."""
    try:
        with _at(path) as (name, folder):
            return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None


def _names(folder: Path) -> list[str]:
    """Return what a folder holds; nothing if it is not there."""
    try:
        with _opened(folder) as descriptor:
            return os.listdir(folder if descriptor is None else descriptor)  # noqa: PTH208  of a descriptor
    except FileNotFoundError:
        return []


@contextmanager
def _at(path: Path) -> Iterator[tuple[str, int | None]]:
    """Give the name of `path` and its folder, opened, to which the name is relative."""
    with _opened(path.parent) as folder:
        yield (str(path) if folder is None else path.name), folder


@contextmanager
def _opened(folder: Path) -> Iterator[int | None]:
    """Open a folder, below a run step by step; None on Windows, where links on the way are looked for."""
    run = next((one for one in (*reversed(folder.parents), folder) if one in _runs), folder)
    steps = folder.relative_to(run).parts
    places = [run.joinpath(*steps[: number + 1]) for number in range(len(steps))]
    if sys.platform == "win32":
        if link := next((one for one in places if one.is_symlink()), None):
            raise _refusal(link)
        yield None
        return
    descriptor = os.open(run, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for place in places:
            with _link_named(place):
                inner = os.open(place.name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = inner
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _link_named(path: Path) -> Iterator[None]:
    """Have the error say so where `path` is not opened because it is a link."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR) and path.is_symlink():
            raise _refusal(path) from error
        raise


def _refusal(link: Path) -> OSError:
    return OSError(errno.ELOOP, f"{link} is a link, and nothing in a run is written or removed through one")
