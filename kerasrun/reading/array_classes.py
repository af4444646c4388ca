"""Classes in arrays: names, numbers or one-hot rows become class numbers."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kerasrun.errors import DataError
from kerasrun.reading.files import listed
from kerasrun.reading.labelled_arrays import GivenLabels, LabelledArrays, ReadLabels
from kerasrun.reading.labels import MISSING, distinct_classes, numbers_of

logger = logging.getLogger("kerasrun")

_FEW_CLASSES = 1000


def classes_of_arrays(given: GivenLabels) -> ReadLabels:
    """Return the class number of each example.

    Labels are names, class numbers of shape (examples,) or (examples, 1), or one-hot of shape (examples, classes). The
    names of the classes are those that are given, else the sorted names that the training labels are, or the numbers.

    Raises:
        DataError: if an array holds other labels; the message has its name.
    """
    arrays, names = _numbered(given.arrays, given.names)
    found = {name: _class_numbers(split) for name, split in arrays.items()}
    count = len(names) if names else _class_count(arrays["train"], *found["train"])
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
    return ReadLabels({name: numbers for name, (numbers, _) in found.items()}, tuple(names or map(str, range(count))))


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
    except (UnicodeError, SystemError) as error:  # SystemError: of numbers that are not characters
        raise DataError(f"{split.labels_name}: holds names that are not text of Unicode: {error}") from error
    if len(texts) != len(split.inputs) or not all(isinstance(text, str) for text in texts):
        raise DataError(
            f"{split.labels_name}: holds {split.labels.dtype}; expected a name or a number for each example"
        )
    return [text.strip() for text in texts]


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
