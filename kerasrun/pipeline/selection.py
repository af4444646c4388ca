"""The examples that train and those that validate."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kerasrun.errors import DataError
from kerasrun.experiment.schema import Fit
from kerasrun.pipeline.order import stratified_split
from kerasrun.reading.data import Inputs, Split


@dataclass(frozen=True)
class SelectedInputs:
    """Some examples of others, without a copy of them."""

    inputs: Inputs
    indices: NDArray[np.int64]

    @property
    def example_shape(self) -> tuple[int, ...]:
        return self.inputs.example_shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.inputs.dtype

    def __len__(self) -> int:
        return len(self.indices)

    def take(self, indices: NDArray[np.int64]) -> NDArray[Any]:
        return self.inputs.take(self.indices[indices])


def is_in_memory(inputs: Inputs) -> bool:
    """Return whether examples are kept once they are read, and not read from files whenever they are asked for."""
    return is_in_memory(inputs.inputs) if isinstance(inputs, SelectedInputs) else getattr(inputs, "is_kept", False)


def is_array(inputs: Inputs) -> bool:
    """Return whether examples are in an array by now, `inputs.array`."""
    return is_array(inputs.inputs) if isinstance(inputs, SelectedInputs) else getattr(inputs, "array", None) is not None


def training_and_validation(splits: Mapping[str, Split], fit: Fit, seed: int) -> tuple[Split, Split | None]:
    """Return the split that trains, and the one that validates, if any.

    Raises:
        DataError: if the named split is not in the data, or a share of it would hold no example.
    """
    train, validation_split, validation_data = splits["train"], fit.validation_split, fit.validation_data
    if validation_split is not None:
        if "validation" in splits:
            raise DataError(
                f"fit.validation_split: {validation_split}, but the data have {len(splits['validation'])} validation "
                "examples of their own: leave out fit.validation_split to validate on these, or take them out of the "
                "data"
            )
        kept, held_out = stratified_split(_strata(train), validation_split, seed)
        if not len(held_out):
            raise DataError(
                f"fit.validation_split: {validation_split} of {len(train)} training examples is less than one example: "
                "set a larger share, or fit.validation_data"
            )
        return _select(train, kept, "train"), _select(train, held_out, "validation")
    if validation_data is not None and validation_data not in splits:
        raise DataError(
            f"fit.validation_data: {validation_data}: the data has no such split, only {', '.join(splits)}; "
            "set fit.validation_split to keep a share of the training examples"
        )
    return train, splits.get(validation_data or "validation")


def spread(split: Split, examples: int) -> Split:
    """Return this many examples of a split, or all; evenly spaced, because some splits are sorted by class."""
    count = min(examples, len(split))
    return _select(split, np.arange(count) * len(split) // count, split.name)


def first(split: Split, examples: int) -> Split:
    """Return the first examples of a split, this many of them; all if it has fewer."""
    return _select(split, np.arange(min(examples, len(split))), split.name)


def _select(split: Split, indices: NDArray[np.int64], name: str) -> Split:
    names = tuple(split.names[i] for i in indices) if split.names else None
    labels, weight = split.labels, split.sample_weight
    return replace(
        split,
        name=name,
        inputs=SelectedInputs(split.inputs, indices),
        labels=labels[indices] if isinstance(labels, np.ndarray) else SelectedInputs(labels, indices),
        sample_weight=None if weight is None else weight[indices],
        names=names,
    )


def _strata(split: Split) -> NDArray[np.int64]:
    """Class numbers where each example has one; where it has not, all examples are alike."""
    labels = split.labels
    if isinstance(labels, np.ndarray) and labels.dtype == np.int64:
        return labels
    return np.zeros(len(split), np.int64)
