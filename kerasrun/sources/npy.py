"""Arrays in one NumPy file each."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import model_validator

from kerasrun.components import ExperimentPath
from kerasrun.errors import DataError
from kerasrun.reading.data import SPELLINGS, Data
from kerasrun.reading.files import FileThatStays, first_bytes, list_folder
from kerasrun.reading.memory import too_large, too_packed
from kerasrun.regular_files import open_regular
from kerasrun.sources._array_source import AnyArrays, read_header
from kerasrun.sources.base import Recognized

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from kerasrun.reading.stored import Rows, StoredArray


class Npy(AnyArrays):
    """Arrays in `.npy` files, one each: images of shape (examples, height, width[, channels]), sequences or rows.

    Images of whole numbers from 0 to 255 become uint8, whatever their dtype; those of 16 bits keep their high byte. All
    other numbers become float32. Examples that would not fit into memory stay in their file
    (a memory map) and are read as they are asked for. Nothing is ever unpickled.
    """

    kind: ClassVar[str] = "npy"
    form: ClassVar[str] = "a folder with x_train.npy and y_train.npy"

    x_train: ExperimentPath
    """The file of training examples."""
    y_train: ExperimentPath | None = None
    """The file of their labels; needed but for `labels: input`."""
    x_validation: ExperimentPath | None = None
    """The file of validation examples."""
    y_validation: ExperimentPath | None = None
    """The file of their labels."""
    x_test: ExperimentPath | None = None
    """The file of test examples."""
    y_test: ExperimentPath | None = None
    """The file of their labels."""
    sample_weight: ExperimentPath | None = None
    """The file that says how much each training example counts in the loss."""

    @model_validator(mode="after")
    def _names_whole_splits(self) -> Self:
        for split in () if self.of_inputs else SPELLINGS:
            given = {axis: getattr(self, f"{axis}_{split}") is not None for axis in "xy"}
            if given["x"] != given["y"]:
                there, lacking = "xy" if given["x"] else "yx"
                raise ValueError(f"expected {lacking}_{split} beside {there}_{split}")
        return self

    def open(self) -> Data:

        from kerasrun.reading.labelled_arrays import LabelledArrays

        arrays = {}
        for split in SPELLINGS:
            x, y = getattr(self, f"x_{split}"), getattr(self, f"y_{split}")
            if x is not None:
                weight = self.sample_weight if split == "train" else None
                inputs, y = _stored(x), x if self.of_inputs else y
                arrays[split] = LabelledArrays(
                    inputs,
                    inputs if self.of_inputs else _stored(y) if self.reads_labels_later else _whole(y),
                    str(x),
                    str(y),
                    None if weight is None else _whole(weight),
                    str(weight),
                )
        return self.data_from(arrays)

    @classmethod
    def recognize(cls, path: Path) -> Recognized | None:
        there = {} if path.is_file() else {file.name: file for file in list_folder(path)[0]}
        names = {
            f"{axis}_{split}": [f"{axis}_{spelling}.npy" for spelling in spellings]
            for split, spellings in SPELLINGS.items()
            for axis in "xy"
        }
        found = {key: there[name] for key, spelled in names.items() for name in spelled if name in there}
        if not {"x_train", "y_train"} <= found.keys():
            return None
        # Without its labels a split serves nothing.
        paths = {key: file for key, file in found.items() if {f"x{key[1:]}", f"y{key[1:]}"} <= found.keys()}
        return cls.with_seen_labels(paths)


def _stored(path: Path) -> "StoredArray":
    import numpy as np

    from kerasrun.reading.stored import StoredArray

    file, array = FileThatStays(path), mapped(path)

    def read(rows: "Rows") -> "NDArray[Any]":
        file.check()  # to read a map beyond the end of a file that was cut short would end the process without a word
        return np.array(array[rows])  # a copy in memory, where a slice would be a view of the file

    return StoredArray(array.shape, array.dtype, read)


def _whole(path: Path) -> "NDArray[Any]":
    import numpy as np

    array = mapped(path)
    if why := too_large(array.nbytes):
        raise DataError(f"{path}: {why}")
    return np.array(array)


def mapped(path: Path) -> "NDArray[Any]":
    """Return a memory map of the array in a file.

    Raises:
        DataError: if it cannot be read without unpickling.
    """
    import numpy as np

    start = first_bytes(path, "an .npy file")
    if not start:
        raise DataError(f"{path}: is empty (0 bytes); expected an .npy file")
    if start[:2] == b"PK":
        raise DataError(f"{path}: is an archive of arrays (.npz), which the source npz reads; expected an .npy file")
    if start[:6] != b"\x93NUMPY":
        raise DataError(f"{path}: is not an .npy file; it begins with {start!r}")
    try:
        with open_regular(path) as file:
            shape, is_fortran, dtype = read_header(file)
            if dtype.hasobject:  # which a map would take for addresses
                raise ValueError("Python objects")
            order: Literal["F", "C"] = "F" if is_fortran else "C"
            array: NDArray[Any] = np.memmap(file, dtype, "r", file.tell(), shape, order)
    except Exception as error:  # of a damaged file NumPy raises anything
        if "Python objects" in str(error):
            raise DataError(
                f"{path}: holds Python objects, which only unpickling could read, and that may run foreign code; save "
                "it as an array of numbers of one shape"
            ) from error
        raise DataError(f"{path}: is damaged or truncated: {error}") from error
    if not array.itemsize:  # of which any number takes no byte of the file, but time and memory when it is copied
        raise DataError(f"{path}: has values of the type {array.dtype}, which take no bytes; expected numbers or text")
    if why := too_packed(array.nbytes, path):
        raise DataError(f"{path}: {why}")
    return array
