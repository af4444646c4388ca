"""Arrays that were read from somewhere become checked splits: what npz and idx have in common."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kerasrun.errors import DataError
from kerasrun.sources._contract import (
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
from kerasrun.sources._images import resize_array
from kerasrun.sources._inputs import ArrayInputs, ResizedArray, memory_budget

_COLOR_MODES: Mapping[int, ColorMode] = {channels: mode for mode, channels in CHANNELS.items()}
_FEW_CLASSES = 1000


@dataclass(frozen=True)
class LabelledArrays:
    """The arrays of one split as they were read, and what a message calls each of them."""

    inputs: NDArray[Any]
    labels: NDArray[Any]
    inputs_name: str
    labels_name: str


def data_from_arrays(
    arrays: Mapping[str, LabelledArrays],
    *,
    label_kind: LabelKind = "classes",
    classes: Sequence[str] | None,
    image_size: tuple[int, int] | None,
    interpolation: Interpolation,
    fit_mode: FitMode,
) -> Data:
    """Check the arrays of every split, and bring them to the form of `Data`.

    Args:
        arrays: by the split's name, `train` among them: inputs of shape (examples, height, width), (examples, height,
            width, channels) or (examples, features); labels of `classes` as class numbers of shape (examples,) or
            (examples, 1), or one-hot of shape (examples, classes), others of shape (examples,) or (examples, labels).
        label_kind: what the labels are; not `masks`.
        classes: names of the classes, or of the columns of other labels; None for their numbers.
        image_size: height and width of the result, or None to leave images as they are.
        interpolation: how images are resized.
        fit_mode: how images of another aspect are fitted.

    Raises:
        DataError: if an array cannot be used; the message has its name.
    """
    inputs = {name: _checked_inputs(split) for name, split in arrays.items()}
    for split in arrays.values():
        if len(split.inputs) != len(split.labels):
            raise DataError(
                f"{split.inputs_name} has {len(split.inputs)} examples, but {split.labels_name} has "
                f"{len(split.labels)} labels; expected a label for each example"
            )
    given = len(classes) if classes else None
    labels, count = _classes(arrays, given) if label_kind == "classes" else _columns(arrays, label_kind, given)
    for name, split in arrays.items():
        _check_same_kind(split, inputs[name], arrays["train"], inputs["train"], image_size)
    image_format = _image_format(inputs["train"], image_size, interpolation, fit_mode)
    splits = {
        name: Split(name, _resized(inputs[name], image_format if image_size else None), labels[name]) for name in arrays
    }
    names = tuple(classes or map(str, range(count)))
    is_8_bit = inputs["train"].dtype == np.uint8 and inputs["train"].shape[-1] in _COLOR_MODES
    fingerprint = _fingerprint({name: (inputs[name], labels[name]) for name in arrays})
    return Data(splits, names, image_format if is_8_bit else None, fingerprint, label_kind)


def _checked_inputs(split: LabelledArrays) -> NDArray[Any]:
    """uint8 or float32 of shape (examples, height, width, channels) or (examples, features)."""
    inputs, name = split.inputs, split.inputs_name
    if inputs.dtype.kind not in "buif":
        raise DataError(f"{name}: holds {inputs.dtype}; expected numbers")
    if inputs.ndim not in (2, 3, 4) or 0 in inputs.shape[1:]:
        raise DataError(
            f"{name}: has shape {inputs.shape}; expected (examples, height, width), "
            "(examples, height, width, channels) or (examples, features)"
        )
    if not len(inputs):
        raise DataError(f"{name}: holds no examples; its shape is {inputs.shape}")
    if inputs.ndim == 3:
        inputs = inputs[..., np.newaxis]
    if inputs.dtype == np.uint8:
        return inputs
    with np.errstate(over="ignore"):  # what is too large for float32 becomes infinite, and is found below
        inputs = inputs.astype(np.float32)
    wrong = np.flatnonzero(~np.isfinite(inputs).reshape(len(inputs), -1).all(axis=1))
    if len(wrong):
        raise DataError(
            f"{name}: {len(wrong)} of {len(inputs)} examples hold NaN or infinity (as float32), the first at index "
            f"{wrong[0]}; expected finite numbers"
        )
    return inputs


def _classes(arrays: Mapping[str, LabelledArrays], given: int | None) -> tuple[dict[str, NDArray[Any]], int]:
    """The class numbers of every split, and how many classes there are."""
    found = {name: _class_numbers(split) for name, split in arrays.items()}
    count = given or _class_count(arrays["train"], *found["train"])
    for name, split in arrays.items():
        _check_range(split, *found[name], count)
    return {name: numbers for name, (numbers, _) in found.items()}, count


def _columns(
    arrays: Mapping[str, LabelledArrays], kind: LabelKind, given: int | None
) -> tuple[dict[str, NDArray[Any]], int]:
    """The rows of labels of every split, and how many labels each has."""
    found = {name: _label_columns(split, kind) for name, split in arrays.items()}
    count = given or found["train"].shape[1]
    for name, split in arrays.items():
        if found[name].shape[1] != count:
            raise DataError(f"{split.labels_name}: {found[name].shape[1]} labels for each example; expected {count}")
    return found, count


def _label_columns(split: LabelledArrays, kind: LabelKind) -> NDArray[Any]:
    """Rows of numbers as float32, or of 0 and 1 as uint8."""
    labels, name = split.labels, split.labels_name
    if labels.dtype.kind not in "buif" or labels.ndim not in (1, 2) or 0 in labels.shape[1:]:
        raise DataError(
            f"{name}: {labels.dtype} of shape {labels.shape}; expected numbers of shape (examples,) or (examples, "
            "labels)"
        )
    labels = labels.reshape(len(labels), -1)
    allowed = np.isin(labels, (0, 1)) if kind == "multi_label" else np.isfinite(labels.astype(np.float32))
    wrong = np.flatnonzero(~allowed.all(axis=1))
    if len(wrong):
        expected = "0 or 1 for each label" if kind == "multi_label" else "finite numbers"
        raise DataError(f"{name}: the row at index {wrong[0]} is {labels[wrong[0]].tolist()}; expected {expected}")
    return labels.astype(np.uint8 if kind == "multi_label" else np.float32)


def _class_numbers(split: LabelledArrays) -> tuple[NDArray[np.int64], int | None]:
    """Class numbers, and how many classes there are if the labels are one-hot."""
    labels, name = split.labels, split.labels_name
    expected = "class numbers of shape (examples,) or (examples, 1), or one-hot labels of shape (examples, classes)"
    if labels.dtype.kind not in "buif":
        raise DataError(f"{name}: holds {labels.dtype}; expected {expected}")
    if labels.ndim == 2 and labels.shape[1] > 1:
        return _from_one_hot(labels, name), labels.shape[1]
    if labels.ndim not in (1, 2) or 0 in labels.shape[1:]:
        raise DataError(f"{name}: has shape {labels.shape}; expected {expected}")
    labels = labels.reshape(-1)
    wrong = np.flatnonzero((labels < 0) | (labels != np.floor(labels)) | (labels >= 2**31))
    if len(wrong):
        raise DataError(
            f"{name}: the label at index {wrong[0]} is {labels[wrong[0]]}; expected whole numbers from 0: {expected}; "
            "for numbers to be predicted set `labels: numbers`"
        )
    return labels.astype(np.int64), None


def _from_one_hot(labels: NDArray[Any], name: str) -> NDArray[np.int64]:
    wrong = np.flatnonzero((np.count_nonzero(labels, axis=1) != 1) | (labels.max(axis=1) != 1))
    if len(wrong):
        raise DataError(
            f"{name}: has shape {labels.shape}, but the row at index {wrong[0]} is not one-hot; expected a single 1 "
            "among zeros in each row, or class numbers of shape (examples,)"
        )
    numbers: NDArray[np.int64] = labels.argmax(axis=1).astype(np.int64)
    return numbers


def _class_count(split: LabelledArrays, labels: NDArray[np.int64], one_hot: int | None) -> int:
    count = one_hot or int(labels.max()) + 1
    if count < 2:
        raise DataError(f"{split.labels_name}: every label is 0; expected at least two classes")
    if count > max(_FEW_CLASSES, len(labels)):
        raise DataError(
            f"{split.labels_name}: the largest label is {count - 1} among {len(labels)} examples; expected class "
            "numbers from 0, without large gaps"
        )
    return count


def _check_range(split: LabelledArrays, labels: NDArray[np.int64], one_hot: int | None, count: int) -> None:
    if one_hot not in (None, count):
        raise DataError(f"{split.labels_name}: one-hot labels of {one_hot} classes; expected {count} classes")
    wrong = np.flatnonzero(labels >= count)
    if len(wrong):
        raise DataError(
            f"{split.labels_name}: the label at index {wrong[0]} is {labels[wrong[0]]}, out of range; expected 0 to "
            f"{count - 1}, for there are {count} classes"
        )


def _check_same_kind(
    split: LabelledArrays,
    inputs: NDArray[Any],
    train: LabelledArrays,
    train_inputs: NDArray[Any],
    image_size: tuple[int, int] | None,
) -> None:
    """Every split must have the dtype and the shape of `train`; the size may differ if images are resized."""
    if image_size and inputs.ndim != 4:
        raise DataError(f"{split.inputs_name}: has shape {split.inputs.shape}; `image_size` needs images")
    free = 3 if image_size else 1
    if inputs.shape[free:] != train_inputs.shape[free:] or inputs.dtype != train_inputs.dtype:
        raise DataError(
            f"{split.inputs_name}: {split.inputs.dtype} of shape {split.inputs.shape} does not go with "
            f"{train.inputs_name}: {train.inputs.dtype} of shape {train.inputs.shape}"
        )


def _image_format(
    inputs: NDArray[Any], image_size: tuple[int, int] | None, interpolation: Interpolation, fit_mode: FitMode
) -> ImageFormat | None:
    if inputs.ndim != 4:
        return None
    height, width = image_size or inputs.shape[1:3]
    return ImageFormat(height, width, _COLOR_MODES.get(inputs.shape[3], "rgb"), interpolation, fit_mode)


def _resized(inputs: NDArray[Any], image_format: ImageFormat | None) -> Inputs:
    if image_format is None or inputs.shape[1:3] == (image_format.height, image_format.width):
        return ArrayInputs(inputs)
    needed = len(inputs) * image_format.height * image_format.width * inputs.shape[3] * inputs.itemsize
    if needed > memory_budget():
        return ResizedArray(inputs, image_format)
    return ArrayInputs(resize_array(inputs, image_format))


def _fingerprint(splits: Mapping[str, tuple[NDArray[Any], NDArray[Any]]]) -> str:
    """sha256 over the arrays themselves: how they are packed into files does not matter."""
    digest = hashlib.sha256()
    for name, arrays in splits.items():
        for array in arrays:
            digest.update(f"{name} {array.dtype} {array.shape}\n".encode())
            digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
