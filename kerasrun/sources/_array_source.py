"""The fields that the kinds of data share which are read as arrays, and what is made of them."""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import model_validator

from kerasrun.components import ExperimentPath
from kerasrun.errors import DataError
from kerasrun.reading.data import SPELLINGS, Data, FitMode, Interpolation, LabelKind, Split
from kerasrun.reading.files import listed
from kerasrun.sources._first_look import fitting_size
from kerasrun.sources.base import ArrayLabels, ClassNames, Ignored, ImageSize, Recognized, Source
from kerasrun.tasks.base import task_named

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from kerasrun.reading.labelled_arrays import LabelledArrays
    from kerasrun.reading.stored import StoredArray

# With more whole numbers than these, labels are rather counts than classes.
_MOST_CLASSES = 100
_NEWEST_HEADER = (3, 0)


def read_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, "np.dtype[Any]"]:
    """Read the header of an `.npy` file: the shape of its array, whether that is in Fortran's order, and its type."""
    import numpy as np

    version = np.lib.format.read_magic(file)
    if version > _NEWEST_HEADER:
        raise ValueError(f"its format is {version}; expected at most {_NEWEST_HEADER}")
    first = version == (1, 0)
    return (np.lib.format.read_array_header_1_0 if first else np.lib.format.read_array_header_2_0)(file)


class ArraySource(Source):
    """Base of the kinds of data that are read as arrays."""

    image_size: ImageSize | None = None
    """`[height, width]` to which every image is brought."""
    interpolation: Interpolation = "bilinear"
    """How pixels are computed when an image is resized."""
    fit_mode: FitMode = "resize"
    """`resize` stretches to `image_size`; `pad` keeps the aspect, centres the image, and fills with zeros."""
    classes: ClassNames | None = None
    """Names of the classes, in the order of the class numbers; by default the numbers themselves."""

    @property
    def are_sequences(self) -> bool:
        """Whether arrays of three dimensions are sequences, and not images in grey."""
        return False

    def data_from(self, arrays: Mapping[str, "LabelledArrays"], classes: Sequence[str] | None = None) -> Data:
        """Make data of arrays as `data_from_arrays` does, by the fields; `classes` where they name none."""
        from kerasrun.reading.arrays import data_from_arrays

        return data_from_arrays(
            arrays,
            task_named(self.label_kind).from_arrays,
            label_kind=self.label_kind,
            classes=self.classes or classes,
            image_size=self.image_size,
            interpolation=self.interpolation,
            fit_mode=self.fit_mode,
            limit=self.limit,
            ignored=getattr(self, "ignore", ()),
            sequences=self.are_sequences,
        )


class AnyArrays(ArraySource):
    """Base of the kinds of data whose arrays may hold anything, so that the experiment says what."""

    examples: Literal["images", "sequences"] | None = None
    """What arrays of three dimensions are: `images` in grey, or `sequences` (examples, steps, channels), which stay
    the numbers that they are, as do those of (examples, steps); by default sequences for a network whose first layers
    take nothing else (`Conv1D`, `LSTM`, `Embedding`, …)."""
    labels: ArrayLabels = "classes"
    """`classes`: class numbers from 0, or one-hot rows; `multi_label`: rows of 0 and 1; `numbers`: any numbers;
    `masks`: a class for each pixel, (examples, height, width), of the values 0 and 255 or class numbers from 0, or
    one-hot; or for each step of a sequence, (examples, steps);
    `arrays`: an image for each image, (examples, height, width[, channels]), or numbers for each step of a sequence,
    (examples, steps[, numbers]); `input`: the examples themselves, for an autoencoder, which needs no labels."""

    ignore: Ignored = ()
    """Classes, or values of masks, whose pixels or steps do not count: `[void]`, `[255]`. They are kept out of the
    loss, of every metric and of `evaluate`, and the network has no output for them. What is all 0 in one-hot masks has
    the value 255."""

    @model_validator(mode="after")
    def _fits_masks(self) -> Self:
        task = task_named(self.label_kind)
        are_masks = task.per_pixel and not task.blends
        if self.ignore and not are_masks:
            raise ValueError("expected no ignore beside labels that are not masks")
        if are_masks and self.fit_mode != "resize":
            raise ValueError("expected fit_mode: resize, as a pixel that is filled in has no class")
        return self

    @property
    def label_kind(self) -> LabelKind:
        return "arrays" if self.of_inputs else self.labels

    @property
    def ignores(self) -> bool:
        return bool(self.ignore)

    @property
    def listed_classes(self) -> tuple[str, ...] | None:
        return self.classes and tuple(name for name in self.classes if name not in self.ignore)

    @property
    def reads_labels_later(self) -> bool:
        """Whether the labels are as large as examples, and may be read like these when they are asked for."""
        return task_named(self.label_kind).per_pixel

    @property
    def are_sequences(self) -> bool:
        return self.examples == "sequences"

    @property
    def may_be_sequences(self) -> bool:
        return self.examples is None

    @classmethod
    def with_seen_labels(cls, paths: Mapping[str, Path]) -> Recognized:
        """Describe arrays whose source has the key `labels`, after a look at all of them."""
        try:  # every number can be read so
            kind = _label_kind(cls.model_validate({**paths, "labels": "numbers"}).open().splits["train"].label_array)
        except DataError:  # names, masks and images can not; what is wrong with other labels is reported here
            for labels in ("masks", "arrays"):
                with contextlib.suppress(DataError):
                    return cls._with_images(paths, labels)
            kind = cls.model_validate(paths).open().label_kind
        keys = {} if kind == cls.model_fields["labels"].default else {"labels": kind}
        found = cls.recognized(paths, keys)
        if len(found.shape) == 1 and (tokens := _tokens(cls.model_validate({**paths, **keys}).open().splits)):
            return replace(found, tokens=tokens, about=f"{found.about}, which are tokens from 0 to {tokens - 1:,}")
        if _may_be_steps(found.shape):
            steps = cls.recognized(paths, {**keys, "examples": "sequences"})
            return steps if len(steps.shape) == 2 else found  # with an axis of colours they are images
        return found

    @classmethod
    def _with_images(cls, paths: Mapping[str, Path], labels: str) -> Recognized:
        """Describe images with masks, or with images of them, at a size that a drafted network can halve twice."""
        found = cls.recognized(paths, {"labels": labels})
        size = list(fitting_size(found.shape[:2]))
        return found if size == list(found.shape[:2]) else cls.recognized(paths, {**found.keys, "image_size": size})


def _tokens(splits: Mapping[str, Split]) -> int:
    """Return the number of different tokens where rows seem to be sequences of such, else 0.

    Tokens are whole numbers, at least ten in a row, of one range in every place; or shorter sequences are filled up
    with 0 at one end, as by `pad_sequences`. Bytes may be pixels, whose range is the same in every place too.
    """
    import numpy as np

    from kerasrun.reading.inputs import in_batches

    if splits["train"].inputs.example_shape[0] < _LEAST_TOKENS:
        return 0
    largest = np.zeros(splits["train"].inputs.example_shape)
    filled = scattered = 0
    for batch in (batch for split in splits.values() for batch in in_batches(split.inputs, _AT_ONCE)):
        if batch.min() < 0 or (batch != np.floor(batch)).any():
            return 0
        largest = np.maximum(largest, batch.max(axis=0))
        is_zero = batch == 0
        changes = (is_zero[:, 1:] != is_zero[:, :-1]).sum(axis=1)
        filled, scattered = filled + int((changes == 1).sum()), scattered + int((changes > 1).sum())
    count = int(largest.max()) + 1
    of_one_range = count > _BYTES and (2 * largest >= largest.max()).mean() >= _OF_ONE_RANGE
    return count if of_one_range or (filled and not scattered and count > _LEAST_TOKENS) else 0


_AT_ONCE = 1024
_LEAST_TOKENS = 10
_BYTES = 256
_OF_ONE_RANGE = 0.9
"""The share of places in which the largest token is at least half of the largest of all."""


def _may_be_steps(shape: Sequence[int]) -> bool:
    """Return whether what is taken for images in grey is too narrow for images: more likely channels at many steps."""
    if len(shape) != 3 or shape[2] != 1:
        return False
    steps, channels = shape[:2]
    return channels < steps and (channels < _LEAST_WIDTH or steps >= _MOST_ASPECT * channels)


_LEAST_WIDTH = 8
"""What is narrower is hardly a picture; those of `sklearn.datasets.load_digits` are 8×8."""
_MOST_ASPECT = 4
"""So many times as high as wide a picture hardly is."""


class NamedArrays(AnyArrays):
    """Base of the kinds of data that keep several arrays in one file, each under a name."""

    suffixes: ClassVar[tuple[str, ...]]
    """The ends of the names of such files."""
    path: ExperimentPath
    """The file."""
    x_train: str = "x_train"
    """Name of the array of training examples."""
    y_train: str = "y_train"
    """Name of the array of their labels."""
    x_validation: str | None = None
    """Name of the validation examples; by default `x_validation`, `x_valid` or `x_val`, where there is one."""
    y_validation: str | None = None
    """Name of their labels; by default `y_validation`, `y_valid` or `y_val`."""
    x_test: str | None = None
    """Name of the test examples; by default `x_test`, where there is one."""
    y_test: str | None = None
    """Name of their labels; by default `y_test`."""
    sample_weight: str | None = None
    """Name of the array that says how much each training example counts in the loss."""

    @classmethod
    def recognize(cls, path: Path) -> Recognized | None:
        if path.suffix.lower() not in cls.suffixes or path.is_dir():
            return None
        return cls.with_seen_labels({"path": path})

    def data_of(
        self,
        present: Sequence[str],
        examples: Callable[[str], "NDArray[Any] | StoredArray"],
        array: Callable[[str], "NDArray[Any]"],
    ) -> Data:
        """Make data of the arrays of every split that the file has.

        Args:
            present: the names of the arrays in the file.
            examples: gives the array of a name, which may be read later.
            array: reads the array of a name.

        Raises:
            DataError: if one is missing that is needed or was asked for, or two of them could be meant.
        """
        from kerasrun.reading.labelled_arrays import LabelledArrays

        found = {}
        for split in SPELLINGS:
            x = self._array(f"x_{split}", present)
            y = x if self.of_inputs else self._array(f"y_{split}", present)
            if bool(x) != bool(y):
                lacking = f"{'y' if x else 'x'}_{split}"
                raise DataError(f"{self.path}: has {x or y}, but no {lacking}; it has {listed(present)}")
            if x and y:
                found[split] = (x, y, self._array("sample_weight", present) if split == "train" else None)
        arrays = {}
        for split, (x, y, weight) in found.items():
            inputs = examples(x)
            arrays[split] = LabelledArrays(
                inputs,
                inputs if self.of_inputs else examples(y) if self.reads_labels_later else array(y),
                f"{self.path}: {x}",
                f"{self.path}: {y}",
                array(weight) if weight else None,
                f"{self.path}: {weight}",
            )
        return self.data_from(arrays)

    def _array(self, field: str, present: Sequence[str]) -> str | None:
        name: str | None = getattr(self, field)
        if name is not None and name not in present:
            raise DataError(
                f"{self.path}: no array {name!r}; it has {listed(present) or 'no arrays'}; "
                f"name the right one with `{field}`"
            )
        if name is not None or field == "sample_weight":
            return name
        axis, _, split = field.partition("_")
        found = [key for key in (f"{axis}_{spelling}" for spelling in SPELLINGS[split]) if key in present]
        if len(found) > 1:
            raise DataError(f"{self.path}: {' and '.join(found)} both name {split} data; choose one with `{field}`")
        return found[0] if found else None


def _label_kind(labels: "NDArray[Any]") -> LabelKind:
    """Return the kind that labels seem to be, of any numbers, (examples, labels)."""
    import numpy as np

    if labels.shape[1] > 1:
        if not np.isin(labels, (0, 1)).all():
            return "numbers"
        return "classes" if (labels.sum(axis=1) == 1).all() else "multi_label"
    whole = (labels == np.floor(labels)).all() and labels.min() >= 0
    return "classes" if whole and 2 <= labels.max() + 1 <= _MOST_CLASSES else "numbers"
