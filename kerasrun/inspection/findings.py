"""What may be wrong with data, the worst first."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kerasrun.inspection.examples import Examples, digests_of
from kerasrun.pipeline.selection import spread
from kerasrun.reading.data import Data, Feature, Inputs, Split
from kerasrun.tasks.base import task_named

_FEW = 10
_BITS_APART = 7
"""Perceptual hashes of pictures that look alike differ in at most this many of 64 bits."""
_APART = 0.1
"""Small pictures that look alike differ by at most this root mean square, as a share of their standard deviation."""
_BANDS = _BITS_APART + 1
_SHARE = 0.99
_LOOKED_AT = 20_000
_AT_ONCE = 1024
_PAIRS = 2**22
"""How many pairs of hashes are compared at once."""


@dataclass(frozen=True)
class Finding:
    """Examples, files or columns with one fault."""

    kind: str
    """A name for programs, such as `duplicates_across_splits`."""
    title: str
    """What was found, with its number."""
    groups: tuple[tuple[str, ...], ...]
    """The names that belong together: the copies of a picture, a single file, a column."""
    crosses_splits: bool = False
    """Whether the same example trains and is measured on."""
    splits: tuple[tuple[str, ...], ...] = ()
    """The split of each name, where those of a group may be in several."""


_WORST = (
    *("duplicates_across_splits", "duplicates_with_other_labels", "leaks", "damaged", "near_duplicates_across_splits"),
    *("few_examples", "duplicates", "near_duplicates", "blank", "one_value", "gaps"),
)
Examine = Callable[[Data, list[Split], Examples], Iterator[Finding]]


def findings(data: Data, splits: list[Split], examples: Examples) -> list[Finding]:
    """Return what is wrong with the data, the worst first."""
    found = [one for examine in _EXAMINED for one in examine(data, splits, examples)]
    return sorted(found, key=lambda one: _WORST.index(one.kind))


def trained_and_validated(train: Split, validation: Split) -> int:
    """Return how many validation examples are training examples too."""
    return int(np.isin(_keys(validation.inputs), _keys(train.inputs)).sum())


def _keys(inputs: Inputs) -> NDArray[np.void]:
    return np.ascontiguousarray(digests_of(inputs)).view("V16").ravel()


def _copies(data: Data, splits: list[Split], examples: Examples) -> Iterator[Finding]:
    """Find examples with the same contents, and pictures that look alike."""
    del data, splits
    order = np.lexsort(examples.digests.T)
    same = (examples.digests[order[1:]] == examples.digests[order[:-1]]).all(axis=1)
    copies = _Groups(len(examples))
    copies.join(order[:-1][same], order[1:][same])
    exact = copies.members()
    # Copies are in their own finding: of each group of them only the first counts here.
    is_copy = np.zeros(len(examples), np.bool_)
    is_copy[[place for group in exact for place in group[1:]]] = True
    other_labels = [group for group in exact if _differ(examples.labels, group)]
    across, within = _by_splits(exact, examples)
    within = [group for group in within if not _differ(examples.labels, group)]
    alike_across, alike_within = _by_splits(_alike(examples, is_copy), examples)
    for kind, found, what, crosses in (
        ("duplicates_across_splits", across, ("example is", "examples are", "in more than one split"), True),
        ("duplicates_with_other_labels", other_labels, ("example has", "examples have", "several labels"), False),
        ("near_duplicates_across_splits", alike_across, (*_LIKE, "of another split"), True),
        ("duplicates", within, ("example is", "examples are", "there more than once"), False),
        ("near_duplicates", alike_within, (*_LIKE, "of the same split"), False),
    ):
        if found:
            names = tuple(tuple(examples.names[place] for place in group) for group in found)
            said = tuple(tuple(examples.splits[number] for number in examples.split_of[group]) for group in found)
            yield Finding(kind, f"{_count(found, *what[:2])} {what[2]}", names, crosses, said)


_LIKE = ("picture looks like one", "pictures look like one")


def _alike(examples: Examples, is_copy: NDArray[np.bool_]) -> list[list[int]]:
    """Return groups of pictures that look alike, of those that are neither blank nor copies.

    Hashes that differ in at most 7 of 64 bits have one of their 8 bytes in common, so only such pairs are compared.
    Small copies are then compared themselves, as digits on black have much in common; not those of pairs that others
    have brought together, for the frames of a video have more pairs than memory.
    """
    looks = examples.looks
    if looks is None:
        return []
    places = np.flatnonzero(~is_copy & ~examples.is_blank)
    if not len(places):
        return []
    hashes, groups = examples.hashes[places], _Groups(len(examples))
    for band in range(_BANDS):
        byte = (hashes >> np.uint64(8 * band)) & np.uint64(0xFF)
        order = np.argsort(byte, kind="stable")
        for members in np.split(order, np.flatnonzero(np.diff(byte[order])) + 1):
            rows = max(1, _PAIRS // len(members))
            for start in range(0, len(members), rows):
                some, others = members[start : start + rows], members[start:]
                known = groups.leaders(places[some])
                others = others[(groups.leaders(places[others]) != known[0]) | (known != known[0]).any()]
                row, column = np.nonzero(np.bitwise_count(hashes[some, np.newaxis] ^ hashes[others]) <= _BITS_APART)
                _join_alike(groups, looks, places[some[row]], places[others[column]])
    return groups.members()


def _join_alike(
    groups: "_Groups", looks: NDArray[np.uint8], first: NDArray[np.int64], second: NDArray[np.int64]
) -> None:
    for cut in range(0, len(first), _AT_ONCE):
        one, other = first[cut : cut + _AT_ONCE], second[cut : cut + _AT_ONCE]
        apart = groups.leaders(one) != groups.leaders(other)
        if apart.any():
            alike = _are_alike(looks[one[apart]], looks[other[apart]])
            groups.join(one[apart][alike], other[apart][alike])


def _are_alike(some: NDArray[np.uint8], others: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Compare pictures with pictures, (pairs, 32, 32, channels)."""
    one, other = (looks.reshape(len(looks), -1).astype(np.float32) for looks in (some, others))
    alike: NDArray[np.bool_] = np.sqrt(np.square(one - other).mean(axis=1)) <= _APART * one.std(axis=1)
    return alike


class _Groups:
    """Places, in groups that pairs connect."""

    def __init__(self, count: int) -> None:
        self._leader = np.arange(count)

    def leaders(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the first place of the group of each."""
        found = self._leader[places]
        while len(places) and (self._leader[found] != found).any():
            found = self._leader[found]
        self._leader[places] = found
        return found

    def join(self, first: NDArray[np.int64], second: NDArray[np.int64]) -> None:
        for one, other in zip(first.tolist(), second.tolist(), strict=True):
            low, high = sorted((self._lead(one), self._lead(other)))
            self._leader[high] = low

    def _lead(self, place: int) -> int:
        while (leader := int(self._leader[place])) != place:
            self._leader[place] = self._leader[leader]
            place = leader
        return place

    def members(self) -> list[list[int]]:
        """Return the places of each group of at least two, sorted."""
        leaders = self.leaders(np.arange(len(self._leader)))
        order = np.argsort(leaders, kind="stable")
        groups = np.split(order, np.flatnonzero(np.diff(leaders[order])) + 1)
        return [group.tolist() for group in groups if len(group) > 1]


def _by_splits(groups: list[list[int]], examples: Examples) -> tuple[list[list[int]], list[list[int]]]:
    """Return the groups with examples of several splits, and the others."""
    found: tuple[list[list[int]], list[list[int]]] = ([], [])
    for group in groups:
        found[len(set(examples.split_of[group].tolist())) == 1].append(group)
    return found


def _differ(labels: NDArray[Any] | None, group: list[int]) -> bool:
    return labels is not None and bool((labels[group] != labels[group[0]]).any())


def _damaged(data: Data, splits: list[Split], examples: Examples) -> Iterator[Finding]:
    del splits, examples
    bad = tuple((f"{file.path}: {file.reason}",) for file in data.skipped)
    if bad:
        yield Finding("damaged", f"{_count(bad, 'file', 'files')} cannot be used", bad)


def _blank(data: Data, splits: list[Split], examples: Examples) -> Iterator[Finding]:
    del data, splits
    blank = tuple((examples.names[place],) for place in np.flatnonzero(examples.is_blank))
    if blank:
        yield Finding("blank", f"{_count(blank, 'picture has', 'pictures have')} a single colour", blank)


def _columns(data: Data, splits: list[Split], examples: Examples) -> Iterator[Finding]:
    """Find columns of the training table that say nothing, and such that say everything."""
    del examples
    train = splits[0]
    if data.row_format is None:
        return
    form = data.row_format
    columns = form.columns or (Feature(),) * len(form.features)
    names = [name for name, one in zip(form.features, columns, strict=True) for _ in range(one.width)]
    some = spread(train, _LOOKED_AT)
    values = some.rows.take(np.arange(len(some)))
    # Whether a value is missing may say something as well.
    values = np.where(np.isnan(values), np.float32(-3e38), values)
    given_away: dict[str, None] = {}
    if isinstance(labels := some.labels, np.ndarray):  # of an autoencoder nothing is given away
        given_away = {name: None for name, column in zip(names, values.T, strict=True) if gives_away(column, labels)}
    if leaks := tuple((name,) for name in given_away):
        what = "columns alone give the label away" if len(leaks) > 1 else "column alone gives the label away"
        yield Finding("leaks", f"{len(leaks)} {what}: a neighbour's label is right for {_SHARE:.0%} of the rows", leaks)
    varied = {name for name, column in zip(names, values.T, strict=True) if (column != column[0]).any()}
    if single := tuple((name,) for name in form.features if name not in varied):
        yield Finding("one_value", f"{_count(single, 'column has', 'columns have')} a single value", single)
    if gaps := tuple((name,) for name, one in zip(form.features, columns, strict=True) if one.gaps):
        yield Finding("gaps", f"{_count(gaps, 'column has', 'columns have')} missing values", gaps)


def gives_away(column: NDArray[np.float32], labels: NDArray[Any]) -> bool:
    """Return whether the label of a row is that of the row with the nearest value, nearly always.

    Every other row is predicted from the rest. Numbers are predicted where 99 % of their variance is; classes where
    99 % are right, and less than a tenth of what the commonest class gets wrong is wrong.
    """
    known, asked = column[::2], column[1::2]
    if len(asked) < _FEW:
        return False
    order = np.argsort(known, kind="stable")
    ranked = known[order]
    right = np.clip(np.searchsorted(ranked, asked), 1, max(1, len(ranked) - 1))
    nearest = order[np.where(asked - ranked[right - 1] <= ranked[right] - asked, right - 1, right)]
    found, true = labels[::2][nearest], labels[1::2]
    if labels.dtype.kind == "f":
        spread = true.var(axis=0, dtype=np.float64)
        return bool((np.mean((found - true).astype(np.float64) ** 2, axis=0) <= (1 - _SHARE) * spread).any())
    wrong = (found != true).reshape(len(true), -1).mean(axis=0)
    commonest = np.array([np.unique(one, return_counts=True)[1].max() for one in true.reshape(len(true), -1).T])
    return bool(((wrong <= 1 - _SHARE) & (wrong < 0.1 * (1 - commonest / len(true)))).any())


def _few(data: Data, splits: list[Split], examples: Examples) -> Iterator[Finding]:
    """Find classes that are hardly learned."""
    del examples
    task = task_named(data.label_kind)
    if task.one_class or task.together:
        counts = zip(data.classes, splits[0].class_counts(len(data.classes)).tolist(), strict=True)
        if few := tuple((f"{name} ({count})",) for name, count in counts if count < _FEW):
            yield Finding(
                "few_examples", f"{_count(few, 'class has', 'classes have')} fewer than {_FEW} training examples", few
            )


_EXAMINED: tuple[Examine, ...] = (_copies, _damaged, _columns, _blank, _few)


def _count(found: object, one: str, several: str) -> str:
    number = len(found)  # type: ignore[arg-type]
    return f"{number:,} {one if number == 1 else several}"
