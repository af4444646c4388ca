"""Masks in arrays: whole numbers become class numbers, uint8 of shape (examples, height, width, 1)."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kerasrun.errors import DataError
from kerasrun.reading.files import listed
from kerasrun.reading.labelled_arrays import LabelledArrays
from kerasrun.reading.memory import memory_budget
from kerasrun.reading.stored import Rows, StoredArray, block_slices

_MOST_VALUES = 256


def masks_of_classes(
    arrays: Mapping[str, LabelledArrays], names: Sequence[str] | None
) -> tuple[dict[str, NDArray[np.uint8] | StoredArray], tuple[str, ...]]:
    """Return the masks of every split as class numbers, in memory where they fit into it, and the classes.

    The values are 0 and 255 for two classes, or class numbers from 0.

    Args:
        names: of the classes, or None for their values.

    Raises:
        DataError: if an array holds no masks of its images, or other values; the message has its name.
    """
    found = {name: _values(split) for name, split in arrays.items()}
    there = np.logical_or.reduce([present for present, _ in found.values()])
    values = np.flatnonzero(there).tolist()
    given = arrays["train"].labels_name
    if set(values) <= {0, 255} and 255 in values:
        kept = [0, 255]
    else:
        kept = list(range(len(names) if names else max(values) + 1))
        if values[-1] >= len(kept) or (not names and len(values) < len(kept)):
            raise DataError(
                f"{given}: the masks have the values {listed([str(one) for one in values])}; expected 0 and 255, or "
                f"class numbers {f'from 0 to {len(kept) - 1}' if names else 'from 0 without a gap'}"
            )
    classes = tuple(names or map(str, kept))
    if len(classes) != len(kept) or len(kept) < 2:
        raise DataError(
            f"{given}: the masks have the values {listed([str(one) for one in values])}, but "
            + (f"`classes` names {len(classes)}" if names else "two classes or more are needed")
        )
    for place, value in enumerate(kept):
        if not found["train"][0][value]:
            raise DataError(f"{given}: no pixel to train on is of the class {classes[place]!r}")
    table = np.zeros(_MOST_VALUES, np.uint8)
    table[kept] = np.arange(len(kept))
    return {name: _numbers(arrays[name], read, table) for name, (_, read) in found.items()}, classes


def _values(split: LabelledArrays) -> tuple[NDArray[np.bool_], NDArray[np.uint8] | None]:
    """Return which of the 256 values the masks have, and the masks if they fit into memory."""
    labels, name = split.labels, split.labels_name
    if split.inputs.ndim not in (3, 4):
        raise DataError(f"{split.inputs_name}: has shape {split.inputs.shape}; `labels: masks` needs images")
    shape = (len(labels), *split.inputs.shape[1:3])
    if labels.dtype.kind not in "buif" or labels.shape not in (shape, (*shape, 1)):
        raise DataError(
            f"{name}: {labels.dtype} of shape {labels.shape}; expected masks of shape {shape} or {(*shape, 1)}: a "
            "whole number for each pixel of the images"
        )
    present = np.zeros(_MOST_VALUES, np.bool_)
    fits = len(labels) * int(np.prod(shape[1:])) <= memory_budget()
    kept = np.empty((*shape, 1), np.uint8) if fits else None
    for rows in block_slices(labels):
        block = _read(labels, rows)
        wrong = block[(block < 0) | (block >= _MOST_VALUES) | (block != np.floor(block))]
        if len(wrong) or not np.isfinite(block).all():
            value = wrong[0] if len(wrong) else np.nan
            raise DataError(f"{name}: holds {value}; expected masks of whole numbers from 0 to 255")
        numbers = block.astype(np.uint8).reshape(-1, *shape[1:], 1)
        present |= np.bincount(numbers.reshape(-1), minlength=_MOST_VALUES) > 0
        if kept is not None:
            kept[rows] = numbers
    return present, kept


def _numbers(
    split: LabelledArrays, read: NDArray[np.uint8] | None, table: NDArray[np.uint8]
) -> NDArray[np.uint8] | StoredArray:
    if read is not None:
        found: NDArray[np.uint8] = table[read]
        return found
    labels = split.labels
    shape = (*split.inputs.shape[1:3], 1)

    def masks(rows: Rows) -> NDArray[np.uint8]:
        numbers: NDArray[np.uint8] = table[_read(labels, rows).astype(np.uint8)]
        return numbers.reshape(-1, *shape)

    return StoredArray((len(labels), *shape), np.dtype(np.uint8), masks)


def _read(labels: NDArray[Any] | StoredArray, rows: Rows) -> NDArray[Any]:
    return labels.read(rows) if isinstance(labels, StoredArray) else labels[rows]
