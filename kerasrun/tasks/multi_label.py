"""Several labels at once: any of them may hold for an example.

Scores are precision, recall and F1 of each label at a threshold, average precision over all thresholds, and how far the
probability of each label is right.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kerasrun.components import Component
from kerasrun.errors import ModelError
from kerasrun.keras_catalogue import canonical
from kerasrun.reading.data import Split
from kerasrun.report.plain import text_table
from kerasrun.report.predictions import Prediction, Question, named, row_of
from kerasrun.report.scores import Scores, mean, shown
from kerasrun.report.values import OutputKind, label_values, least
from kerasrun.tasks.base import CATEGORICAL, LINEAR, Output, Task, is_from_logits
from kerasrun.tasks.classes import ClassScore, class_score

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from kerasrun.reading.labelled_arrays import GivenLabels, ReadLabels
    from kerasrun.report.calibration import Calibration
    from kerasrun.report.curves import RankingCurves
    from kerasrun.report.mistakes import Mistakes


class MultiLabel(Task):
    """Labels that may hold together, rows of 0 and 1."""

    together = True
    counted = "labels"

    def default_loss(self, classes: int, units: int) -> Component:
        return Component("binary_crossentropy")

    def output(self, classes: int, loss: Component | None = None) -> Output:
        linear = loss and (is_from_logits(loss) or canonical("losses", loss.name) in LINEAR)
        return Output(classes, "linear" if linear else "sigmoid")

    def check_loss(self, loss: Component) -> None:
        if canonical("losses", loss.name) in CATEGORICAL:
            raise ModelError(
                f"{loss.name} is for one class among several, but several labels may hold at once: take "
                "binary_crossentropy"
            )

    def scores(self, labels: NDArray[Any], found: NDArray[np.float32], question: Question) -> MultiLabelScores:
        """Compare rows of 0 and 1 with outputs, both (examples, labels)."""
        import numpy as np

        from kerasrun.report.calibration import calibration
        from kerasrun.report.curves import ranking_curves

        values, thresholds = label_values(found, question.outputs), _thresholds(question)
        truth, given = labels.astype(bool), values > thresholds
        hits = (truth & given).sum(axis=0), given.sum(axis=0), truth.sum(axis=0)
        return MultiLabelScores(
            exact_match=float(np.mean((truth == given).all(axis=1))),
            labels=tuple(
                LabelScore(
                    class_score(name, *numbers),
                    thresholds[column],
                    ranking_curves(truth[:, column], values[:, column]),
                    None if question.outputs == "scores" else calibration(truth[:, column], values[:, column]),
                )
                for column, (name, *numbers) in enumerate(zip(question.classes, *hits, strict=True))
            ),
        )

    def predicted(self, found: NDArray[np.float32], question: Question) -> list[Prediction]:
        """Give each example the labels above their thresholds, by default a probability of a half or a score of 0."""
        above, names = _thresholds(question), question.classes
        return [
            MultiLabelPrediction(
                path,
                labels=tuple(name for name, number, cut in zip(names, row, above, strict=True) if number > cut),
                values=named(names, row),
                value="score" if question.outputs == "scores" else "probability",
                every=question.every,
            )
            for path, row in zip(question.paths, label_values(found, question.outputs), strict=True)
        ]

    def from_arrays(self, given: GivenLabels) -> ReadLabels:
        from kerasrun.reading.array_columns import columns_of_arrays

        return columns_of_arrays(given, together=True)

    def mistakes(self, split: Split, found: NDArray[np.float32], question: Question) -> Sequence[Mistakes]:
        """Return the examples that are given other labels than they have, the highest mean loss of the labels first."""
        import numpy as np

        from kerasrun.report.mistakes import MOST_MISTAKES, MOST_NAMED, Judged, Mistakes, wrongly

        values, truth = label_values(found, question.outputs), split.label_array.astype(bool)
        given, names = values > _thresholds(question), question.classes
        wrong = (given != truth).any(axis=1)
        losses = _losses(truth, values, question.outputs)
        means = losses.mean(axis=1)
        order = np.argsort(-means, kind="stable")
        worst = [
            Judged(
                place,
                self.caption(truth[place], names),
                self.caption(given[place], names),
                None if question.outputs == "scores" else float(means[place]),
                [(names[label], float(values[place, label])) for label in labels[:MOST_NAMED]],
                said=labels[0],
            )
            for place in order[wrong[order]][:MOST_MISTAKES].tolist()
            for labels in (np.argsort(-losses[place], kind="stable").tolist(),)
        ]
        return [Mistakes(worst, wrongly(int(wrong.sum()), split, "given other labels than they have"))]

    def from_columns(self, labels: NDArray[Any]) -> NDArray[Any]:
        import numpy as np

        # Numbers between 0 and 1 are probabilities: of them, those above a half hold.
        return (labels > 0.5).astype(np.uint8)

    def caption(self, label: Any, classes: Sequence[str]) -> str:
        return ", ".join(name for name, holds in zip(classes, label, strict=True) if holds) or "none"

    def about(self, classes: int) -> str:
        return f"{classes} labels that may hold together"


TASK = MultiLabel()


def _thresholds(question: Question) -> tuple[float, ...]:
    """Return the value of each label above which it is given."""
    given = question.threshold
    if given is None:
        given = least(question.outputs)
    return given if isinstance(given, tuple) else (given,) * len(question.classes)


def _losses(truth: NDArray[np.bool_], values: NDArray[np.float64], outputs: OutputKind) -> NDArray[np.float64]:
    """Return how wrong each label is: the cross-entropy, or the hinge loss of scores."""
    import numpy as np

    if outputs == "scores":
        hinge: NDArray[np.float64] = np.maximum(0, 1 - np.where(truth, values, -values))
        return hinge
    with np.errstate(divide="ignore"):
        entropies: NDArray[np.float64] = -np.log(np.where(truth, values, 1 - values))
    return entropies


@dataclass(frozen=True)
class LabelScore:
    """How well one label is found."""

    score: ClassScore
    threshold: float
    """Above which probability (of a hinge loss, score) it is given."""
    curves: RankingCurves | None
    """None where every example has the label, or none has."""
    calibration: Calibration | None
    """How far its probability is right; None of scores."""

    @property
    def average_precision(self) -> float | None:
        return self.curves.precision_recall.area if self.curves else None

    @property
    def roc_auc(self) -> float | None:
        return self.curves.roc.area if self.curves else None

    @property
    def ece(self) -> float | None:
        return self.calibration.error if self.calibration else None

    def as_dict(self) -> dict[str, Any]:
        numbers = {key: value for key, value in self.score.as_dict().items() if key != "class"}
        areas = {"average_precision": self.average_precision, "roc_auc": self.roc_auc}
        return {"label": self.score.name, "threshold": self.threshold, **numbers, **areas, "ece": self.ece}


@dataclass(frozen=True)
class MultiLabelScores(Scores):
    """The labels that were given to the examples."""

    exact_match: float
    """The share of examples whose labels are all right."""
    labels: tuple[LabelScore, ...]

    @property
    def threshold(self) -> float | None:
        """The threshold of all labels; None where they differ in it."""
        thresholds = {label.threshold for label in self.labels}
        return thresholds.pop() if len(thresholds) == 1 else None

    @property
    def headline(self) -> Mapping[str, float | None]:
        return {
            "exact_match": self.exact_match,
            "macro_f1": mean(label.score.f1 for label in self.labels),
            "mean_average_precision": mean(label.average_precision for label in self.labels),
        }

    def as_dict(self) -> dict[str, Any]:
        return {
            **self.headline,
            "threshold": self.threshold,
            "labels": [label.as_dict() for label in self.labels],
            "calibration": {name: one.as_dict() for name, one in self._calibrations.items()},
        }

    def to_text(self) -> str:
        rows = [
            [s.name, *map(shown, (s.precision, s.recall, s.f1, *areas, label.ece)), s.support]
            for label in self.labels
            for s, areas in ((label.score, (label.average_precision, label.roc_auc)),)
        ]
        header = ["label", "precision", "recall", "f1", "average_precision", "roc_auc", "ece", "support"]
        if self.threshold is not None:
            return f"a label is given above {self.threshold:g}\n{text_table(header, rows)}"
        each = [[*row, f"{label.threshold:g}"] for row, label in zip(rows, self.labels, strict=True)]
        return f"a label is given above its threshold\n{text_table([*header, 'threshold'], each)}"

    def figures(self) -> Mapping[str, Figure]:
        from kerasrun.report import figures

        curves = {label.score.name: label.curves for label in self.labels if label.curves}
        return {**figures.ranking(curves), **figures.calibration(self._calibrations)}

    @property
    def _calibrations(self) -> Mapping[str, Calibration]:
        return {label.score.name: label.calibration for label in self.labels if label.calibration}


@dataclass(frozen=True)
class MultiLabelPrediction(Prediction):
    """The labels that the model gives to an example."""

    labels: tuple[str, ...]
    """Those that are more probable than their threshold."""
    values: tuple[tuple[str, float], ...]
    """Every label with its probability."""
    value: str = "probability"
    """`score` where the loss (hinge) makes no probabilities."""
    every: bool = False
    """Whether the table has every label's probability, not only those of the labels that are given."""

    def as_dict(self) -> dict[str, Any]:
        return {
            "path": self.path,
            "labels": list(self.labels),
            "values": [{"label": name, self.value: number} for name, number in self.values],
        }

    def as_row(self) -> Mapping[str, Any]:
        return row_of({"path": self.path, "labels": ";".join(self.labels)}, self.values)

    def as_cells(self) -> Mapping[str, str]:
        labels = ", ".join(self.labels) or "-"
        if self.every:
            return row_of({"labels": labels}, [(name, f"{number:.4f}") for name, number in self.values])
        given = [f"{number:.4f}" for name, number in self.values if name in self.labels]
        return {"labels": labels, self.value: ", ".join(given) or "-"}
