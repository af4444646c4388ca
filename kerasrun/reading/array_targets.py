"""Arrays that a network is to make of the examples: images of images, numbers for the steps of sequences."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kerasrun.errors import DataError
from kerasrun.reading.data import channel_names
from kerasrun.reading.labelled_arrays import GivenLabels, LabelledArrays, ReadLabels
from kerasrun.reading.pixels import as_pixels
from kerasrun.reading.stored import Rows, StoredArray, converted_form


def targets_of_arrays(given: GivenLabels) -> ReadLabels:
    """Return what is to be made of the examples: the labels of every split, or the examples themselves if they are it.

    Labels are arrays of as many dimensions as the inputs or one less, or the very inputs.

    Raises:
        DataError: if they are not an array of numbers for each example, or not as large as `image_size` needs.
    """
    arrays, sequences = given.arrays, given.sequences
    are_inputs = arrays["train"].labels is arrays["train"].inputs
    targets = {} if are_inputs else _targets(arrays, given.image_size, sequences=sequences)
    shape, _ = converted_form((targets or arrays)["train"].inputs, sequences=sequences)
    none = {name: np.zeros(len(split.inputs), np.int64) for name, split in arrays.items()}
    names = channel_names(shape[1:], given.names)
    return ReadLabels(none, names, per_pixel=True, are_inputs=are_inputs, targets=targets)


def _targets(
    arrays: Mapping[str, LabelledArrays], image_size: tuple[int, int] | None, *, sequences: bool
) -> Mapping[str, LabelledArrays]:
    """Return the labels of every split in the place of its inputs."""
    targets = {}
    for name, split in arrays.items():
        inputs, labels = split.inputs, split.labels
        if inputs.ndim < 3 and not sequences:
            raise DataError(
                f"{split.inputs_name}: has shape {inputs.shape}; `labels: arrays` needs images or sequences: of rows "
                "take `labels: numbers`"
            )
        if labels.dtype.kind not in "buif" or 0 in labels.shape[1:] or not _has_places(split, sequences=sequences):
            place = ("steps",) if sequences else ("height", "width")
            one, other = (f"(examples, {', '.join(axes)})" for axes in (place, (*place, "channels")))
            raise DataError(
                f"{split.labels_name}: {labels.dtype} of shape {labels.shape}; expected numbers of shape "
                f"{one} or {other}"
            )
        if sequences and labels.ndim == 2:
            labels = _with_channel(labels)
        if image_size and labels.shape[1:3] != inputs.shape[1:3]:
            raise DataError(
                f"{split.labels_name}: has shape {labels.shape}, beside {inputs.shape} of {split.inputs_name}; "
                "`image_size` needs targets as large as their images: leave it out"
            )
        targets[name] = replace(split, inputs=labels, inputs_name=split.labels_name)
    return targets if sequences else as_pixels(targets)[0]


def _has_places(split: LabelledArrays, *, sequences: bool) -> bool:
    """Return whether labels have as many dimensions as there are pixels or steps, or one more for channels."""
    return split.labels.ndim in ((2, 3) if sequences else (3, 4))


def _with_channel(labels: NDArray[Any] | StoredArray) -> NDArray[Any] | StoredArray:
    if not isinstance(labels, StoredArray):
        return labels[..., None]
    read = labels.read

    def with_channel(rows: Rows) -> NDArray[Any]:
        return read(rows)[..., None]

    return StoredArray((*labels.shape, 1), labels.dtype, with_channel)
