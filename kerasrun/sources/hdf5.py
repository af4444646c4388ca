"""Arrays in one HDF5 file."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from kerasrun.errors import DataError
from kerasrun.reading.data import Data
from kerasrun.reading.files import FileThatStays, first_bytes
from kerasrun.sources._array_source import NamedArrays

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from kerasrun.reading.stored import Rows, StoredArray

_CHUNK_CACHE = 2**26
"""How many bytes of decompressed chunks are kept for each array: examples are read in any order."""


class Hdf5(NamedArrays):
    """Arrays in one HDF5 file (`.h5`): images of shape (examples, height, width[, channels]), or rows of features.

    Images of whole numbers from 0 to 255 become uint8, whatever their dtype; those of 16 bits keep their high byte. All
    other numbers become float32. Examples that would not fit into memory stay in the file and
    are read as they are asked for, a batch at a time: fast where the array is stored in chunks of few examples, or in
    one piece. An array in a group is named by its path, `group/x_train`.
    """

    kind: ClassVar[str] = "hdf5"
    form: ClassVar[str] = "an .h5 file with x_train and y_train"
    suffixes: ClassVar[tuple[str, ...]] = (".h5", ".hdf5")

    def open(self) -> Data:
        from kerasrun.reading.stored import StoredInputs

        with ExitStack() as stack:
            datasets = _datasets(stack.enter_context(_opened(self.path)), self.path)
            file = FileThatStays(self.path)

            def stored(key: str) -> "StoredArray":
                return _stored(datasets[key], f"{self.path}: {key}", file)

            data = self.data_of(list(datasets), stored, lambda key: stored(key).read(...))
            if any(isinstance(split.inputs, StoredInputs) for split in data.splits.values()):
                stack.pop_all()  # the file stays open as long as examples are read from it
        return data


def _opened(path: Path) -> Any:
    import h5py

    first_bytes(path, "an HDF5 file")
    with _explained(path, "is not an HDF5 file, or is damaged or truncated"):
        return h5py.File(path, "r", rdcc_nbytes=_CHUNK_CACHE)


def _datasets(file: Any, path: Path) -> dict[str, Any]:
    """Return every array of the file, by its path in it."""
    import h5py

    found: dict[str, Any] = {}
    with _explained(path, "is damaged"):
        file.visititems(lambda name, item: found.update({name: item}) if isinstance(item, h5py.Dataset) else None)
    return found


def _stored(dataset: Any, name: str, file: FileThatStays) -> "StoredArray":
    import h5py
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
        virtual = {(one.file_name, one.dset_name) for one in dataset.virtual_sources()} if dataset.is_virtual else set()
        raw = [source for source, _, _ in dataset.external or ()]
    for source in (*raw, *(source for source, _ in virtual if source != ".")):
        if not (file.path.parent / source).exists():
            raise DataError(
                f"{name}: its values are in another file, {source}, which is not there; copy it beside this one"
            )
    # HDF5 itself takes zeros for what is missing.
    for source, array in virtual:
        path = file.path if source == "." else file.path.parent / source
        with _explained(name, "cannot be read"), h5py.File(path) as there:
            if array not in there:
                raise DataError(f"{name}: its values are in {array} of another file, {source}, which has none")
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
