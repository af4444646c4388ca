"""Which arrays of a file are the examples, the labels and the weights of which split."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from kerasrun.errors import DataError
from kerasrun.sources._files import listed

SPELLINGS: Mapping[str, tuple[str, ...]] = {
    "train": ("train",),
    "validation": ("validation", "valid", "val"),
    "test": ("test",),
}


class NamedArrays(Protocol):
    """The names that an experiment gives; None where the usual ones are looked for."""

    @property
    def x_train(self) -> str: ...
    @property
    def y_train(self) -> str: ...
    @property
    def x_validation(self) -> str | None: ...
    @property
    def y_validation(self) -> str | None: ...
    @property
    def x_test(self) -> str | None: ...
    @property
    def y_test(self) -> str | None: ...
    @property
    def sample_weight(self) -> str | None: ...


class SplitNames(NamedTuple):
    """The names of a split's arrays."""

    inputs: str
    labels: str
    weight: str | None


def find_arrays(given: NamedArrays, path: Path, present: Sequence[str]) -> dict[str, SplitNames]:
    """The arrays of every split that the file has.

    Args:
        present: the names of the arrays in the file.

    Raises:
        DataError: if one is missing that is needed or was asked for, or two of them could be meant.
    """
    found = {}
    for split in SPELLINGS:
        inputs, labels = (_array(given, f"{axis}_{split}", path, present) for axis in "xy")
        if bool(inputs) != bool(labels):
            lacking = f"{'y' if inputs else 'x'}_{split}"
            raise DataError(f"{path}: has {inputs or labels}, but no {lacking}; it has {listed(present)}")
        if inputs and labels:
            weight = _array(given, "sample_weight", path, present) if split == "train" else None
            found[split] = SplitNames(inputs, labels, weight)
    return found


def _array(given: NamedArrays, field: str, path: Path, present: Sequence[str]) -> str | None:
    name: str | None = getattr(given, field)
    if name is not None and name not in present:
        raise DataError(
            f"{path}: no array {name!r}; it has {listed(present) or 'no arrays'}; name the right one with `{field}`"
        )
    if name is not None or field == "sample_weight":
        return name
    axis, _, split = field.partition("_")
    found = [key for key in (f"{axis}_{spelling}" for spelling in SPELLINGS[split]) if key in present]
    if len(found) > 1:
        raise DataError(f"{path}: {' and '.join(found)} both name {split} data; choose one with `{field}`")
    return found[0] if found else None
