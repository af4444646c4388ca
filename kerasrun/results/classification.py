"""Confusion matrix, precision, recall and F1, as scikit-learn's `classification_report` defines them."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class ClassScore:
    """How well one class is found; 0 where a quotient has no denominator."""

    name: str
    precision: float
    """Of what was called this class, the share that is."""
    recall: float
    """Of what is this class, the share that was called so."""
    f1: float
    """Harmonic mean of the two."""
    support: int
    """Examples of this class."""

    def as_dict(self) -> dict[str, Any]:
        return {"class": self.name, **{key: value for key, value in asdict(self).items() if key != "name"}}


def confusion_matrix(labels: NDArray[np.int64], predicted: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """Count examples by true class (rows) and predicted class (columns); shape (classes, classes)."""
    return np.bincount(labels * classes + predicted, minlength=classes**2).reshape(classes, classes)


def class_scores(confusions: NDArray[np.int64], names: Sequence[str]) -> tuple[ClassScore, ...]:
    """The scores of each class, in order."""
    hits, called, support = np.diag(confusions), confusions.sum(axis=0), confusions.sum(axis=1)
    return tuple(
        ClassScore(
            name=name,
            precision=_share(hits[number], called[number]),
            recall=_share(hits[number], support[number]),
            f1=_share(2 * hits[number], called[number] + support[number]),
            support=int(support[number]),
        )
        for number, name in enumerate(names)
    )


def _share(part: np.int64, whole: np.int64) -> float:
    return float(part / whole) if whole else 0.0
