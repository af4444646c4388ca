"""Make checked splits of arrays: what the sources of arrays have in common."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from kerasrun.errors import DataError
from kerasrun.reading.data import (
    CHANNELS,
    ColorMode,
    Data,
    FitMode,
    ImageFormat,
    Inputs,
    Interpolation,
    LabelKind,
    Split,
)
from kerasrun.reading.images import resize_array
from kerasrun.reading.inputs import ArrayInputs, checked_weights, note_rounded, within_limit
from kerasrun.reading.labelled_arrays import GivenLabels, LabelledArrays, ReadLabels
from kerasrun.reading.memory import memory_budget
from kerasrun.reading.pixels import as_pixels
from kerasrun.reading.stored import StoredArray, StoredInputs, block_slices, converted, converted_form, read_rows

_COLOR_MODES: Mapping[int, ColorMode] = {channels: mode for mode, channels in CHANNELS.items()}


def data_from_arrays(
    arrays: Mapping[str, LabelledArrays],
    read_labels: Callable[[GivenLabels], ReadLabels],
    *,
    label_kind: LabelKind,
    classes: Sequence[str] | None = None,
    image_size: tuple[int, int] | None = None,
    interpolation: Interpolation = "bilinear",
    fit_mode: FitMode = "resize",
    limit: int | None = None,
    ignored: Sequence[int | str] = (),
    sequences: bool = False,
) -> Data:
    """Check the arrays of every split, and bring them to the form of `Data`.

    What is not in memory is read once, in blocks, and kept if it fits into `memory_budget()`.

    Args:
        arrays: by the split's name, `train` among them: inputs of shape (examples, height, width), (examples, height,
            width, channels) or (examples, features); weights of shape (examples,) or (examples, 1), or with one for
            each pixel or step that has a label; labels as `read_labels` takes them.
        read_labels: reads the labels, as `Task.from_arrays` does.
        label_kind: what the labels are.
        classes: names of the classes, or of the columns of other labels; None for their numbers.
        image_size: height and width of the result, or None to leave images as they are.
        ignored: values of masks, and names of their classes, that do not count.
        limit: the most examples of each split that are taken, or None for all.
        sequences: whether inputs are no images, but of shape (examples, steps, channels) or (examples, steps).

    Raises:
        DataError: if an array cannot be used; the message has its name.
    """
    for split in arrays.values():
        _check_form(split)
    found = read_labels(GivenLabels(arrays, classes, image_size, ignored, sequences))
    bits: Literal[8, 16] = 8
    if not sequences:
        arrays, bits = as_pixels(arrays)
    weights = {name: _weights(split, per_pixel=found.per_pixel, sequences=sequences) for name, split in arrays.items()}
    if ignored and weights["train"] is not None:
        raise DataError(
            f"{arrays['train'].weight_name}: expected no weights beside `ignore`: a weight of 0 does the same"
        )
    for each in (arrays, found.targets):
        for split in each.values():
            _check_same_kind(split, each["train"], image_size, sequences=sequences)
    shape, dtype = converted_form(arrays["train"].inputs, sequences=sequences)
    image_format = None
    if len(shape) == 4:
        height, width = image_size or shape[1:3]
        image_format = ImageFormat(height, width, _COLOR_MODES.get(shape[3], "rgb"), interpolation, fit_mode, bits)
    size = image_format if image_size else None
    digest = hashlib.sha256()
    splits = {}
    for name, split in arrays.items():
        chosen = _chosen(found.labels[name], limit)
        inputs = _resized(_examples(name, split, chosen, digest, sequences=sequences), size)
        labels, weight = found.labels[name][chosen], weights[name]
        weight = None if weight is None else weight[chosen]
        for array in (labels, weight):
            if array is not None:
                _hash(digest, name, array)
        aside: NDArray[Any] | Inputs
        if found.are_inputs:
            aside = inputs
        elif found.targets:
            made = _examples(f"{name} targets", found.targets[name], chosen, digest, sequences=sequences)
            aside = _resized(made, size)
        else:
            aside = _aside(labels, size, per_pixel=found.per_pixel, sequences=sequences)
        splits[name] = Split(name, inputs, aside, sample_weight=weight)
    is_8_bit = dtype == np.uint8 and shape[-1] in _COLOR_MODES
    return Data(splits, found.names, image_format if is_8_bit else None, digest.hexdigest(), label_kind)


def _check_form(split: LabelledArrays) -> None:
    """Refuse examples that are not numbers in rows or images, or that do not have a label each."""
    inputs, name = split.inputs, split.inputs_name
    if inputs.dtype.kind not in "buif":
        raise DataError(f"{name}: holds {inputs.dtype}; expected numbers")
    if inputs.ndim not in (2, 3, 4) or 0 in inputs.shape[1:]:
        raise DataError(
            f"{name}: has shape {inputs.shape}; expected (examples, height, width), "
            "(examples, height, width, channels), (examples, steps, channels) or (examples, features)"
        )
    if not len(inputs):
        raise DataError(f"{name}: holds no examples; its shape is {inputs.shape}")
    if not split.labels.ndim or len(inputs) != len(split.labels):
        count = len(split.labels) if split.labels.ndim else "no"
        raise DataError(
            f"{name} has {len(inputs)} examples, but {split.labels_name} has {count} labels; expected a label for each "
            "example"
        )


def _chosen(labels: NDArray[Any] | StoredArray, limit: int | None) -> NDArray[np.int64]:
    return within_limit(np.zeros((len(labels), 0)) if isinstance(labels, StoredArray) else labels, limit)


def _examples(
    name: str, split: LabelledArrays, chosen: NDArray[np.int64], digest: "hashlib._Hash", *, sequences: bool
) -> NDArray[Any] | StoredInputs:
    """Check and hash the chosen examples, as uint8 or float32: in memory if they are there, or fit into it."""
    given = split.inputs if len(chosen) == len(split.inputs) else split.inputs[chosen]
    examples = (
        StoredInputs(given, sequences=sequences)
        if isinstance(given, StoredArray)
        else converted(given, sequences=sequences)
    )
    # What is in a file, and fits into memory, is kept as it is read for this check.
    kept = None
    if isinstance(examples, StoredInputs) and examples.nbytes <= memory_budget():
        kept = np.empty(examples.shape, examples.dtype)
    _hash_form(digest, name, examples)
    wrong = np.empty(0, np.int64)
    for rows in block_slices(examples):
        read = read_rows(given, rows)
        note_rounded(read, split.inputs_name)
        block = converted(read, sequences=sequences) if isinstance(examples, StoredInputs) else examples[rows]
        if kept is not None:
            kept[rows] = block
        where = np.flatnonzero(~np.isfinite(block).reshape(len(block), -1).all(axis=1))
        wrong = np.append(wrong, rows.start + where)
        digest.update(np.ascontiguousarray(block).data)
    if len(wrong):
        raise DataError(
            f"{split.inputs_name}: {len(wrong)} of {len(examples)} examples hold NaN or infinity (as float32), the "
            f"first at index {chosen[wrong[0]]}; expected finite numbers"
        )
    return examples if kept is None else kept


def _hash_form(digest: "hashlib._Hash", name: str, array: NDArray[Any] | StoredInputs | StoredArray) -> None:
    """Hash what an array is; as the arrays themselves are hashed, how they are packed into files does not matter."""
    digest.update(f"{name} {array.dtype} {array.shape}\n".encode())


def _hash(digest: "hashlib._Hash", name: str, array: NDArray[Any] | StoredArray) -> None:
    _hash_form(digest, name, array)
    for rows in block_slices(array):
        digest.update(np.ascontiguousarray(read_rows(array, rows)).data)


def _weights(split: LabelledArrays, *, per_pixel: bool, sequences: bool) -> NDArray[np.float32] | None:
    weights, name = split.sample_weight, split.weight_name
    if weights is None:
        return None
    count = len(split.inputs)
    shapes: list[tuple[int, ...]] = [(count,), (count, 1)]
    if per_pixel and (sequences or split.inputs.ndim > 2):
        shapes.append((count, *split.inputs.shape[1 : 2 if sequences else 3]))
    if weights.dtype.kind not in "buif" or weights.shape not in shapes:
        also = f", or for each of its {'steps' if sequences else 'pixels'}, {shapes[2]}" if shapes[2:] else ""
        raise DataError(
            f"{name}: {weights.dtype} of shape {weights.shape}; expected a number for each of the {count} training "
            f"examples{also}"
        )
    if weights.shape in shapes[:2]:
        return checked_weights(weights.reshape(-1), lambda index: f"{name}: the weight at index {index}")

    def named(index: int) -> str:
        place = np.unravel_index(index, weights.shape)
        return f"{name}: the weight at index {[int(one) for one in place]}"

    return checked_weights(weights.reshape(-1), named).reshape(weights.shape)


def _check_same_kind(
    split: LabelledArrays, train: LabelledArrays, image_size: tuple[int, int] | None, *, sequences: bool
) -> None:
    """Refuse another dtype or shape than that of `train`; the size may differ if images are resized."""
    shape, dtype = converted_form(split.inputs, sequences=sequences)
    train_shape, train_dtype = converted_form(train.inputs, sequences=sequences)
    if image_size and (sequences or len(shape) != 4):
        raise DataError(f"{split.inputs_name}: has shape {split.inputs.shape}; `image_size` needs images")
    free = 3 if image_size else 1
    if shape[free:] != train_shape[free:] or dtype != train_dtype:
        raise DataError(
            f"{split.inputs_name}: {split.inputs.dtype} of shape {split.inputs.shape} does not go with "
            f"{train.inputs_name}: {train.inputs.dtype} of shape {train.inputs.shape}"
        )


def _aside(
    labels: NDArray[Any] | StoredArray, size: ImageFormat | None, *, per_pixel: bool, sequences: bool
) -> NDArray[Any] | Inputs:
    """Return labels as a `Split` has them: of masks inputs, resized to the nearest pixel."""
    size = size and replace(size, color_mode="grayscale", interpolation="nearest")
    if isinstance(labels, StoredArray):
        return _resized(StoredInputs(labels, sequences=sequences), size)
    return _resized(labels, size) if per_pixel else labels


def _resized(examples: NDArray[Any] | StoredInputs, image_format: ImageFormat | None) -> Inputs:
    if isinstance(examples, StoredInputs):
        return examples if image_format is None else StoredInputs(examples.stored, image_format)
    if image_format is None or examples.shape[1:3] == (image_format.height, image_format.width):
        return ArrayInputs(examples)
    needed = len(examples) * image_format.height * image_format.width * examples.shape[3] * examples.itemsize
    if needed > memory_budget():
        return StoredInputs(StoredArray(examples.shape, examples.dtype, examples.__getitem__), image_format)
    return ArrayInputs(resize_array(examples, image_format))
