"""Make checked splits of arrays: what the sources of arrays have in common."""

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from kerasrun.errors import DataError
from kerasrun.reading.array_targets import array_targets
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
    channel_names,
)
from kerasrun.reading.files import listed
from kerasrun.reading.images import resize_array
from kerasrun.reading.inputs import ArrayInputs, checked_weights, note_rounded, within_limit
from kerasrun.reading.labelled_arrays import LabelledArrays
from kerasrun.reading.labels import MISSING, distinct_classes, numbers_of
from kerasrun.reading.mask_arrays import masks_of_classes
from kerasrun.reading.memory import memory_budget
from kerasrun.reading.pixels import as_pixels
from kerasrun.reading.stored import StoredArray, StoredInputs, block_slices, converted, converted_form, read_rows

logger = logging.getLogger("kerasrun")

_COLOR_MODES: Mapping[int, ColorMode] = {channels: mode for mode, channels in CHANNELS.items()}
_FEW_CLASSES = 1000


def data_from_arrays(
    arrays: Mapping[str, LabelledArrays],
    *,
    label_kind: LabelKind = "classes",
    classes: Sequence[str] | None,
    image_size: tuple[int, int] | None,
    interpolation: Interpolation,
    fit_mode: FitMode,
    limit: int | None,
    ignored: Sequence[int | str] = (),
    sequences: bool = False,
) -> Data:
    """Check the arrays of every split, and bring them to the form of `Data`.

    What is not in memory is read once, in blocks, and kept if it fits into `memory_budget()`.

    Args:
        arrays: by the split's name, `train` among them: inputs of shape (examples, height, width), (examples, height,
            width, channels) or (examples, features); labels of `classes` as class numbers of shape (examples,) or
            (examples, 1), or one-hot of shape (examples, classes), others of shape (examples,) or (examples, labels),
            masks of shape (examples, height, width) or (examples, height, width, 1) or one-hot, arrays of as many
            dimensions as the inputs or one less, or the very inputs; weights of shape (examples,) or (examples, 1), or
            with one for each pixel or step that has a label.
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
    if label_kind == "classes":
        arrays, classes = _numbered(arrays, classes)
    targets: Mapping[str, LabelledArrays] = {}
    if label_kind == "arrays" and arrays["train"].labels is not arrays["train"].inputs:
        targets = array_targets(arrays, image_size, sequences=sequences)
    bits: Literal[8, 16] = 8
    if not sequences:
        arrays, bits = as_pixels(arrays)
    given = len(classes) if classes else None
    labels: Mapping[str, NDArray[Any] | StoredArray]
    if label_kind == "arrays":
        labels = {name: np.zeros(len(split.inputs), np.int64) for name, split in arrays.items()}
        shape, _ = converted_form((targets or arrays)["train"].inputs, sequences=sequences)
        classes, count = channel_names(shape[1:], classes), shape[-1]
    elif label_kind == "masks":
        labels, classes = masks_of_classes(arrays, classes, ignored, sequences=sequences)
        count = len(classes)
    elif label_kind == "classes":
        labels, count = _classes(arrays, given)
    else:
        labels, count = _columns(arrays, label_kind, given)
    weights = {name: _weights(split, label_kind, sequences=sequences) for name, split in arrays.items()}
    if ignored and weights["train"] is not None:
        raise DataError(
            f"{arrays['train'].weight_name}: expected no weights beside `ignore`: a weight of 0 does the same"
        )
    for each in (arrays, targets):
        for split in each.values():
            _check_same_kind(split, each["train"], image_size, sequences=sequences)
    shape, dtype = converted_form(arrays["train"].inputs, sequences=sequences)
    image_format = None
    if len(shape) == 4:
        height, width = image_size or shape[1:3]
        image_format = ImageFormat(height, width, _COLOR_MODES.get(shape[3], "rgb"), interpolation, fit_mode, bits)
    mask_format = None
    if image_format and image_size:
        mask_format = replace(image_format, color_mode="grayscale", interpolation="nearest")
    digest = hashlib.sha256()
    splits = {}
    for name, split in arrays.items():
        whole = labels[name]
        chosen = within_limit(np.zeros((len(whole), 0)) if isinstance(whole, StoredArray) else whole, limit)
        examples = _examples(name, split, chosen, digest, sequences=sequences)
        kept, weight = whole[chosen], weights[name]
        weight = None if weight is None else weight[chosen]
        for array in (kept, weight):
            if array is not None:
                _hash_form(digest, name, array)
                for rows in block_slices(array):
                    block = read_rows(array, rows)
                    digest.update(np.ascontiguousarray(block).data)
        inputs = _resized(examples, image_format if image_size else None)
        aside = _targets(kept, label_kind, mask_format, sequences=sequences)
        if targets:
            made = _examples(f"{name} targets", targets[name], chosen, digest, sequences=sequences)
            aside = _resized(made, image_format if image_size else None)
        elif label_kind == "arrays":
            aside = inputs
        splits[name] = Split(name, inputs, aside, sample_weight=weight)
    names = tuple(classes or map(str, range(count)))
    is_8_bit = dtype == np.uint8 and shape[-1] in _COLOR_MODES
    return Data(splits, names, image_format if is_8_bit else None, digest.hexdigest(), label_kind)


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


def _numbered(
    arrays: Mapping[str, LabelledArrays], classes: Sequence[str] | None
) -> tuple[Mapping[str, LabelledArrays], Sequence[str] | None]:
    """Return class numbers in the place of names, and the names: those that are given, or all of `train`, sorted."""
    if arrays["train"].label_array.dtype.kind not in "USO":
        return arrays, classes
    texts = {name: _texts(split) for name, split in arrays.items()}
    for index, text in enumerate(texts["train"] if classes is None else ()):
        if text.lower() in MISSING:
            raise DataError(
                f"{arrays['train'].labels_name}: the label at index {index}, {text!r}, means a missing value; leave "
                "examples without a label out, or list `classes` if it is the name of one"
            )
    names = classes or distinct_classes(set(texts["train"]))
    if len(names) < 2:
        raise DataError(f"{arrays['train'].labels_name}: every label is {names[0]!r}; expected at least two classes")
    numbered = {}
    for name, found in texts.items():
        numbers = numbers_of(set(found), names)
        for index, text in enumerate(found):
            if text not in numbers:
                raise DataError(
                    f"{arrays[name].labels_name}: the label at index {index} is {text!r}; expected {listed(names)}"
                )
        numbered[name] = replace(arrays[name], labels=np.array([numbers[text] for text in found], np.int64))
    return numbered, names


def _texts(split: LabelledArrays) -> list[str]:
    try:
        labels = split.label_array.reshape(-1).tolist()
        texts = [label.decode() if isinstance(label, bytes) else label for label in labels]
        "".join(filter(lambda text: isinstance(text, str), texts)).encode()
    except (UnicodeError, SystemError) as error:  # the second of numbers that are no characters
        raise DataError(f"{split.labels_name}: holds names that are not text of Unicode: {error}") from error
    if len(texts) != len(split.inputs) or not all(isinstance(text, str) for text in texts):
        raise DataError(
            f"{split.labels_name}: holds {split.labels.dtype}; expected a name or a number for each example"
        )
    return [text.strip() for text in texts]


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


def _weights(split: LabelledArrays, kind: LabelKind, *, sequences: bool) -> NDArray[np.float32] | None:
    weights, name = split.sample_weight, split.weight_name
    if weights is None:
        return None
    count = len(split.inputs)
    shapes: list[tuple[int, ...]] = [(count,), (count, 1)]
    if kind in ("masks", "arrays") and (sequences or split.inputs.ndim > 2):
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


def _classes(arrays: Mapping[str, LabelledArrays], given: int | None) -> tuple[dict[str, NDArray[Any]], int]:
    """Return the class numbers of every split, and the number of classes."""
    found = {name: _class_numbers(split) for name, split in arrays.items()}
    count = given or _class_count(arrays["train"], *found["train"])
    for name, split in arrays.items():
        numbers, one_hot = found[name]
        if one_hot not in (None, count):
            raise DataError(f"{split.labels_name}: one-hot labels of {one_hot} classes; expected {count} classes")
        wrong = np.flatnonzero(numbers >= count)
        if len(wrong):
            raise DataError(
                f"{split.labels_name}: the label at index {wrong[0]} is {numbers[wrong[0]]}, out of range; expected 0 "
                f"to {count - 1}, for there are {count} classes"
            )
    return {name: numbers for name, (numbers, _) in found.items()}, count


def _columns(
    arrays: Mapping[str, LabelledArrays], kind: LabelKind, given: int | None
) -> tuple[dict[str, NDArray[Any]], int]:
    """Return the rows of labels of every split, and the number of labels in each."""
    found = {name: _label_columns(split, kind) for name, split in arrays.items()}
    count = given or found["train"].shape[1]
    for name, split in arrays.items():
        if found[name].shape[1] != count:
            raise DataError(f"{split.labels_name}: {found[name].shape[1]} labels for each example; expected {count}")
    return found, count


def _label_columns(split: LabelledArrays, kind: LabelKind) -> NDArray[Any]:
    """Return rows of numbers as float32, or of 0 and 1 as uint8."""
    labels, name = split.label_array, split.labels_name
    if labels.dtype.kind not in "buif" or labels.ndim not in (1, 2) or 0 in labels.shape[1:]:
        raise DataError(
            f"{name}: {labels.dtype} of shape {labels.shape}; expected numbers of shape (examples,) or (examples, "
            "labels)"
        )
    labels = labels.reshape(len(labels), -1)
    with np.errstate(over="ignore"):  # what is too large for float32 becomes infinite
        allowed = np.isin(labels, (0, 1)) if kind == "multi_label" else np.isfinite(labels.astype(np.float32))
    wrong = np.flatnonzero(~allowed.all(axis=1))
    if len(wrong):
        expected = "0 or 1 for each label" if kind == "multi_label" else "finite numbers"
        raise DataError(f"{name}: the row at index {wrong[0]} is {labels[wrong[0]].tolist()}; expected {expected}")
    note_rounded(labels, name)
    return labels.astype(np.uint8 if kind == "multi_label" else np.float32)


def _class_numbers(split: LabelledArrays) -> tuple[NDArray[np.int64], int | None]:
    """Return class numbers, and the number of classes if the labels are one-hot."""
    labels, name = split.label_array, split.labels_name
    expected = "class numbers of shape (examples,) or (examples, 1), or one-hot labels of shape (examples, classes)"
    if labels.dtype.kind not in "buif":
        raise DataError(f"{name}: holds {labels.dtype}; expected {expected}")
    if labels.ndim == 2 and labels.shape[1] > 1:
        return _from_one_hot(labels, name), labels.shape[1]
    if labels.ndim not in (1, 2) or 0 in labels.shape[1:]:
        hint = "; for a class for each pixel set `labels: masks`" if labels.ndim in (3, 4) else ""
        raise DataError(f"{name}: has shape {labels.shape}; expected {expected}{hint}")
    labels = labels.reshape(-1)
    with np.errstate(over="ignore"):  # for float16 2**31 is infinite
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
            f"{name}: has shape {labels.shape}, but the row at index {wrong[0]} is not one-hot: "
            f"{listed([str(value) for value in labels[wrong[0]].tolist()])}; expected a single 1 among zeros in each "
            "row, or class numbers of shape (examples,); for labels that may hold together set `labels: multi_label`, "
            "for numbers to be predicted `labels: numbers`"
        )
    numbers: NDArray[np.int64] = labels.argmax(axis=1).astype(np.int64)
    return numbers


def _class_count(split: LabelledArrays, labels: NDArray[np.int64], one_hot: int | None) -> int:
    count = one_hot or int(labels.max()) + 1
    if not one_hot and labels.min() > 0:
        raise DataError(
            f"{split.labels_name}: the labels are {labels.min()} to {labels.max()}, so class 0 would have no example; "
            f"subtract {labels.min()} from them"
        )
    if count < 2:
        raise DataError(f"{split.labels_name}: every label is 0; expected at least two classes")
    if count > max(_FEW_CLASSES, len(labels)):
        raise DataError(
            f"{split.labels_name}: the largest label is {count - 1} among {len(labels)} examples; expected class "
            "numbers from 0, without large gaps"
        )
    if not one_hot and (empty := sorted(set(range(count)) - set(labels.tolist()))):
        logger.warning(
            "%s: the labels are 0 to %d, but no training example is of class %s",
            *(split.labels_name, count - 1, listed([str(number) for number in empty])),
        )
    return count


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


def _targets(
    labels: NDArray[Any] | StoredArray, kind: LabelKind, mask_format: ImageFormat | None, *, sequences: bool
) -> NDArray[Any] | Inputs:
    """Return labels as a `Split` has them: of masks inputs, resized to the nearest pixel."""
    if isinstance(labels, StoredArray):
        return _resized(StoredInputs(labels, sequences=sequences), mask_format)
    return _resized(labels, mask_format) if kind == "masks" else labels


def _resized(examples: NDArray[Any] | StoredInputs, image_format: ImageFormat | None) -> Inputs:
    if isinstance(examples, StoredInputs):
        return examples if image_format is None else StoredInputs(examples.stored, image_format)
    if image_format is None or examples.shape[1:3] == (image_format.height, image_format.width):
        return ArrayInputs(examples)
    needed = len(examples) * image_format.height * image_format.width * examples.shape[3] * examples.itemsize
    if needed > memory_budget():
        return StoredInputs(StoredArray(examples.shape, examples.dtype, examples.__getitem__), image_format)
    return ArrayInputs(resize_array(examples, image_format))
