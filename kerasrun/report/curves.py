"""ROC and precision-recall curves with their areas, as scikit-learn's `roc_curve`, `roc_auc_score`,
`precision_recall_curve` and `average_precision_score` define them.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Curve:
    """Points of a curve, and the area under it."""

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    area: float


@dataclass(frozen=True)
class RankingCurves:
    """How well values rank the positive examples before the others, whatever the threshold."""

    roc: Curve
    """False positive rate (x), true positive rate (y); the area by trapezoids: the chance that a positive example has
    a larger value than a negative one."""
    precision_recall: Curve
    """Recall (x), precision (y); the area is average precision, Σ (Rₙ − Rₙ₋₁) Pₙ, without interpolation."""

    @property
    def base_rate(self) -> float:
        """The share of positive examples: the precision of who calls every example positive, as at the last point."""
        return float(self.precision_recall.y[-1])


def ranking_curves(positive: NDArray[Any], values: NDArray[np.float64]) -> RankingCurves | None:
    """Return the curves over every threshold that tells two values apart.

    Args:
        positive: whether each example is positive, (examples,).
        values: the larger the surer, (examples,).

    Returns:
        None where all examples are positive or none is: neither area is defined.
    """
    truth = positive.astype(bool)
    if truth.all() or not truth.any():
        return None
    hits, called, _ = called_above(truth, values)
    recall = np.concatenate([[0.0], hits / truth.sum()])
    false_rate = np.concatenate([[0.0], (called - hits) / (~truth).sum()])
    precision = np.concatenate([[1.0], hits / called])
    return RankingCurves(
        roc=Curve(false_rate, recall, float(np.trapezoid(recall, false_rate))),
        precision_recall=Curve(recall, precision, float(np.sum(np.diff(recall) * precision[1:]))),
    )


def called_above(
    truth: NDArray[np.bool_], values: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Return, from the highest value down: how many examples of at least a value are positive, all of them, the value.

    Equal values are told apart by no threshold, and are there once.
    """
    order = (-values).argsort(kind="stable")
    ends = np.append(np.flatnonzero(np.diff(values[order])), len(order) - 1)
    return np.cumsum(truth[order])[ends], ends + 1, values[order][ends]
