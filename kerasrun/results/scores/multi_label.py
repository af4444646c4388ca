"""Several labels at once: precision, recall and F1 of each at a threshold, average precision over all thresholds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kerasrun.model_file import OutputKind
from kerasrun.results.model import label_values
from kerasrun.results.scores.base import Scores, shown
from kerasrun.results.scores.classes import ClassScore, class_score
from kerasrun.results.scores.curves import RankingCurves, ranking_curves
from kerasrun.results.text_table import text_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class LabelScore:
    """How well one label is found."""

    score: ClassScore
    curves: RankingCurves | None
    """None where every example has the label, or none has."""

    @property
    def average_precision(self) -> float | None:
        return self.curves.precision_recall.area if self.curves else None

    @property
    def roc_auc(self) -> float | None:
        return self.curves.roc.area if self.curves else None

    def as_dict(self) -> dict[str, Any]:
        numbers = {key: value for key, value in self.score.as_dict().items() if key != "class"}
        areas = {"average_precision": self.average_precision, "roc_auc": self.roc_auc}
        return {"label": self.score.name, **numbers, **areas}


@dataclass(frozen=True)
class MultiLabelScores(Scores):
    """Which labels were given to the examples."""

    exact_match: float
    """The share of examples whose labels are all right."""
    threshold: float
    """Above which probability (of a hinge loss, score) a label is given."""
    labels: tuple[LabelScore, ...]

    @property
    def headline(self) -> Mapping[str, float | None]:
        known = [label.average_precision for label in self.labels if label.average_precision is not None]
        return {
            "exact_match": self.exact_match,
            "macro_f1": float(np.mean([label.score.f1 for label in self.labels])),
            "mean_average_precision": float(np.mean(known)) if known else None,
        }

    def as_dict(self) -> dict[str, Any]:
        return {**self.headline, "threshold": self.threshold, "labels": [label.as_dict() for label in self.labels]}

    def to_text(self) -> str:
        rows = [
            [s.name, *map(shown, (s.precision, s.recall, s.f1, label.average_precision, label.roc_auc)), s.support]
            for label in self.labels
            for s in (label.score,)
        ]
        header = ["label", "precision", "recall", "f1", "average_precision", "roc_auc", "support"]
        return f"a label is given above {self.threshold:g}\n{text_table(header, rows)}"

    def figures(self) -> Mapping[str, Figure]:
        from kerasrun.results import figures

        known = {label.score.name: label.curves for label in self.labels if label.curves}
        if not known:
            return {}
        return {
            "roc": figures.roc({name: curves.roc for name, curves in known.items()}),
            "precision_recall": figures.precision_recall(
                {name: curves.precision_recall for name, curves in known.items()}
            ),
        }


def multi_label_scores(
    labels: NDArray[np.uint8],
    outputs: NDArray[np.float32],
    names: Sequence[str],
    kind: OutputKind,
    threshold: float | None = None,
) -> MultiLabelScores:
    """Compare rows of 0 and 1 with a network's outputs.

    Args:
        labels: (examples, labels).
        outputs: (examples, labels).
        threshold: by default a probability of a half, a score of 0.
    """
    values = label_values(outputs, kind)
    threshold = (0.0 if kind == "scores" else 0.5) if threshold is None else threshold
    truth, given = labels.astype(bool), values > threshold
    hits = (truth & given).sum(axis=0), given.sum(axis=0), truth.sum(axis=0)
    return MultiLabelScores(
        exact_match=float(np.mean((truth == given).all(axis=1))),
        threshold=threshold,
        labels=tuple(
            LabelScore(class_score(name, *numbers), ranking_curves(truth[:, column], values[:, column]))
            for column, (name, *numbers) in enumerate(zip(names, *hits, strict=True))
        ),
    )
