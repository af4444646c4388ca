"""Arrays in one NumPy archive."""

import math
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from kerasrun.errors import DataError
from kerasrun.reading.archives import opened_archive
from kerasrun.reading.data import Data
from kerasrun.reading.files import first_bytes, listed
from kerasrun.reading.memory import too_large
from kerasrun.sources._array_source import NamedArrays, read_header

if TYPE_CHECKING:
    from numpy.typing import NDArray

_NPY = ".npy"


class Npz(NamedArrays):
    """Arrays in one `.npz` file: images of shape (examples, height, width[, channels]), sequences or rows.

    Images of whole numbers from 0 to 255 become uint8, whatever their dtype; those of 16 bits keep their high byte. All
    other numbers become float32. Nothing is ever unpickled. Images are used as they are unless `image_size` is given.
    """

    kind: ClassVar[str] = "npz"
    form: ClassVar[str] = "an .npz file with x_train and y_train"
    suffixes: ClassVar[tuple[str, ...]] = (".npz",)

    def open(self) -> Data:
        with open_archive(self.path) as archive:

            def array(key: str) -> "NDArray[Any]":
                return read_array(archive, key, self.path)

            return self.data_of(array_names(archive), array, array)


@contextmanager
def open_archive(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open an `.npz` file, from which nothing is unpickled.

    Raises:
        DataError: if it cannot be read.
    """
    start = first_bytes(path, "an .npz file")
    if not start:
        raise DataError(f"{path}: is empty (0 bytes); expected an .npz file")
    if start[:6] == b"\x93NUMPY":
        raise DataError(f"{path}: is a single array (.npy); expected an .npz file with x_train and y_train")
    if start[:2] != b"PK":
        raise DataError(f"{path}: is not an .npz file; it begins with {start!r}")
    try:
        with opened_archive(path) as archive:
            yield archive
    except zipfile.BadZipFile as error:
        raise DataError(f"{path}: is damaged or truncated: {error}; expected an .npz file") from error


def array_names(archive: zipfile.ZipFile) -> list[str]:
    return [name.removesuffix(_NPY) for name in archive.namelist()]


def read_array(archive: zipfile.ZipFile, key: str, path: Path) -> "NDArray[Any]":
    """Read one array of an archive.

    Raises:
        DataError: if the array is not there, or cannot be read; the message has its name.
    """
    import numpy as np

    names = array_names(archive)
    if key not in names:
        raise DataError(f"{path}: no array {key!r}; it has {listed(names) or 'no arrays'}")
    entry = archive.infolist()[names.index(key)]
    if why := too_large(entry.file_size):
        raise DataError(f"{path}: {key} {why}")
    try:
        with archive.open(entry) as file:
            shape, _, dtype = read_header(file)
        promised = 0 if dtype.hasobject else math.prod(shape) * dtype.itemsize
        if promised > entry.file_size:
            raise ValueError(f"its header promises {promised:,} bytes, but it has {entry.file_size:,}")
        with archive.open(entry) as file:
            array: NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
    except MemoryError as error:
        raise DataError(f"{path}: {key} does not fit into memory: {error}") from error
    except Exception as error:  # of a damaged file NumPy raises anything
        if "Object arrays" in str(error):
            reason = "holds Python objects, which only unpickling could read, and that may run foreign code"
            raise DataError(f"{path}: {key} {reason}; save it as an array of numbers of one shape") from error
        raise DataError(f"{path}: {key} is damaged or truncated: {error}") from error
    return array
