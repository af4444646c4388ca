"""The data of every source: named splits of examples that can be read in any order. Light to import."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol

from annotated_types import Interval

from kerasrun.errors import DataError, UnreadableImageError

if TYPE_CHECKING:  # an experiment file is checked without NumPy: its import alone takes 0.1 s
    from concurrent.futures import Future

    import numpy as np
    from numpy.typing import NDArray

ColorMode = Literal["grayscale", "rgb", "rgba"]
Interpolation = Literal["nearest", "bilinear", "bicubic", "lanczos"]
FitMode = Literal["resize", "pad"]
Decode = Literal["exact", "scaled"]
CHANNELS: Mapping[ColorMode, int] = {"grayscale": 1, "rgb": 3, "rgba": 4}
Shape = tuple[int | None, ...]
"""The shape of an example, with None for what is not known."""
SPELLINGS: Mapping[str, tuple[str, ...]] = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val"),
    "test": ("test", "testing"),
}
"""The spellings of the names of splits in files and folders."""
FeatureKind = Literal["number", "category", "date"]
Missing = Literal["fill", "error"]
LabelKind = str
"""The kind of the labels: the name of a task, which is a file in `kerasrun/tasks`."""
INPUT = "input"
"""The name of the only input of a network."""
FEATURES = "features"
"""The name of the input that is a row of numbers, where there is another one beside it."""
IGNORED = 255
"""The label of a pixel that has no class, where the source ignores some; there are fewer classes then."""


@dataclass(frozen=True)
class ImageFormat:
    """How an image file becomes an array: uint8 of shape (height, width, channels). Travels in the model file."""

    height: Annotated[int, Interval(ge=1, le=2**16)]
    width: Annotated[int, Interval(ge=1, le=2**16)]
    color_mode: ColorMode
    interpolation: Interpolation = "bilinear"
    fit_mode: FitMode = "resize"
    bits: Literal[8, 16] = 8
    """The bits of each sample in an array; of 16 the high byte is kept."""
    decode: Decode = "exact"
    """Whether a large JPEG may be decoded at a part of its size, before it is resized."""

    @property
    def shape(self) -> tuple[int, int, int]:
        return (self.height, self.width, CHANNELS[self.color_mode])

    @property
    def scaled_for(self) -> int | None:
        """The side for which a JPEG may be decoded at a part of its size; None where it may not."""
        return max(self.height, self.width) if self.decode == "scaled" else None

    @property
    def entries(self) -> list[tuple[str]]:
        """What the fingerprint of image files has of how they are decoded; nothing for `exact`."""
        return [] if self.decode == "exact" else [(f"decode: {self.decode}",)]


@dataclass(frozen=True)
class Feature:
    """How the values in a column of a table become numbers of a row, as the rows for training decided."""

    kind: FeatureKind = "number"
    gaps: bool = False
    """Whether a value was missing: then a missing number is NaN in the row, and a missing category one of its own."""
    mean: float = 0.0
    """Of numbers without gaps the mean in the file for training, which a missing one becomes elsewhere."""
    categories: tuple[str, ...] = ()
    """The values of a category, numbered from 1; any other is 0. An empty text is the missing value."""
    form: str = ""
    """Of dates the form, as `strptime` has it; empty for ISO 8601."""
    first: str = ""
    """Of dates the earliest, from which days are counted."""

    @cached_property
    def numbers(self) -> Mapping[str, int]:
        """The number of each category."""
        return {text: number for number, text in enumerate(self.categories, 1)}

    @property
    def width(self) -> int:
        """How many numbers of a row it becomes: a date is year, month, day of the week, and days since the first."""
        return 4 if self.kind == "date" else 1


@dataclass(frozen=True)
class RowFormat:
    """How a row of a text file becomes the features of an example, float32. Travels in the model file."""

    features: tuple[str, ...]
    """The columns, by the names in the header, or by their numbers from 0 where there is none."""
    header: bool
    delimiter: str | None
    """The text between two values; None for any run of blanks."""
    columns: tuple[Feature, ...] = ()
    """How each of `features` becomes numbers, categories last; empty where all are numbers without gaps."""
    encoding: str = "utf-8"
    decimal: str = "."
    thousands: str | None = None
    missing: Missing = "error"
    """What becomes of a missing value."""
    labels: tuple[str, ...] = ()
    """The columns of the labels, as `features` are named."""
    image: str | None = None
    """The column that names an image, which is the network's other input; None where there is none."""

    @property
    def is_plain(self) -> bool:
        """Whether a row is what the network computes with: numbers, of which none is missing."""
        return all(column.kind == "number" and not column.gaps for column in self.columns)

    def reads_as(self, other: RowFormat) -> bool:
        """Return whether rows become the same numbers as in another format, but for what fills a gap."""
        mine, theirs = ([replace(one, mean=0) for one in each.columns] for each in (self, other))
        return self.features == other.features and mine == theirs


def channel_names(shape: Sequence[int], given: Sequence[str] | None = None) -> tuple[str, ...]:
    """Return the names of the channels of arrays of this shape, or those that are given.

    Raises:
        DataError: if another number is given.
    """
    count = shape[-1]
    if given and len(given) != count:
        raise DataError(f"{len(given)} `classes` are named, but the arrays have {count} channels: leave `classes` out")
    colours = {1: ("grey",), 3: ("red", "green", "blue"), 4: ("red", "green", "blue", "alpha")}
    known = colours.get(count) if len(shape) == 3 else None
    return tuple(given or known or map(str, range(count)))


@dataclass(frozen=True)
class ArrayForm:
    """How the arrays that a network learns to make are those of the data. Travels in the model file."""

    shape: tuple[Annotated[int, Interval(ge=1, le=2**24)], ...]
    """The shape of one: (height, width, channels), (steps, channels) or (features,)."""
    scale: tuple[float, ...] = (1.0,)
    """The factor of each channel, or one for all: the network makes number × scale + offset of a number in the data."""
    offset: tuple[float, ...] = (0.0,)
    are_bytes: bool = False
    """Whether the numbers in the data are whole, from 0 to 255."""
    of_inputs: bool = False
    """Whether the network makes its own inputs again."""

    @property
    def is_picture(self) -> bool:
        """Whether an image file can hold one."""
        return self.are_bytes and len(self.shape) == 3 and self.shape[-1] in CHANNELS.values()

    def in_units(self, outputs: NDArray[Any]) -> NDArray[np.float64]:
        """Return outputs, (…, channels), as numbers of the data."""
        import numpy as np

        numbers: NDArray[np.float64] = (outputs.astype(np.float64) - self.offset) / self.scale
        return numbers


class Inputs(Protocol):
    """The examples of a split, readable in any order."""

    @property
    def example_shape(self) -> tuple[int, ...]:
        """Shape of one example: (height, width, channels) or (features,)."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """uint8 for images from files; arrays keep uint8, every other dtype becomes float32."""

    def __len__(self) -> int: ...

    def take(self, indices: NDArray[np.int64]) -> NDArray[Any]:
        """Return the examples at `indices`, in that order: shape (len(indices), *example_shape)."""


@dataclass(frozen=True)
class SkippedFile:
    """A file left out under `on_bad_file: skip`."""

    path: Path
    reason: str


@dataclass(frozen=True)
class Split:
    """Examples with their labels."""

    name: str
    inputs: Inputs
    labels: NDArray[Any] | Inputs
    """By `Data.label_kind`. `classes`: class numbers, int64 (examples,). `multi_label`: 0 and 1, uint8 (examples,
    labels). `numbers`: float32 (examples, targets). `masks`: class numbers to be read as they are asked for, each uint8
    (height, width, 1). `arrays`: what the network is to make of each example, read as examples are; the very `inputs`
    where it is to make these again."""
    names: tuple[str, ...] | None = None
    """Where each example comes from (a path relative to the data), for messages; None for arrays."""
    skipped: tuple[SkippedFile, ...] = ()
    sample_weight: NDArray[np.float32] | None = None
    """How much each example counts in the training loss, (examples,), or each of its pixels or steps; None where the
    data do not say."""
    groups: NDArray[np.int64] | None = None
    """The number of each example's group, (examples,), which is not divided; None where each is on its own."""
    times: NDArray[np.float64] | None = None
    """When each example is from, (examples,), where a division keeps the past for training; else None."""
    others: Mapping[str, Inputs] = field(default_factory=dict)
    """The further inputs of a network that has several, by their names, in the order of `Source.input_names`."""

    def __len__(self) -> int:
        return len(self.inputs)

    @property
    def rows(self) -> Inputs:
        """The columns of a table: the only input, or the one beside an image."""
        return self.others.get(FEATURES, self.inputs)

    @property
    def label_array(self) -> NDArray[Any]:
        """The labels of a kind that is held in memory.

        Raises:
            TypeError: for masks and arrays.
        """
        import numpy as np

        if not isinstance(self.labels, np.ndarray):
            raise TypeError("masks and arrays are read as they are asked for")
        return self.labels

    def class_counts(self, classes: int) -> NDArray[np.int64]:
        """Return the number of examples of each class; of several labels at once, of those that have it."""
        import numpy as np

        labels = self.label_array
        return labels.sum(axis=0, dtype=np.int64) if labels.ndim == 2 else np.bincount(labels, minlength=classes)


@dataclass(frozen=True)
class Data:
    """An opened source. `splits` always has `train`, and `validation` and `test` where the source has them."""

    splits: Mapping[str, Split]
    classes: tuple[str, ...]
    """Names of the classes: a label, or a pixel of a mask, is an index into them, the same in every split. For
    `multi_label` and `numbers`, the names of the columns."""
    image_format: ImageFormat | None
    """How a file must be read to fit these examples; None where examples are not images."""
    contents: str | Future[str]
    """The `fingerprint`, or what will have it when the last file is read."""
    label_kind: LabelKind = "classes"
    row_format: RowFormat | None = None
    """How a file of rows must be read to fit these examples; None where they come from elsewhere."""
    notes: tuple[str, ...] = ()
    """What to say of the data when training begins."""
    files: str | None = None
    """sha256 over the names, sizes and times of the files that are read later: whether they are the same as far as can
    be told without reading them. None where everything is read."""

    def __post_init__(self) -> None:
        for name in self.classes:
            try:
                name.encode()
            except UnicodeEncodeError:  # of bytes that are not UTF-8; a model file is text
                raise DataError(f"the name of the class {name!r} is not UTF-8; rename it") from None

    @property
    def is_read(self) -> bool:
        """Whether everything was read that the fingerprint is of, or is known to be unreadable."""
        return isinstance(self.contents, str) or self.contents.done()

    @property
    def fingerprint(self) -> str:
        """sha256 over the names and contents of everything read; moving the data changes nothing.

        It waits until everything is read.

        Raises:
            DataError: if a file cannot be used.
        """
        return self.contents if isinstance(self.contents, str) else self.contents.result()

    def is_read_within(self, seconds: float) -> bool:
        """Wait for at most `seconds`, and return `is_read`."""
        from concurrent.futures import wait

        if not isinstance(self.contents, str):
            wait([self.contents], seconds)
        return self.is_read

    def require_read(self) -> None:
        """Wait until everything is read; raises as `fingerprint`."""
        _ = self.fingerprint

    @contextmanager
    def every_bad_file_told(self) -> Iterator[None]:
        """Raise the error of all image files that cannot be used instead of that of one."""
        try:
            yield
        except UnreadableImageError:
            self.require_read()
            raise

    @property
    def skipped(self) -> tuple[SkippedFile, ...]:
        return tuple(file for split in self.splits.values() for file in split.skipped)
