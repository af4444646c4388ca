"""The examples that train and those that validate."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kerasrun.errors import DataError
from kerasrun.experiment.schema import Fit
from kerasrun.pipeline.order import (
    SPLIT_STREAM,
    TEST_STREAM,
    folds_by_time,
    grouped_folds,
    grouped_split,
    split_by_time,
    stratified_folds,
    stratified_split,
)
from kerasrun.reading.data import Data, Inputs, Split


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


def is_on_disk(inputs: Inputs) -> bool:
    """Return whether examples that do not fit into memory are kept decoded on disk."""
    return is_on_disk(inputs.inputs) if isinstance(inputs, SelectedInputs) else getattr(inputs, "is_on_disk", False)


def is_array(inputs: Inputs) -> bool:
    """Return whether examples are in an array by now, `inputs.array`."""
    return is_array(inputs.inputs) if isinstance(inputs, SelectedInputs) else getattr(inputs, "array", None) is not None


def with_test_split(data: Data, fit: Fit, seed: int) -> Data:
    """Return the data with the share of the training examples set aside that `fit.test_split` keeps for testing.

    Raises:
        DataError: if there are examples for testing already, or the share would hold no example.
    """
    if fit.test_split is None:
        return data
    if "test" in data.splits:
        raise DataError(
            f"fit.test_split: {fit.test_split}, but the data have {len(data.splits['test'])} test examples of their "
            "own: leave out fit.test_split to test on these, or take them out of the data"
        )
    train, test = _divided(data.splits["train"], "test", fit.test_split, seed, TEST_STREAM)
    return replace(data, splits={**data.splits, "train": train, "test": test})


def training_and_validation(splits: Mapping[str, Split], fit: Fit, seed: int) -> tuple[Split, Split | None]:
    """Return the split that trains, and the one that validates, if any.

    Raises:
        DataError: if the named split is not in the data, or a share of it would hold no example.
    """
    train, validation_split, validation_data = splits["train"], fit.validation_split, fit.validation_data
    key, value = ("split", validation_split) if fit.fold is None else ("fold", fit.validation_fold)
    if value is not None and "validation" in splits:
        raise DataError(
            f"fit.validation_{key}: {value}, but the data have {len(splits['validation'])} validation examples of "
            f"their own: leave out fit.validation_{key} to validate on these, or take them out of the data"
        )
    if fit.fold is not None:
        return _without_fold(train, *fit.fold, seed)
    if validation_split is not None:
        return _divided(train, "validation", validation_split, seed, SPLIT_STREAM)
    if validation_data is not None and validation_data not in splits:
        raise DataError(
            f"fit.validation_data: {validation_data}: the data has no such split, only {', '.join(splits)}; "
            "set fit.validation_split to keep a share of the training examples"
        )
    return train, splits.get(validation_data or "validation")


def _divided(train: Split, name: str, share: float, seed: int, stream: int) -> tuple[Split, Split]:
    """Set a share of the training examples aside as the split `name`; groups and time decide where there are any."""
    why = f"{share} of {len(train)} training examples is less than one example"
    if train.times is not None:
        kept, aside = split_by_time(train.times, share)
        why = "all training examples are of one time" if (train.times == train.times[0]).all() else why
    elif train.groups is not None:
        kept, aside = grouped_split(_strata(train, grouped=True), train.groups, share, seed, stream)
        why = (
            f"of the {len(np.unique(train.groups))} groups in the training examples none can be set aside so that "
            "examples of every class are left to train on"
        )
    else:
        kept, aside = stratified_split(_strata(train), share, seed, stream)
    if not len(aside):
        other = "set fit.validation_data" if name == "validation" else "bring test examples of their own"
        raise DataError(f"fit.{name}_split: {why}: set a larger share, or {other}")
    return _select(train, kept, "train"), _select(train, aside, name)


def _without_fold(train: Split, number: int, folds: int, seed: int) -> tuple[Split, Split]:
    """Set a fold of the training examples aside for validation; groups and time decide where there are any."""
    if train.times is not None:
        assigned, has = folds_by_time(train.times, folds), f"are of {len(np.unique(train.times))} times"
    elif train.groups is not None:
        assigned = grouped_folds(_strata(train, grouped=True), train.groups, folds, seed)
        has = f"are of {len(np.unique(train.groups))} groups"
    else:
        assigned, has = stratified_folds(_strata(train), folds, seed), f"are {len(train)}"
    aside = assigned == number
    kept = assigned < number if train.times is not None else ~aside
    if len(np.unique(assigned[assigned > 0])) < folds or not kept.any():  # for every fold alike
        raise DataError(
            f"fit.validation_fold: {number}/{folds}: the training examples {has}, too few for {folds} folds: set fewer"
        )
    return _select(train, np.flatnonzero(kept), "train"), _select(train, np.flatnonzero(aside), "validation")


def places_of(aside: Split) -> list[int]:
    """Return the places, from 0, that examples which were set aside have among those that were read."""
    inputs: Any = aside.inputs
    places = np.arange(len(aside))
    while isinstance(inputs, SelectedInputs):
        inputs, places = inputs.inputs, inputs.indices[places]
    found: list[int] = places.tolist()
    return found


def spread(split: Split, examples: int) -> Split:
    """Return this many examples of a split, or all; evenly spaced, because some splits are sorted by class."""
    count = min(examples, len(split))
    return _select(split, np.arange(count) * len(split) // count, split.name)


def first(split: Split, examples: int) -> Split:
    """Return the first examples of a split, this many of them; all if it has fewer."""
    return _select(split, np.arange(min(examples, len(split))), split.name)


def _select(split: Split, indices: NDArray[np.int64], name: str) -> Split:
    names = tuple(split.names[i] for i in indices) if split.names else None
    labels = split.labels
    arrays = {key: getattr(split, key) for key in ("sample_weight", "groups", "times")}
    inputs = SelectedInputs(split.inputs, indices)
    chosen: NDArray[Any] | Inputs
    if labels is split.inputs:
        chosen = inputs
    else:
        chosen = labels[indices] if isinstance(labels, np.ndarray) else SelectedInputs(labels, indices)
    return replace(
        split,
        name=name,
        inputs=inputs,
        labels=chosen,
        names=names,
        others={key: SelectedInputs(one, indices) for key, one in split.others.items()},
        **{key: array[indices] for key, array in arrays.items() if array is not None},
    )


def _strata(split: Split, *, grouped: bool = False) -> NDArray[Any]:
    """Return class numbers where each example has one; where it has not, all examples are alike.

    Groups hold several labels as well as classes to their share: 0 and 1 for each.
    """
    labels = split.labels
    if isinstance(labels, np.ndarray) and (labels.dtype == np.int64 or (grouped and labels.dtype == np.uint8)):
        return labels
    return np.zeros(len(split), np.int64)
