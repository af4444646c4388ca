"""The choice of a threshold: of all that tell two values apart, the one that a rule finds best."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kerasrun.errors import DataError, UsageError
from kerasrun.report.curves import called_above
from kerasrun.text.problems import shown

Counts = NDArray[Any]
"""How many examples are rightly called (hits), or wrongly (alarms), at each threshold."""


@dataclass(frozen=True)
class Rule:
    """A rule that says how good a threshold is."""

    name: str
    """Its name, as the user wrote it."""
    worth: Callable[[Counts, Counts, int, int], NDArray[np.float64]]
    """The function from hits, alarms, and how many examples are positive and negative: the larger the better."""


def _f1(hits: Counts, alarms: Counts, positives: int, negatives: int) -> NDArray[np.float64]:
    del negatives
    quotients: NDArray[np.float64] = 2 * hits / (hits + alarms + positives)
    return quotients


def _youden(hits: Counts, alarms: Counts, positives: int, negatives: int) -> NDArray[np.float64]:
    """Return Youden's J: the true positive rate less the false positive rate."""
    differences: NDArray[np.float64] = hits / positives - alarms / negatives
    return differences


_RULES = {"best-f1": _f1, "youden": _youden}
_COST = re.compile(r"cost=(\d{1,9}(?:\.\d{1,9})?):(\d{1,9}(?:\.\d{1,9})?)")


def asked(threshold: float | str | None) -> float | Rule | None:
    """Return the number, or the rule, that a user has named.

    Raises:
        UsageError: if it is neither.
    """
    if not isinstance(threshold, str):
        return threshold
    if threshold in _RULES:
        return Rule(threshold, _RULES[threshold])
    if costs := _COST.fullmatch(threshold):
        missed, alarm = float(costs[1]), float(costs[2])
        if missed > 0 < alarm:
            return Rule(threshold, lambda hits, alarms, positives, _: -missed * (positives - hits) - alarm * alarms)
    try:
        return float(threshold)
    except ValueError:
        raise UsageError(
            f"--threshold {shown(threshold)}: expected a probability, best-f1, youden, or what a missed positive and a "
            "false alarm cost, both above 0, such as cost=5:1"
        ) from None


def chosen(positive: NDArray[Any], values: NDArray[np.float64], rule: Rule) -> float:
    """Return the threshold above which what is called positive is best by a rule; of equally good ones the highest.

    It is in the middle between two values of examples, so that it does not hang on the last bits of one.

    Args:
        positive: whether each example is positive, (examples,).
        values: the probability of each that it is, (examples,).

    Raises:
        DataError: if all examples are positive, or none is.
    """
    truth = positive.astype(bool)
    positives, negatives = int(truth.sum()), int((~truth).sum())
    if not positives or not negatives:
        raise DataError(f"of {len(truth)} examples {positives} are positive, so no threshold is better than another")
    hits, called, lowest = called_above(truth, values)
    higher, lower = lowest, np.append(lowest[1:], 0.0)
    middle = (higher + lower) / 2
    thresholds = np.append(1.0, np.where(middle < higher, middle, lower))  # between neighbours there is no number
    worth = rule.worth(np.append(0, hits), np.append(0, called - hits), positives, negatives)
    possible = np.append(True, thresholds[1:] < higher)  # no threshold is below 0
    return float(thresholds[np.where(possible, worth, -np.inf).argmax()])
