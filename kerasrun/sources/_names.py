"""Several arrays in one file: which are the examples, the labels and the weights of which split."""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, NamedTuple

from kerasrun.components import ExperimentPath
from kerasrun.errors import DataError
from kerasrun.reading.data import SPELLINGS, LabelKind
from kerasrun.reading.files import listed
from kerasrun.sources._array_source import ArraySource
from kerasrun.sources._fields import ArrayLabels
from kerasrun.sources.base import Recognized


class SplitNames(NamedTuple):
    """The names of a split's arrays."""

    inputs: str
    labels: str
    weight: str | None


class NamedArrays(ArraySource):
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
    labels: ArrayLabels = "classes"
    """`classes`: class numbers from 0, or one-hot rows; `multi_label`: rows of 0 and 1; `numbers`: any numbers."""
    sample_weight: str | None = None
    """Name of the array that says how much each training example counts in the loss."""

    @property
    def label_kind(self) -> LabelKind:
        return self.labels

    @classmethod
    def recognize(cls, path: Path) -> Recognized | None:
        if path.suffix.lower() not in cls.suffixes or path.is_dir():
            return None
        return cls.with_seen_labels({"path": path})

    def find_arrays(self, present: Sequence[str]) -> dict[str, SplitNames]:
        """Find the arrays of every split that the file has.

        Args:
            present: the names of the arrays in the file.

        Raises:
            DataError: if one is missing that is needed or was asked for, or two of them could be meant.
        """
        found = {}
        for split in SPELLINGS:
            inputs, labels = (self._array(f"{axis}_{split}", present) for axis in "xy")
            if bool(inputs) != bool(labels):
                lacking = f"{'y' if inputs else 'x'}_{split}"
                raise DataError(f"{self.path}: has {inputs or labels}, but no {lacking}; it has {listed(present)}")
            if inputs and labels:
                weight = self._array("sample_weight", present) if split == "train" else None
                found[split] = SplitNames(inputs, labels, weight)
        return found

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
