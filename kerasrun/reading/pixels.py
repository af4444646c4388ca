"""Arrays of pixels: whole numbers from 0 to 255 are bytes, whatever their dtype."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from kerasrun.reading.labelled_arrays import LabelledArrays
from kerasrun.reading.stored import StoredArray, block_slices, read_rows


def as_pixels(arrays: Mapping[str, LabelledArrays]) -> tuple[Mapping[str, LabelledArrays], Literal[8, 16]]:
    """Return images as the bytes that they are, where whole numbers of 0 to 255, not 0 and 1 alone, have another dtype.

    Numbers of 16 bits keep their high byte, as those of image files do. What they had is returned beside them.
    """
    images = [split.inputs for split in arrays.values()]
    if any(one.ndim < 3 for one in images) or all(one.dtype == np.uint8 for one in images):
        return arrays, 8
    largest = [_largest_byte(one) for one in images]
    are_bytes = None not in largest and max(filter(None, largest), default=0) > 1
    if not are_bytes and any(one.dtype != np.uint16 for one in images):
        return arrays, 8
    bits: Literal[8, 16] = 8 if are_bytes else 16
    return {name: replace(split, inputs=_shifted(split.inputs, bits - 8)) for name, split in arrays.items()}, bits


def _largest_byte(array: NDArray[Any] | StoredArray) -> int | None:
    """Return the largest number; None unless all are whole and from 0 to 255."""
    largest = 0
    for rows in block_slices(array):
        block = read_rows(array, rows)
        if not ((block >= 0) & (block <= 255) & (block == np.floor(block))).all():
            return None
        largest = max(largest, int(block.max()))
    return largest


def _shifted(array: NDArray[Any] | StoredArray, bits: int) -> NDArray[Any] | StoredArray:
    """Return an array without its lowest bits, as uint8; one in a file is changed as it is read."""
    if isinstance(array, StoredArray):
        read = array.read
        return StoredArray(array.shape, np.dtype(np.uint8), lambda rows: _shift(read(rows), bits))
    return _shift(array, bits)


def _shift(array: NDArray[Any], bits: int) -> NDArray[np.uint8]:
    return (array >> bits if bits else array).astype(np.uint8)
