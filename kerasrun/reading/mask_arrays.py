"""Masks in arrays: whole numbers become class numbers, uint8 of shape (examples, height, width, 1), or of steps."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from kerasrun.errors import DataError
from kerasrun.reading.data import IGNORED
from kerasrun.reading.files import listed
from kerasrun.reading.labelled_arrays import GivenLabels, LabelledArrays, ReadLabels
from kerasrun.reading.memory import memory_budget
from kerasrun.reading.stored import Rows, StoredArray, block_slices, read_rows

_MOST_VALUES = 256


def masks_of_arrays(given: GivenLabels) -> ReadLabels:
    """Return the masks of every split as class numbers, in memory where they fit into it.

    The values are 0 and 255 for two classes, or class numbers from 0; or the masks are one-hot. Pixels of the values
    and classes that are ignored are `IGNORED`, and these classes are not named.

    Raises:
        DataError: if an array holds no masks of its images, or other values; the message has its name.
    """
    arrays, names, ignored, sequences = given.arrays, given.names, given.ignored, given.sequences
    whose, channels = arrays["train"].labels_name, set()
    for name, split in arrays.items():
        places = _places(split, sequences=sequences)
        if split.labels.ndim == len(places) + 1 and split.labels.shape[-1] > 1:
            channels.add(split.labels.shape[-1])
            arrays = {**arrays, name: replace(split, labels=_numbers_of_one_hot(split))}
    if channels:
        names = names or tuple(map(str, range(max(channels))))
    found = {name: _values(split, sequences=sequences) for name, split in arrays.items()}
    there = np.logical_or.reduce([present for present, _ in found.values()])
    numbers = {one for one in ignored if isinstance(one, int)}
    if unknown := [one for one in ignored if isinstance(one, str) and one not in (names or ())]:
        raise DataError(f"{whose}: `ignore` names {unknown[0]!r}, which is not one of `classes`; say the value instead")
    present = np.flatnonzero(there).tolist()
    values = [value for value in present if value not in numbers]
    if values and {*values} <= {0, 255} and 255 in values:
        kept = [0, 255]
    else:
        counted = [value for value in range(_MOST_VALUES) if value not in numbers]
        kept = counted[: len(names) if names else sum(value <= max(values, default=0) for value in counted)]
        if not {*values} <= {*kept} or (not names and len(values) < len(kept)):
            raise DataError(
                f"{whose}: the masks have the values {listed([str(one) for one in present])}; expected 0 and 255, or "
                f"class numbers {f'from 0 to {len(kept) - 1}' if names else 'from 0 without a gap'}"
                + (", or `ignore: [255]` for pixels that have none" if 255 in values else "")
            )
    classes = tuple(names or map(str, kept))
    counting = [place for place, name in enumerate(classes) if name not in ignored]
    if len(classes) != len(kept) or len(counting) < 2:
        raise DataError(
            f"{whose}: the masks have the values {listed([str(one) for one in present])}, but "
            + (f"`classes` names {len(classes)}" if names else "two classes or more are needed")
            + (" beside those that `ignore` leaves out" if ignored else "")
        )
    for place in counting:
        if not found["train"][0][kept[place]]:
            raise DataError(f"{whose}: no pixel to train on is of the class {classes[place]!r}")
    table = np.full(_MOST_VALUES, IGNORED, np.uint8)
    table[[kept[place] for place in counting]] = np.arange(len(counting))
    masks = {name: _numbers(arrays[name], read, table, sequences=sequences) for name, (_, read) in found.items()}
    return ReadLabels(masks, tuple(classes[place] for place in counting), per_pixel=True)


def _places(split: LabelledArrays, *, sequences: bool) -> tuple[int, ...]:
    """Return the shape of what has a class for each pixel or step, with the examples first."""
    inputs = split.inputs
    if inputs.ndim not in ((2, 3) if sequences else (3, 4)):
        raise DataError(f"{split.inputs_name}: has shape {inputs.shape}; `labels: masks` needs images or sequences")
    return (len(split.labels), *inputs.shape[1 : 2 if sequences else 3])


def _numbers_of_one_hot(split: LabelledArrays) -> NDArray[np.uint8] | StoredArray:
    """Return the class of each pixel, `IGNORED` where it has none."""
    labels, name = split.labels, split.labels_name
    if labels.dtype.kind not in "buif" or labels.shape[-1] > IGNORED:
        raise DataError(
            f"{name}: {labels.dtype} of shape {labels.shape}; expected one-hot masks of at most 255 classes"
        )

    def numbers(rows: Rows) -> NDArray[np.uint8]:
        block = read_rows(labels, rows)
        is_one = block == 1
        count = is_one.sum(axis=-1)
        if (~is_one & (block != 0)).any() or (count > 1).any():
            raise DataError(
                f"{name}: shape {labels.shape}, but not one-hot: expected a single 1 among zeros, or only 0"
            )
        return np.where(count == 0, IGNORED, is_one.argmax(axis=-1)).astype(np.uint8)

    if isinstance(labels, StoredArray):
        return StoredArray(labels.shape[:-1], np.dtype(np.uint8), numbers)
    return np.concatenate([numbers(rows) for rows in block_slices(labels)])


def _values(split: LabelledArrays, *, sequences: bool) -> tuple[NDArray[np.bool_], NDArray[np.uint8] | None]:
    """Return which of the 256 values the masks have, and the masks if they fit into memory."""
    labels, name = split.labels, split.labels_name
    shape = _places(split, sequences=sequences)
    if labels.dtype.kind not in "buif" or labels.shape not in (shape, (*shape, 1)):
        raise DataError(
            f"{name}: {labels.dtype} of shape {labels.shape}; expected masks of shape {shape} or {(*shape, 1)}: a "
            f"whole number for each {'step of the sequences' if sequences else 'pixel of the images'}, or one-hot"
        )
    present = np.zeros(_MOST_VALUES, np.bool_)
    fits = len(labels) * int(np.prod(shape[1:])) <= memory_budget()
    kept = np.empty((*shape, 1), np.uint8) if fits else None
    for rows in block_slices(labels):
        block = read_rows(labels, rows)
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
    split: LabelledArrays, read: NDArray[np.uint8] | None, table: NDArray[np.uint8], *, sequences: bool
) -> NDArray[np.uint8] | StoredArray:
    if read is not None:
        found: NDArray[np.uint8] = table[read]
        return found
    labels = split.labels
    shape = (*_places(split, sequences=sequences)[1:], 1)

    def masks(rows: Rows) -> NDArray[np.uint8]:
        numbers: NDArray[np.uint8] = table[read_rows(labels, rows).astype(np.uint8)]
        return numbers.reshape(-1, *shape)

    return StoredArray((len(labels), *shape), np.dtype(np.uint8), masks)
