"""What is said of data that were recognized."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kerasrun.reading.data import Data, LabelKind
from kerasrun.tasks.base import task_named


@dataclass(frozen=True)
class Recognized:
    """Data, as far as an experiment depends on them."""

    kind: str
    """The kind of source that reads them."""
    paths: Mapping[str, Path]
    """Where the data are, by the source's keys."""
    about: str
    """What was seen, for a comment."""
    examples: int
    """For training."""
    shape: tuple[int, ...]
    """(height, width, channels), or (features,)."""
    classes: int
    label_kind: LabelKind = "classes"
    validates: bool = False
    """Whether there are validation examples."""
    keys: Mapping[str, Any] = field(default_factory=dict)
    """The source's other keys."""


def recognized(kind: str, paths: Mapping[str, Path], data: Data, keys: Mapping[str, Any], more: str = "") -> Recognized:
    """What opened data say of themselves; `more` goes to the end of the comment."""
    train = data.splits["train"]
    shape, count = train.inputs.example_shape, len(data.classes)
    what = "×".join(map(str, shape)) if len(shape) > 1 else f"{shape[0]} numbers"
    labels = task_named(data.label_kind).about(count)
    return Recognized(
        kind,
        paths,
        f"{len(train):,} training examples of {what}, {labels}{more}",
        len(train),
        shape,
        count,
        data.label_kind,
        validates="validation" in data.splits,
        keys=keys,
    )
