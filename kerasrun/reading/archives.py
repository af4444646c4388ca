"""Zip archives (`.keras`, `.npz`), of which neither the directory nor an entry takes more memory than it may."""

import io
import lzma
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kerasrun.reading.memory import too_packed
from kerasrun.regular_files import LARGEST_NETWORK, open_regular

_LARGEST_DIRECTORY = 2**22
"""That of some 40,000 entries."""
_WEIGHTS = "model.weights.h5"
"""What Keras calls them in a `.keras` file."""


@contextmanager
def opened_archive(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open an archive.

    Raises:
        OSError: if the file cannot be read.
        BadZipFile: if it is no archive, or is damaged; if it has too many entries, or promises too much.
    """
    with _Bounded(open_regular(path).detach()) as file:
        with _explained():
            archive = zipfile.ZipFile(file)
        with archive:
            file.most = None
            if why := too_packed(sum(entry.file_size for entry in archive.infolist()), path):
                raise zipfile.BadZipFile(why)
            yield archive


def read_text(archive: zipfile.ZipFile, name: str) -> bytes:
    """Read an entry that holds text.

    Raises:
        KeyError: if there is none of this name.
        BadZipFile: if it is damaged, or larger than any text that is expected.
    """
    if (size := archive.getinfo(name).file_size) > LARGEST_NETWORK:
        raise zipfile.BadZipFile(f"{name} has {size:,} bytes; expected at most {LARGEST_NETWORK:,}")
    with _explained():
        return archive.read(name)


def damaged_entry(archive: zipfile.ZipFile) -> str | None:
    """Read every entry, and return the name of one whose checksum is wrong; raises as `read_text`."""
    with _explained():
        return archive.testzip()


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
    with _explained():
        content = archive.read(_WEIGHTS)
    return hdf5.check(io.BytesIO(content))


@contextmanager
def _explained() -> Iterator[None]:
    """Turn what is raised of damaged, encrypted or strangely packed entries into `BadZipFile`."""
    try:
        yield
    except (EOFError, RuntimeError, ValueError, zlib.error, lzma.LZMAError) as error:
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
