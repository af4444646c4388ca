"""Columns of labels in arrays: any numbers, or 0 and 1 of labels that may hold together."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kerasrun.errors import DataError
from kerasrun.reading.inputs import note_rounded
from kerasrun.reading.labelled_arrays import GivenLabels, LabelledArrays, ReadLabels


def columns_of_arrays(given: GivenLabels, *, together: bool = False) -> ReadLabels:
    """Return a row of numbers for each example, float32; or of 0 and 1, uint8.

    Args:
        given: labels are numbers of shape (examples,) or (examples, labels).
        together: whether each column is 0 or 1.

    Raises:
        DataError: if an array holds other labels; the message has its name.
    """
    found = {name: _columns(split, together=together) for name, split in given.arrays.items()}
    count = len(given.names) if given.names else found["train"].shape[1]
    for name, split in given.arrays.items():
        if found[name].shape[1] != count:
            raise DataError(f"{split.labels_name}: {found[name].shape[1]} labels for each example; expected {count}")
    return ReadLabels(found, tuple(given.names or map(str, range(count))))


def _columns(split: LabelledArrays, *, together: bool) -> NDArray[Any]:
    labels, name = split.label_array, split.labels_name
    if labels.dtype.kind not in "buif" or labels.ndim not in (1, 2) or 0 in labels.shape[1:]:
        raise DataError(
            f"{name}: {labels.dtype} of shape {labels.shape}; expected numbers of shape (examples,) or (examples, "
            "labels)"
        )
    labels = labels.reshape(len(labels), -1)
    with np.errstate(over="ignore"):  # what is too large for float32 becomes infinite
        allowed = np.isin(labels, (0, 1)) if together else np.isfinite(labels.astype(np.float32))
    wrong = np.flatnonzero(~allowed.all(axis=1))
    if len(wrong):
        expected = "0 or 1 for each label" if together else "finite numbers"
        raise DataError(f"{name}: the row at index {wrong[0]} is {labels[wrong[0]].tolist()}; expected {expected}")
    note_rounded(labels, name)
    return labels.astype(np.uint8 if together else np.float32)
