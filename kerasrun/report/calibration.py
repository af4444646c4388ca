"""How far the probabilities of a model are what they say: of what it is 80 % sure of, 80 % should be right.

The expected calibration error is that of Guo and others (2017, https://arxiv.org/abs/1706.04599), with 15 bins of equal
width; the points of the curve are those of scikit-learn's `calibration_curve`.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

BINS = 15


@dataclass(frozen=True)
class Calibration:
    """The bins of probabilities that have examples, by rising probability."""

    confidence: NDArray[np.float64]
    """The mean probability in each."""
    accuracy: NDArray[np.float64]
    """The share of examples in each for which it came true."""
    examples: NDArray[np.int64]

    @property
    def error(self) -> float:
        """The expected calibration error: the mean distance between the two, over the examples."""
        gaps = np.abs(self.accuracy - self.confidence)
        return float(np.sum(gaps * self.examples) / self.examples.sum())

    def as_dict(self) -> dict[str, Any]:
        return {name: numbers.tolist() for name, numbers in vars(self).items()}


def calibration(came_true: NDArray[Any], confidence: NDArray[np.float64]) -> Calibration:
    """Compare probabilities with what came true, both (examples,); a bin holds its upper end, and the first one 0."""
    places = np.searchsorted(np.linspace(0, 1, BINS + 1)[1:-1], confidence)
    counts = np.bincount(places, minlength=BINS)
    there = counts > 0
    means, shares = (
        np.bincount(places, weights=values, minlength=BINS)[there] / counts[there] for values in (confidence, came_true)
    )
    return Calibration(means, shares, counts[there])
