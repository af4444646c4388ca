"""The base of the kinds of data, and the YAML fields that several of them share."""

import os
from abc import abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from kerasrun.components import Kind
from kerasrun.reading.data import INPUT, Data, ImageFormat, LabelKind, RowFormat, Shape, Split
from kerasrun.tasks.base import task_named

ArrayLabels = Literal["classes", "multi_label", "numbers", "masks", "arrays", "input"]
"""The kinds of labels that arrays can hold, or that they need none; for the others see `LabelKind`."""
ClassLabels = Literal["classes", "input"]
"""The same where labels can only be classes."""
Length = Annotated[int, Field(ge=1)]


def _height_and_width(value: Any) -> Any:
    if (isinstance(value, list) and len(value) != 2) or isinstance(value, str):
        raise ValueError("expected [height, width], such as [64, 64]; how many channels there are is not said here")
    return (value,) * 2 if type(value) is int else value


ImageSize = Annotated[
    tuple[Length, Length], BeforeValidator(_height_and_width, json_schema_input_type=Length | tuple[Length, Length])
]
"""`[height, width]`, or one number for both."""
OnBadFile = Literal["error", "skip"]


def _as_text(value: Any) -> Any:
    """Turn class names into text, also where YAML reads a number or a truth value (`7`, `0001`, `1.10`, `no`)."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return getattr(value, "text", str(value))
    return value


def _without_repetition(names: tuple[str, ...]) -> tuple[str, ...]:
    repeated = sorted(name for name, times in Counter(names).items() if times > 1)
    if repeated:
        raise ValueError(f"each class must be listed once; listed more than once: {', '.join(repeated)}")
    return names


ClassName = Annotated[str, BeforeValidator(_as_text), Field(min_length=1)]
ClassNames = Annotated[
    tuple[ClassName, ...],
    Field(min_length=2),
    AfterValidator(_without_repetition),
]


def _several(given: Any) -> Any:
    return given if isinstance(given, list | tuple) else [given]


def once(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return values of which none is there twice; else raise a ValueError."""
    if len(set(values)) < len(values):
        raise ValueError("expected every value and every colour once")
    return values


Value = Annotated[int, Field(ge=0, le=255)]
"""A value of a mask."""
_Ignored = Value | Annotated[str, Field(min_length=1)]
Ignored = Annotated[
    tuple[_Ignored, ...],
    BeforeValidator(_several, json_schema_input_type=_Ignored | tuple[_Ignored, ...]),
    AfterValidator(once),
]
"""Values of masks, and names of their classes, that do not count."""


@dataclass(frozen=True)
class Recognized:
    """Data that were recognized, as far as an experiment depends on them."""

    kind: str
    """The kind of source that reads them."""
    paths: Mapping[str, Path]
    """Where the data are, by the source's keys."""
    about: str
    """What was seen, for a comment."""
    examples: int
    """The number of examples for training."""
    shape: tuple[int, ...]
    """(height, width, channels), or (features,)."""
    classes: int
    label_kind: LabelKind = "classes"
    validates: bool = False
    """Whether there are validation examples."""
    tests: bool = False
    """Whether there are test examples."""
    keys: Mapping[str, Any] = field(default_factory=dict)
    """The source's other keys."""
    numbers: bool = True
    """Whether an example that is a row holds numbers, and not categories alone."""
    tokens: int = 0
    """How many different tokens there may be, where an example is a sequence of their numbers."""


class Source(Kind):
    """Base of the kinds of data. Fields of type `Path` hold absolute paths once the experiment is loaded."""

    form: ClassVar[str] = ""
    """What `recognize` looks for, in a few words; empty where it recognizes nothing."""
    generality: ClassVar[int] = 0
    """The place of its `recognize` among the sources: what may be something more special is asked later."""

    limit: Length | None = None
    """For a quick try: at most this many examples of each split, evenly spaced, with the same share of every class."""

    @property
    def label_kind(self) -> LabelKind:
        """The kind of the labels, as far as the experiment decides; `Data` has the same."""
        return "classes"

    @property
    def of_inputs(self) -> bool:
        """Whether the labels are the examples themselves, so that none are read."""
        return getattr(self, "labels", None) == "input"

    @property
    def example_shape(self) -> Shape | None:
        """The shape of an example, as far as the experiment decides; None where it does not."""
        return None

    @property
    def input_names(self) -> tuple[str, ...]:
        """The names of the network's inputs: `Split.inputs`, then `Split.others`."""
        return (INPUT,)

    @property
    def listed_classes(self) -> tuple[str, ...] | None:
        """The classes in the order of their numbers, where the experiment lists them."""
        return getattr(self, "classes", None)

    @property
    def label_columns(self) -> int | None:
        """The number of labels of an example, as far as the experiment decides."""
        return None

    @property
    def ignores(self) -> bool:
        """Whether pixels may have no class: their label is `IGNORED`."""
        return False

    @property
    def may_be_sequences(self) -> bool:
        """Whether `examples: sequences` is right for a network that takes nothing else: the experiment does not say."""
        return False

    @property
    def what_is_read(self) -> str:
        """Its files and folders, for a message: relative to the working directory where they are inside it."""
        cwd = Path.cwd()
        paths = [Path(os.path.normpath(value)) for value in vars(self).values() if isinstance(value, Path)]
        return ", ".join(str(path.relative_to(cwd) if path.is_relative_to(cwd) else path) for path in paths)

    @abstractmethod
    def open(self) -> Data:
        """Find everything; read and check what is small, and begin to read the rest; leave out what is beyond `limit`.

        Raises:
            DataError: if anything is missing, damaged or contradicts itself; the message names the file. For what is
                read later, `Data.fingerprint` raises it.
        """

    def other(
        self, path: Path, image_format: ImageFormat | None, row_format: RowFormat | None, classes: Sequence[str]
    ) -> Split | None:
        """Read examples from elsewhere for a model that was trained on these; None if they are not data of this kind.

        Raises:
            DataError: as `open`, and for a class that is not in `classes`.
        """
        del path, image_format, row_format, classes
        return None

    @classmethod
    def recognize(cls, path: Path) -> Recognized | None:
        """Return what an experiment needs to read a file or a folder, or None if that is not data of this kind.

        Raises:
            DataError: if it is data of this kind, but damaged.
        """
        del path
        return None

    @classmethod
    def recognize_table(cls, path: Path, label: str) -> Recognized | None:
        """Return the same for a table of which the column `label` is to be predicted.

        Raises:
            DataError: if it is a table, but damaged, or has no such column.
        """
        del path, label
        return None

    @classmethod
    def recognized(cls, paths: Mapping[str, Path], keys: Mapping[str, Any], more: str = "") -> Recognized:
        """Open the data with these keys, and describe them; `more` goes to the end of the comment."""
        data = cls.model_validate({**paths, **keys}).open()
        train = data.splits["train"]
        shape, count = train.inputs.example_shape, len(data.classes)
        what = "×".join(map(str, shape)) if len(shape) > 1 else f"{shape[0]} numbers"
        if data.row_format and not data.row_format.is_plain:
            what, more = f"{len(data.row_format.features)} columns", f"{more} ({data.notes[-1]})"
        labels = task_named(data.label_kind).about(count)
        return Recognized(
            cls.kind,
            paths,
            f"{len(train):,} training examples of {what}, {labels}{more}",
            len(train),
            shape,
            count,
            data.label_kind,
            validates="validation" in data.splits,
            tests="test" in data.splits,
            keys=keys,
            numbers=not data.row_format or any(one.kind != "category" for one in data.row_format.columns),
        )
