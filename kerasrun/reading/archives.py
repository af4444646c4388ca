"""Zip archives (`.keras`, `.npz`), of which neither the directory nor an entry takes more memory than it may."""

import copy
import io
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from kerasrun.reading.memory import too_packed
from kerasrun.regular_files import LARGEST_NETWORK, LARGEST_TEXT, open_regular

_LARGEST_DIRECTORY = 2**22
"""That of some 40,000 entries."""
_WEIGHTS = "model.weights.h5"
_ASSETS = "assets"
_ENTRIES = ("metadata.json", "config.json", _WEIGHTS, "kerasrun.json", _ASSETS)
"""What Keras and kerasrun write into a `.keras` file: whatever else lies there, Keras would unpack onto the disk."""
_LONGEST_NAME = 255
_LONGEST_PATH = 1000
_PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_PART = 2**20


@contextmanager
def opened_archive(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open an archive.

    Raises:
        OSError: if the file cannot be read.
        BadZipFile: if it is no archive, or is damaged; if it has too many entries, promises too much, or is packed by
            what may unpack to more than a thousandfold; of a `.keras` file, if it has other entries than Keras writes.
    """
    with _Bounded(open_regular(path).detach()) as file:
        with _explained():
            archive = zipfile.ZipFile(file)
        with archive:
            file.most = None
            if why := too_packed(sum(entry.file_size for entry in archive.infolist()), path):
                raise zipfile.BadZipFile(why)
            _require_packings(archive)
            if path.suffix == ".keras":
                _require_names(archive.namelist())
                _require_small_assets(archive)
            yield archive


def _require_packings(archive: zipfile.ZipFile) -> None:
    for entry in archive.infolist():
        if entry.compress_type not in _PACKINGS:
            raise zipfile.BadZipFile(f"{entry.filename[:_LONGEST_NAME]} in it is packed otherwise than by deflate")


def _require_names(names: Sequence[str]) -> None:
    """Check that Keras can unpack all entries: it removes what it has unpacked only if it came to the end."""
    known = set(names)
    if len(known) < len(names):
        raise zipfile.BadZipFile("it has two entries of one name")
    for name in names:
        first, *rest = parts = name.split("/")
        is_written = first in _ENTRIES and bool(rest) == (first == _ASSETS)
        is_path = all(part not in ("", ".", "..") and len(part.encode()) <= _LONGEST_NAME for part in parts)
        if not is_written or not is_path or len(name) > _LONGEST_PATH or "\\" in name or not name.isprintable():
            raise zipfile.BadZipFile(f"it has the entry {name[:_LONGEST_NAME]!r}, which Keras does not write")
        if any("/".join(parts[:count]) in known for count in range(1, len(parts))):
            raise zipfile.BadZipFile(f"the entry {name[:_LONGEST_NAME]!r} lies in a file")


def _require_small_assets(archive: zipfile.ZipFile) -> None:
    """Check that what Keras unpacks onto the disk is no more than the vocabularies of a network."""
    size = sum(entry.file_size for entry in archive.infolist() if entry.filename.startswith(f"{_ASSETS}/"))
    if size > LARGEST_TEXT:
        raise zipfile.BadZipFile(f"its {_ASSETS} unpack to {size:,} bytes; expected at most {LARGEST_TEXT:,}")


def read_text(archive: zipfile.ZipFile, name: str) -> bytes:
    """Read an entry that holds text.

    Raises:
        KeyError: if there is none of this name.
        BadZipFile: if it is damaged, or larger than any text that is expected.
    """
    if (size := archive.getinfo(name).file_size) > LARGEST_NETWORK:
        raise zipfile.BadZipFile(f"{name} has {size:,} bytes; expected at most {LARGEST_NETWORK:,}")
    return _content(archive, name)


def damaged_entry(archive: zipfile.ZipFile) -> str | None:
    """Read every entry, and return the name of one that is not what the directory says; raises as `read_text`."""
    for entry in archive.infolist():
        try:
            with _opened(archive, entry) as file:
                size = sum(len(part) for part in iter(lambda: file.read(_PART), b""))
        except zipfile.BadZipFile:
            return entry.filename
        if size != entry.file_size:
            return entry.filename
    return None


def check_weights(path: Path) -> None:
    """Look through a file of weights, of any form that Keras reads, before Keras opens it.

    Raises:
        OSError: or whatever else h5py raises of a damaged file.
        ValueError: if it takes values from other files, or has none in spite of what it says.
        BadZipFile: as `opened_archive`.
    """
    from kerasrun.reading import hdf5

    if path.suffix != ".keras":
        hdf5.check(path)
        return
    with opened_archive(path) as archive:
        check_weights_in(archive)


def check_weights_in(archive: zipfile.ZipFile) -> int:
    """Look through the weights of a `.keras` file, and return how many numbers there are; raises as `check_weights`."""
    from kerasrun.reading import hdf5

    if _WEIGHTS not in archive.namelist():
        return 0
    return hdf5.check(io.BytesIO(_content(archive, _WEIGHTS)))


def _content(archive: zipfile.ZipFile, name: str) -> bytes:
    entry = archive.getinfo(name)
    with _opened(archive, entry) as file:
        content = file.read(entry.file_size + 1)
    if len(content) != entry.file_size:
        raise zipfile.BadZipFile(f"{name} does not have the {entry.file_size:,} bytes that it promises")
    return content


@contextmanager
def _opened(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Iterator[IO[bytes]]:
    """Open an entry, of which a byte more than it promises can be read, if it is there; read it in parts.

    `ZipFile.read` unpacks all that is there before it looks at the promise.
    """
    entry = copy.copy(entry)
    entry.file_size += 1
    with _explained(), archive.open(entry) as file:
        yield file


@contextmanager
def _explained() -> Iterator[None]:
    """Turn what is raised of damaged, encrypted or strangely packed entries into `BadZipFile`."""
    try:
        yield
    except (EOFError, RuntimeError, ValueError, zlib.error) as error:
        raise zipfile.BadZipFile(str(error)) from error


class _Bounded(io.BufferedReader):
    """A file of which no more than `most` bytes are read at once: a directory is."""

    most: int | None = _LARGEST_DIRECTORY

    def read(self, size: int | None = -1, /) -> bytes:
        if self.most is None:
            return super().read(size)
        content = super().read(self.most + 1 if size is None or not 0 <= size <= self.most else size)
        if len(content) > self.most:
            raise zipfile.BadZipFile(f"its directory has more than {self.most:,} bytes")
        return content
