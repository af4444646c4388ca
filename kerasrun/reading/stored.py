"""Examples in files that are read as they are asked for, because they may not fit into memory."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import EllipsisType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kerasrun.reading.data import ImageFormat
from kerasrun.reading.images import resize_array

_BLOCK = 2**24
"""The number of bytes that are read at once where a whole array is looked through."""

Rows = slice | EllipsisType | NDArray[np.int64]
"""Some rows of an array; an ellipsis means all, also where the array is a single number."""


@dataclass(frozen=True, eq=False)
class StoredArray:
    """An array in a file, whose rows can be read in any order."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    read: Callable[[Rows], NDArray[Any]]

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, chosen: NDArray[np.int64]) -> "StoredArray":
        """Return some of its rows, which are not read yet."""
        numbers = np.arange(len(self))[chosen]
        return StoredArray((len(numbers), *self.shape[1:]), self.dtype, lambda rows: self.read(numbers[rows]))

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


class StoredInputs:
    """Examples that are read as they are asked for, to the same bits that an array of them would hold."""

    def __init__(
        self, stored: StoredArray, image_format: ImageFormat | None = None, *, sequences: bool = False
    ) -> None:
        self.stored = stored
        self._format = image_format
        self._sequences = sequences
        self.shape, self.dtype = converted_form(stored, sequences=sequences)
        self.example_shape = self.shape[1:]
        if image_format is not None:
            self.example_shape = (image_format.height, image_format.width, self.shape[3])

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def take(self, indices: NDArray[np.int64]) -> NDArray[Any]:
        examples = self.read(indices)
        return examples if self._format is None else resize_array(examples, self._format)

    def read(self, rows: Rows) -> NDArray[Any]:
        """Return some examples as they are stored, not resized."""
        return converted(self.stored.read(rows), sequences=self._sequences)


def read_rows(array: NDArray[Any] | StoredArray, rows: Rows) -> NDArray[Any]:
    """Return some rows of an array, wherever it is."""
    return array.read(rows) if isinstance(array, StoredArray) else array[rows]


def block_slices(array: "StoredArray | StoredInputs | NDArray[Any]") -> Iterator[slice]:
    """Give the rows of an array, some megabytes at a time."""
    count = max(1, _BLOCK * len(array) // max(1, array.nbytes))
    for start in range(0, len(array), count):
        yield slice(start, min(start + count, len(array)))


def converted_form(
    array: "StoredArray | NDArray[Any]", *, sequences: bool = False
) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Return shape and dtype of an array once it is `converted`."""
    if sequences:
        return array.shape, np.dtype(np.float32)
    dtype = np.dtype(np.uint8 if array.dtype == np.uint8 else np.float32)
    return (*array.shape, 1) if array.ndim == 3 else array.shape, dtype


def converted(array: NDArray[Any], *, sequences: bool = False) -> NDArray[Any]:
    """Return examples as uint8 or float32 of shape (examples, height, width, channels) or (examples, features).

    Of sequences the shape is left, and no number is taken for a pixel: they are float32.
    """
    shape, dtype = converted_form(array, sequences=sequences)
    with np.errstate(over="ignore"):  # what is too large for float32 becomes infinite, which is found later
        return array.astype(dtype, copy=False).reshape(shape)
