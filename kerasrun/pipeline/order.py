"""The order of the examples, as pure functions of the seed: a run can begin at any step without replaying."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Sets the draws of the validation and the test split apart from the draws of the epochs, which use (seed, epoch).
SPLIT_STREAM = 2**32
TEST_STREAM = SPLIT_STREAM + 1
_MOST_DRAWS = 200
_GROUPS_DRAWN = 100_000


def epoch_order(seed: int, epoch: int, examples: int) -> NDArray[np.int64]:
    """Return the order of the training examples in an epoch, or in one pass: a permutation of `range(examples)`."""
    return np.random.default_rng([seed, epoch]).permutation(examples)


def steps_in_epoch(examples: int, batch_size: int) -> int:
    """Batches in one pass over the examples; the last one may be smaller."""
    return -(-examples // batch_size)


def examples_before(step: int, examples: int, batch_size: int) -> int:
    """Return how many examples training has seen before a global step, pass after pass over all of them."""
    passes, place = divmod(step, steps_in_epoch(examples, batch_size))
    return passes * examples + place * batch_size


def stratified_split(
    labels: NDArray[np.int64], validation_split: float, seed: int, stream: int = SPLIT_STREAM
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Divide examples into training and validation, with the same share of every class.

    Args:
        labels: class numbers, shape (examples,).
        validation_split: share of each class that validates, in (0, 1); rounded, but a class of two or more examples
            always keeps one for training.

    Returns:
        indices of the training and of the validation examples, each sorted.
    """
    generator = np.random.default_rng([seed, stream])
    chosen = np.zeros(len(labels), dtype=bool)
    for number in np.unique(labels):
        members = generator.permutation(np.flatnonzero(labels == number))
        count = min(round(len(members) * validation_split), len(members) - 1)
        chosen[members[:count]] = True
    return np.flatnonzero(~chosen), np.flatnonzero(chosen)


def grouped_split(
    labels: NDArray[Any], groups: NDArray[np.int64], share: float, seed: int, stream: int = SPLIT_STREAM
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Divide examples so that no group is divided, with the same share of every class as far as the groups allow.

    The groups are gone through in a drawn order, and one is set aside where that brings the classes nearer to their
    share; the best of several draws is taken. Training keeps examples of every class.

    Args:
        labels: class numbers (examples,), or 0 and 1 for each label (examples, labels).
        groups: the number of each example's group, (examples,).

    Returns:
        indices of the examples that are kept, and of those that are set aside, each sorted.
    """
    groups, members, total = _members(labels, groups)
    generator = np.random.default_rng([seed, stream])
    best: tuple[float, list[int]] = (0, [])
    for _ in range(max(1, min(_MOST_DRAWS, _GROUPS_DRAWN // len(members)))):
        found = _set_aside(members, total, share, generator.permutation(len(members)).tolist())
        best = min(best, found, key=lambda one: one[0])
    if not best[1] and (nearest := _nearest(members, total, share)) is not None:
        best = (0, [nearest])
    chosen = np.isin(groups, best[1])
    return np.flatnonzero(~chosen), np.flatnonzero(chosen)


def _members(
    labels: NDArray[Any], groups: NDArray[np.int64]
) -> tuple[NDArray[np.int64], list[list[tuple[int, int]]], list[int]]:
    """Return each example's group, numbered from 0; the classes of each group with their counts; those of all."""
    examples = len(groups)
    groups = np.unique(groups, return_inverse=True)[1].reshape(-1)
    if labels.ndim == 1:
        rows, classes = np.arange(examples), labels
    else:  # the last class is that of all examples: those without a label count as well
        every = np.column_stack([labels, np.ones(examples, labels.dtype)])
        rows, classes = np.nonzero(every)
    width = int(classes.max()) + 1
    pairs, counts = np.unique(groups[rows] * width + classes, return_counts=True)
    total = np.bincount(classes, minlength=width).tolist()
    members: list[list[tuple[int, int]]] = [[] for _ in range(int(groups.max()) + 1)]
    for pair, count in zip(pairs.tolist(), counts.tolist(), strict=True):
        members[pair // width].append((pair % width, count))
    return groups, members, total


def _set_aside(
    members: Sequence[Sequence[tuple[int, int]]], total: Sequence[int], share: float, order: Sequence[int]
) -> tuple[float, list[int]]:
    """Return how much nearer the classes are to their share, as a negative number, and the groups set aside."""
    aside, gained, chosen = [0] * len(total), 0.0, []
    for group in order:
        gain = _gain(members[group], aside, total, share)
        if gain < 0:
            gained += gain
            chosen.append(group)
            for number, count in members[group]:
                aside[number] += count
    return gained, chosen


def _gain(group: Sequence[tuple[int, int]], aside: Sequence[int], total: Sequence[int], share: float) -> float:
    """Return by how much the squared distance of the classes from their share grows with a group, of their sizes."""
    if any(aside[number] + count == total[number] for number, count in group):
        return math.inf
    return sum(count * (2 * (aside[number] - share * total[number]) + count) / total[number] for number, count in group)


def _nearest(members: Sequence[Sequence[tuple[int, int]]], total: Sequence[int], share: float) -> int | None:
    """Return the single group that is nearest to the share, where each is too large; None if training needs each."""
    gains = [_gain(group, [0] * len(total), total, share) for group in members]
    nearest = min(range(len(members)), key=gains.__getitem__)
    return nearest if math.isfinite(gains[nearest]) else None


def split_by_time(times: NDArray[np.float64], share: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Divide examples into earlier and later ones: the later are as near to their share as equal times allow.

    Returns:
        indices of the earlier and of the later examples, each sorted; none are later where all are of one time.
    """
    moments, counts = np.unique(times, return_counts=True)
    later = counts[::-1].cumsum()[::-1]  # how many are of each moment or later
    if len(moments) < 2 or round(share * len(times)) == 0:
        return np.arange(len(times)), np.arange(0)
    begin = moments[1 + np.abs(later[1:] - share * len(times)).argmin()]
    return np.flatnonzero(times < begin), np.flatnonzero(times >= begin)


def stratified_folds(labels: NDArray[np.int64], folds: int, seed: int) -> NDArray[np.int64]:
    """Return the fold of each example, from 1: of every class, and in all, no fold has two more than another.

    Args:
        labels: class numbers, shape (examples,).
    """
    drawn = np.random.default_rng([seed, SPLIT_STREAM]).permutation(len(labels))
    by_class = drawn[np.argsort(labels[drawn], kind="stable")]
    assigned = np.empty(len(labels), np.int64)
    assigned[by_class] = 1 + np.arange(len(labels)) % folds
    return assigned


def grouped_folds(labels: NDArray[Any], groups: NDArray[np.int64], folds: int, seed: int) -> NDArray[np.int64]:
    """Return the fold of each example, from 1, so that no group is divided; the classes as even as the groups allow.

    Greedy, as scikit-learn's StratifiedGroupKFold: the groups whose classes differ most come first, and each goes to
    the fold that has the smallest shares of its classes.

    Args:
        labels: class numbers (examples,), or 0 and 1 for each label (examples, labels).
        groups: the number of each example's group, (examples,).
    """
    groups, members, total = _members(labels, groups)
    of_all = np.array(total, np.float64)
    spread = np.empty((2, len(members)))
    for group, counted in enumerate(members):
        counts = np.array([count for _, count in counted], np.float64)
        spread[:, group] = (counts**2).sum() / len(of_all) - (counts.sum() / len(of_all)) ** 2, counts.sum()
    drawn = np.random.default_rng([seed, SPLIT_STREAM]).permutation(len(members))
    shares, fold_of = np.zeros((folds, len(of_all))), np.empty(len(members), np.int64)
    for group in drawn[np.lexsort(-spread[::-1, drawn])].tolist():
        numbers = [number for number, _ in members[group]]
        own = np.array([count for _, count in members[group]]) / of_all[numbers]
        # What a group adds to the sum of the squares, least where the spread over the folds stays least.
        fold = np.lexsort((shares @ of_all, (shares[:, numbers] @ own).round(12)))[0]
        shares[fold, numbers] += own
        fold_of[group] = 1 + fold
    return fold_of[groups]


def folds_by_time(times: NDArray[np.float64], folds: int) -> NDArray[np.int64]:
    """Return the fold of each example, from 1, in the order of time; 0 for the earliest, which only train.

    As scikit-learn's TimeSeriesSplit: the blocks are equally large, as far as equal times allow, which are not divided.
    With fewer different times than blocks, some folds have no example.
    """
    moments, counts = np.unique(times, return_counts=True)
    before = counts.cumsum() - counts
    begins = len(times) - len(times) // (folds + 1) * np.arange(folds, 0, -1)
    nearest = [int(np.abs(before - begin).argmin()) for begin in begins]
    return np.searchsorted(moments[nearest], times, side="right")
