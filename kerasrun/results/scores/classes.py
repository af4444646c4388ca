"""Classes: confusion matrix, precision, recall and F1 as scikit-learn's `classification_report` defines them; of two
classes the curves over every threshold, of many the share that is among the five most probable.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kerasrun.model_file import OutputKind
from kerasrun.results.model import class_values
from kerasrun.results.scores.base import Scores, share, shown
from kerasrun.results.scores.curves import RankingCurves, ranking_curves
from kerasrun.results.text_table import text_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# With fewer classes, to be among the five best is no merit.
MANY_CLASSES = 10
BEST = 5


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


@dataclass(frozen=True)
class ClassificationScores(Scores):
    """What examples of each class were taken for."""

    accuracy: float
    classes: tuple[ClassScore, ...]
    confusion_matrix: NDArray[np.int64]
    """Rows are true classes, columns predicted ones."""
    top_5_accuracy: float | None = None
    """The share whose class is among the five of the largest values; of more than ten classes only."""
    threshold: float | None = None
    """How probable the second of two classes must be to be called; None for other models."""
    curves: RankingCurves | None = None
    """Of two classes; None where the split has one of them only."""

    @property
    def headline(self) -> Mapping[str, float | None]:
        top = {} if self.top_5_accuracy is None else {"top_5_accuracy": self.top_5_accuracy}
        return {"accuracy": self.accuracy, **top, **self._areas}

    @property
    def _areas(self) -> dict[str, float | None]:
        if len(self.classes) != 2:
            return {}
        curves = self.curves
        return {
            "roc_auc": curves.roc.area if curves else None,
            "average_precision": curves.precision_recall.area if curves else None,
        }

    def as_dict(self) -> dict[str, Any]:
        threshold = {} if self.threshold is None else {"threshold": self.threshold}
        return {
            **self.headline,
            **threshold,
            "classes": [score.as_dict() for score in self.classes],
            "confusion_matrix": self.confusion_matrix.tolist(),
        }

    def to_text(self) -> str:
        names = [score.name for score in self.classes]
        called = []
        if self.threshold is not None:
            called = [f"called {names[1]} where more probable than {self.threshold:g}: accuracy {shown(self.accuracy)}"]
        return "\n".join(
            [
                *called,
                scores_table("class", self.classes),
                "",
                "confusion matrix: rows are true classes, columns predicted ones",
                text_table(["", *names], [[n, *row] for n, row in zip(names, self.confusion_matrix, strict=True)]),
            ]
        )

    def figures(self) -> Mapping[str, Figure]:
        from kerasrun.results import figures

        names = [score.name for score in self.classes]
        drawn = {"confusion": figures.confusions(self.confusion_matrix, names)}
        if self.curves:
            drawn["roc"] = figures.roc({names[1]: self.curves.roc})
            drawn["precision_recall"] = figures.precision_recall({names[1]: self.curves.precision_recall})
        return drawn


def classification_scores(
    labels: NDArray[np.int64],
    outputs: NDArray[np.float32],
    names: Sequence[str],
    kind: OutputKind,
    threshold: float | None = None,
) -> ClassificationScores:
    """Compare class numbers with a network's outputs.

    Args:
        labels: (examples,).
        outputs: (examples, 1) for two classes with one unit, else (examples, classes).
        threshold: how probable the second of two classes must be to be called, instead of more probable than the first.
    """
    values = class_values(outputs, kind)
    predicted = values.argmax(axis=1) if threshold is None else (values[:, 1] > threshold).astype(np.int64)
    confusions = confusion_matrix(labels, predicted, len(names))
    two = len(names) == 2
    return ClassificationScores(
        accuracy=float(np.mean(predicted == labels)),
        classes=class_scores(confusions, names),
        confusion_matrix=confusions,
        top_5_accuracy=_among_the_best(labels, values) if len(names) > MANY_CLASSES else None,
        threshold=(0.5 if threshold is None else threshold) if two and kind != "scores" else None,
        curves=ranking_curves(labels == 1, _sureness(outputs.astype(np.float64), kind)) if two else None,
    )


def confusion_matrix(labels: NDArray[np.int64], predicted: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """Count examples by true class (rows) and predicted class (columns); shape (classes, classes)."""
    return np.bincount(labels * classes + predicted, minlength=classes**2).reshape(classes, classes)


def class_scores(confusions: NDArray[np.int64], names: Sequence[str]) -> tuple[ClassScore, ...]:
    """The scores of each class, in order."""
    hits, called, support = np.diag(confusions), confusions.sum(axis=0), confusions.sum(axis=1)
    return tuple(class_score(name, *numbers) for name, *numbers in zip(names, hits, called, support, strict=True))


def class_score(name: str, hits: int, called: int, support: int) -> ClassScore:
    """From how many examples were rightly called so, were called so, and are so."""
    return ClassScore(
        name=name,
        precision=share(hits, called),
        recall=share(hits, support),
        f1=share(2 * hits, called + support),
        support=int(support),
    )


def scores_table(title: str, scores: Sequence[ClassScore]) -> str:
    """A line for each class or label."""
    return text_table(
        [title, "precision", "recall", "f1", "support"],
        [[s.name, shown(s.precision), shown(s.recall), shown(s.f1), s.support] for s in scores],
    )


def _sureness(outputs: NDArray[np.float64], kind: OutputKind) -> NDArray[np.float64]:
    """What orders examples as the probability of the second class does, and tells those apart that round to 0 or 1."""
    if outputs.shape[1] == 2 and kind in ("softmax logits", "scores"):
        return outputs[:, 1] - outputs[:, 0]
    return outputs[:, -1]


def _among_the_best(labels: NDArray[np.int64], values: NDArray[np.float64]) -> float:
    best = (-values).argsort(axis=1, kind="stable")[:, :BEST]
    return float(np.mean((best == labels[:, np.newaxis]).any(axis=1)))
