"""Arrays in one HDF5 file."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from kerasrun.errors import DataError
from kerasrun.reading.data import Data
from kerasrun.reading.files import FileThatStays, first_bytes
from kerasrun.reading.memory import too_large
from kerasrun.sources._array_source import NamedArrays

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from kerasrun.reading.hdf5 import Contents
    from kerasrun.reading.stored import Rows, StoredArray

_CHUNK_CACHE = 2**26
"""How many bytes of decompressed chunks are kept for each array: examples are read in any order."""


class Hdf5(NamedArrays):
    """Arrays in one HDF5 file (`.h5`): images of shape (examples, height, width[, channels]), sequences or rows.

    Images of whole numbers from 0 to 255 become uint8, whatever their dtype; those of 16 bits keep their high byte. All
    other numbers become float32. Examples that would not fit into memory stay in the file and are read as they are
    asked for, a batch at a time: fast where the array is stored in chunks of few examples, or in one piece. An array in
    a group is named by its path, `group/x_train`. Values in other files are read for virtual data sets alone, and only
    from the same folder.
    """

    kind: ClassVar[str] = "hdf5"
    form: ClassVar[str] = "an .h5 file with x_train and y_train"
    suffixes: ClassVar[tuple[str, ...]] = (".h5", ".hdf5")

    def open(self) -> Data:
        from kerasrun.reading.stored import StoredInputs

        with ExitStack() as stack:
            contents = stack.enter_context(_contents(self.path))
            file = FileThatStays(self.path)

            def stored(key: str) -> "StoredArray":
                return _stored(_array(contents, key, self.path), f"{self.path}: {key}", file)

            def whole(key: str) -> "NDArray[Any]":
                array = stored(key)
                if why := too_large(array.nbytes):
                    raise DataError(f"{self.path}: {key}: {why}")
                return array.read(...)

            data = self.data_of([*contents.arrays, *contents.refused], stored, whole)
            read = [one for split in data.splits.values() for one in (split.inputs, split.labels)]
            if any(isinstance(one, StoredInputs) for one in read):
                stack.pop_all()  # the file stays open as long as examples are read from it
        return data


def _contents(path: Path, chunk_cache: int = _CHUNK_CACHE) -> "Contents":
    from kerasrun.reading.hdf5 import Contents

    first_bytes(path, "an HDF5 file")
    with _explained(path, "is not an HDF5 file, or is damaged or truncated"):
        return Contents(path, chunk_cache)


def _array(contents: "Contents", key: str, path: Path) -> Any:
    """Return an array after it was seen where its values are.

    Raises:
        DataError: if they are in another file, unless it is a file in the same folder that has them.
    """
    if key in contents.virtual:
        _check_sources(contents, key, path, set())
        return contents.virtual[key]
    if key in contents.refused:
        raise DataError(f"{path}: {key}: {contents.refused[key]}")
    return contents.arrays[key]


def _check_sources(contents: "Contents", key: str, path: Path, seen: set[tuple[Path, str]]) -> None:
    """Refuse a virtual data set whose values are not all there: HDF5 takes zeros for what is missing."""
    name = f"{path}: {key}"
    with _explained(name, "is damaged"):
        sources = {(one.file_name, one.dset_name) for one in contents.virtual[key].virtual_sources()}
    for source, array in sorted(sources):
        if source == ".":
            _check_source(contents, array.strip("/"), path, name, seen)
            continue
        file = path.parent / source
        if not file.exists():
            raise DataError(
                f"{name}: its values are in another file, {source}, which is not there; copy it beside this one"
            )
        # A percent sign stands for numbers, and so for other files; a link may lead anywhere.
        if "%" in source or file.resolve().parent not in (path.parent.resolve(), path.resolve().parent):
            raise DataError(
                f"{name}: its values are in another file, {source}, which is not read from another folder; copy it "
                "beside this one"
            )
        with _contents(file) as there:
            _check_source(there, array.strip("/"), file, name, seen)


def _check_source(there: "Contents", array: str, file: Path, name: str, seen: set[tuple[Path, str]]) -> None:
    if (file, array) in seen:
        raise DataError(f"{name}: its values are those of {array} of {file.name}, which are taken from it again")
    if array in there.virtual:
        _check_sources(there, array, file, seen | {(file, array)})
    elif array not in there.arrays:
        why = f": {there.refused[array]}" if array in there.refused else ""
        raise DataError(f"{name}: its values are in {array} of another file, {file.name}, which has none{why}")


def _stored(dataset: Any, name: str, file: FileThatStays) -> "StoredArray":
    import numpy as np

    from kerasrun.reading.stored import StoredArray

    # HDF5 reads for one thread at a time. Who waits for it here does not hold up the other files of the process.
    lock = threading.Lock()

    def read(rows: "Rows") -> "NDArray[Any]":
        file.check()
        with lock, _explained(name, "cannot be read"):
            if not isinstance(rows, np.ndarray):
                return np.asarray(dataset[rows])
            # Row by row is up to fifty times as fast as a list of rows, which HDF5 makes a selection of points of. In
            # increasing order, those of one chunk follow each other.
            found = np.empty((len(rows), *dataset.shape[1:]), dataset.dtype)
            for place in np.argsort(rows):
                found[place] = dataset[int(rows[place])]
            return found

    with _explained(name, "is damaged"):
        shape, dtype = dataset.shape, dataset.dtype
    if shape is None:
        raise DataError(f"{name}: is empty; expected an array")
    return StoredArray(shape, dtype, read)


@contextmanager
def _explained(name: object, problem: str) -> Iterator[None]:
    """Turn what HDF5 raises into an error with the name of the file and the array."""
    try:
        yield
    except MemoryError as error:
        raise DataError(f"{name}: does not fit into memory: {error}") from error
    except (OSError, RuntimeError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{name}: {problem}: {error}") from error
