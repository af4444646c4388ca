"""Pairs of classes that are confused."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Confused:
    """How often a class is taken for another."""

    true: str
    called: str
    count: int
    share: float
    """Of the examples of the true class."""


def confused(matrix: NDArray[np.int64], names: Sequence[str], most: int) -> list[Confused]:
    """Return the pairs of classes that are confused most often.

    Args:
        matrix: counts of true (rows) and predicted classes (columns), (classes, classes).
    """
    wrong = matrix - np.diag(np.diag(matrix))
    places = np.argsort(-wrong, axis=None, kind="stable")[:most]
    totals = matrix.sum(axis=1)
    return [
        Confused(names[true], names[called], int(wrong[true, called]), float(wrong[true, called] / totals[true]))
        for true, called in zip(*np.unravel_index(places, wrong.shape), strict=True)
        if wrong[true, called]
    ]
