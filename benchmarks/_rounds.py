"""Contenders take turns, round by round, so that a slow moment of the machine meets all of them; then medians."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

Measured = TypeVar("Measured")


@dataclass(frozen=True)
class Spread:
    """What repeated measurements of one thing gave."""

    median: float
    least: float
    most: float


def take_turns(contenders: Sequence[str], rounds: int, measure: Callable[[str], Measured]) -> dict[str, list[Measured]]:
    """Measure every contender once a round; each round begins with the next contender.

    Args:
        contenders: their names.
        measure: one measurement of the contender of that name.

    Returns:
        for each contender its value in every round.
    """
    values: dict[str, list[Measured]] = {name: [] for name in contenders}
    for number in range(rounds):
        first = number % len(contenders)
        for name in (*contenders[first:], *contenders[:first]):
            values[name].append(measure(name))
    return values


def spread(values: Sequence[float]) -> Spread:
    """The median of the values, the least and the largest."""
    return Spread(statistics.median(values), min(values), max(values))


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> Spread:
    """The ratio of the medians, and the least and the largest ratio within a round.

    Args:
        ours: a value for each round.
        theirs: the other contender's values in the same rounds.
    """
    in_rounds = [our / their for our, their in zip(ours, theirs, strict=True)]
    return Spread(statistics.median(ours) / statistics.median(theirs), min(in_rounds), max(in_rounds))
