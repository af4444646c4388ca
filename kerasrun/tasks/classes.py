"""Classes: each example has one.

Scores are confusion matrix, precision, recall and F1 as scikit-learn's `classification_report` defines them, and how
far the probability of the most probable class is right; of two classes the curves over every threshold, of many the
share that is among the five most probable.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from kerasrun.components import Component
from kerasrun.keras_catalogue import canonical
from kerasrun.reading.data import Split
from kerasrun.report.plain import text_table
from kerasrun.report.predictions import Prediction, Question
from kerasrun.report.scores import Scores, shown
from kerasrun.report.values import OutputKind, called_classes, class_values
from kerasrun.tasks.base import BINARY, LINEAR, ClassNumbers, Masks, Output, Targets, Task, is_from_logits

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from kerasrun.reading.labelled_arrays import GivenLabels, ReadLabels
    from kerasrun.report.calibration import Calibration
    from kerasrun.report.curves import RankingCurves
    from kerasrun.report.mistakes import Judged, Mistakes

# With fewer classes, to be among the five best is no merit.
MANY_CLASSES = 10
BEST = 5
_MOST_PAIRS = 20


class Classes(Task):
    """One class of several for each example."""

    one_class = True
    indivisible = "an example has one class"

    def default_loss(self, classes: int, units: int) -> Component:
        return Component("binary_crossentropy" if classes == 2 and units == 1 else "categorical_crossentropy")

    def output(self, classes: int, loss: Component | None = None) -> Output:
        name = canonical("losses", loss.name) if loss else ""
        one_unit = not name or name in (*BINARY, "Hinge", "SquaredHinge") or self.takes_both(name)
        return output_of_classes(classes, loss, one_unit=one_unit)

    def encode(self, labels: Any, targets: Targets) -> Any:
        """Return class numbers (examples,) as the loss takes them.

        Returns:
            class numbers for a sparse loss; the same as float32 (examples, 1) for one unit, else one-hot float32
            (examples, classes).
        """
        import numpy as np

        if targets.sparse:
            return labels
        if targets.units == 1:
            return labels.astype(np.float32)[:, np.newaxis]
        return np.eye(targets.classes, dtype=np.float32)[labels]

    def training_labels(self, split: Split, targets: Targets) -> NDArray[Any] | ClassNumbers | Masks:
        import tensorflow as tf

        if targets.one_hot:
            return ClassNumbers(split.label_array, lambda numbers: tf.one_hot(numbers, targets.classes))
        return super().training_labels(split, targets)

    def zeros(self, examples: int, size: tuple[int, ...], targets: Targets) -> Any:
        import numpy as np

        return self.encode(np.zeros(examples, np.int64), targets)

    def scores(self, labels: NDArray[Any], found: NDArray[np.float32], question: Question) -> ClassificationScores:
        """Compare class numbers (examples,) with outputs: (examples, 1) of one unit, else (examples, classes)."""
        import numpy as np

        from kerasrun.report.calibration import calibration
        from kerasrun.report.curves import ranking_curves

        names, kind, threshold = question.classes, question.outputs, question.only_threshold
        values, two = class_values(found, kind), len(names) == 2
        predicted = called_classes(values, threshold)
        confusions = confusion_matrix(labels, predicted, len(names))
        numbers = zip(np.diag(confusions), confusions.sum(axis=0), confusions.sum(axis=1), strict=True)
        best = None
        if len(names) > MANY_CLASSES:
            order = (-values).argsort(axis=1, kind="stable")[:, :BEST]
            best = float(np.mean((order == labels[:, np.newaxis]).any(axis=1)))
        return ClassificationScores(
            accuracy=float(np.mean(predicted == labels)),
            classes=tuple(class_score(name, *of_class) for name, of_class in zip(names, numbers, strict=True)),
            confusion_matrix=confusions,
            top_5_accuracy=best,
            threshold=(0.5 if threshold is None else threshold) if two and kind != "scores" else None,
            curves=ranking_curves(labels == 1, _sureness(found.astype(np.float64), kind)) if two else None,
            calibration=None if kind == "scores" else calibration(values.argmax(axis=1) == labels, values.max(axis=1)),
        )

    def predicted(self, found: NDArray[np.float32], question: Question) -> list[Prediction]:
        """Name the best `top` classes of each example; a threshold decides between two, as for scores."""
        import numpy as np

        values = class_values(found, question.outputs)
        order = (-values).argsort(axis=1, kind="stable")
        if question.threshold is not None:
            called = called_classes(values, question.only_threshold)
            order = np.stack([called, 1 - called], axis=1)
        value = "score" if question.outputs == "scores" else "probability"
        return [
            ClassPrediction(path, tuple((question.classes[i], float(row[i])) for i in best), value)
            for path, row, best in zip(question.paths, values, order[:, : question.top], strict=True)
        ]

    def mistakes(self, split: Split, found: NDArray[np.float32], question: Question) -> Sequence[Mistakes]:
        """Return the examples that are called otherwise than they are, and those that are rightly called."""
        from kerasrun.report.mistakes import MOST_MISTAKES, MOST_OTHERS, Mistakes, wrongly

        answers = Answers(split.label_array, found, question)
        wrong = answers.called != answers.labels
        return [
            Mistakes(
                answers.judged(wrong, MOST_MISTAKES),
                wrongly(int(wrong.sum()), split, "called otherwise than they are"),
                doubts=int(answers.doubts.sum()),
                others=answers.judged(~wrong, MOST_OTHERS),
                about_others="Rightly called, but least surely",
            )
        ]

    def values(self, found: NDArray[np.float32], outputs: OutputKind) -> NDArray[np.float64]:
        return class_values(found, outputs)

    def from_arrays(self, given: GivenLabels) -> ReadLabels:
        from kerasrun.reading.array_classes import classes_of_arrays

        return classes_of_arrays(given)

    def from_columns(self, labels: NDArray[Any]) -> NDArray[Any]:
        numbers: NDArray[np.int64] = labels.argmax(axis=1)
        return numbers

    def caption(self, label: Any, classes: Sequence[str]) -> str:
        return classes[int(label)]

    def about(self, classes: int) -> str:
        return f"{classes} classes"

    def drafted_metrics(self, classes: int) -> Sequence[str]:
        return ["accuracy", "AUC"] if classes == 2 else ["accuracy"]


TASK = Classes()


def output_of_classes(classes: int, loss: Component | None, *, one_unit: bool, per_pixel: bool = False) -> Output:
    """Return the last layer for classes; `one_unit` says whether the loss takes one unit for two of them."""
    name = canonical("losses", loss.name) if loss else None
    one_unit = one_unit and classes == 2
    units = 1 if one_unit else classes
    if loss and (is_from_logits(loss) or name in LINEAR):
        return Output(units, "linear", per_pixel)
    return Output(units, "sigmoid" if one_unit or name in BINARY else "softmax", per_pixel)


@dataclass(frozen=True)
class ClassScore:
    """How well one class is found; 0 where a quotient has no denominator."""

    name: str
    precision: float
    """The share of what was called this class that is."""
    recall: float
    """The share of what is this class that was called so."""
    f1: float
    """Harmonic mean of the two."""
    support: int
    """Examples of this class."""

    def as_dict(self) -> dict[str, Any]:
        return {"class": self.name, **{key: value for key, value in asdict(self).items() if key != "name"}}


@dataclass(frozen=True)
class ClassificationScores(Scores):
    """The classes that the examples of each class were taken for."""

    accuracy: float
    classes: tuple[ClassScore, ...]
    confusion_matrix: NDArray[np.int64]
    """Rows are true classes, columns predicted ones."""
    top_5_accuracy: float | None = None
    """The share whose class is among the five of the largest values; of more than ten classes only."""
    threshold: float | None = None
    """How probable the second of two classes must be to be called; None for other models."""
    curves: RankingCurves | None = None
    """The curves of two classes; None where the split has only one of them."""
    calibration: Calibration | None = None
    """How far the probability of the most probable class is right, whatever the threshold; None of scores."""

    @property
    def headline(self) -> Mapping[str, float | None]:
        top = {} if self.top_5_accuracy is None else {"top_5_accuracy": self.top_5_accuracy}
        curves, areas = self.curves, {}
        if len(self.classes) == 2:
            areas["roc_auc"] = curves.roc.area if curves else None
            areas["average_precision"] = curves.precision_recall.area if curves else None
        return {"accuracy": self.accuracy, **top, **areas}

    def as_dict(self) -> dict[str, Any]:
        threshold = {} if self.threshold is None else {"threshold": self.threshold}
        return {
            **self.headline,
            **threshold,
            **({"ece": self.calibration.error, "calibration": self.calibration.as_dict()} if self.calibration else {}),
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
                text_table(
                    ["class", "precision", "recall", "f1", "support"],
                    [[s.name, *map(shown, (s.precision, s.recall, s.f1)), s.support] for s in self.classes],
                ),
                "",
                self._confusions(names),
                *(["", f"expected calibration error: {shown(self.calibration.error)}"] if self.calibration else []),
            ]
        )

    def _confusions(self, names: Sequence[str]) -> str:
        """Return the confusion matrix; where the terminal has no room for it, the pairs that are confused most."""
        matrix = text_table(["", *names], [[n, *row] for n, row in zip(names, self.confusion_matrix, strict=True)])
        if max(map(len, matrix.splitlines())) <= shutil.get_terminal_size().columns:
            return f"confusion matrix: rows are true classes, columns predicted ones\n{matrix}"
        from kerasrun.report.confusions import confused

        pairs = confused(self.confusion_matrix, names, _MOST_PAIRS)
        if not pairs:
            return "no class was taken for another"
        rows = [[one.true, one.called, one.count, f"{one.share:.1%}"] for one in pairs]
        return "confused most often:\n" + text_table(["class", "taken for", "examples", "of the class"], rows)

    def figures(self) -> Mapping[str, Figure]:
        from kerasrun.report import figures

        names = [score.name for score in self.classes]
        curves = {names[1]: self.curves} if self.curves else {}
        calibration = {"": self.calibration} if self.calibration else {}
        return {
            "confusion": figures.confusions(self.confusion_matrix, names),
            **figures.ranking(curves),
            **figures.calibration(calibration),
        }


def confusion_matrix(labels: NDArray[np.int64], predicted: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """Count examples by true class (rows) and predicted class (columns); shape (classes, classes)."""
    import numpy as np

    return np.bincount(labels * classes + predicted, minlength=classes**2).reshape(classes, classes)


def class_score(name: str, hits: int, called: int, support: int) -> ClassScore:
    """Return the score of a class, from how many examples were rightly called so, were called so, and are so."""
    quotients = ((hits, called), (hits, support), (2 * hits, called + support))
    precision, recall, f1 = (float(part / whole) if whole else 0.0 for part, whole in quotients)
    return ClassScore(name, precision, recall, f1, int(support))


class Answers:
    """What a model says of examples, each of which has one class."""

    def __init__(self, labels: NDArray[Any], outputs: NDArray[np.float32], question: Question) -> None:
        import numpy as np

        self.labels, self._question = labels, question
        self._values = class_values(outputs, question.outputs)
        self._best = self._values.argmax(axis=1)
        self.called = called_classes(self._values, question.only_threshold)
        self._of_true = self._values[np.arange(len(labels)), labels]
        # By the cross-entropy, the highest first; where that is the same, as where it rounds to nothing, by the margin.
        self._order = np.lexsort((self._of_true - self._values.max(axis=1), self._of_true))

    @cached_property
    def doubts(self) -> NDArray[np.bool_]:
        """Whether each label is likely wrong, as confident learning finds it (Northcutt and others, 2021).

        Another class is the most probable, and at least as probable as it is for its own examples on average.
        """
        import numpy as np

        counts = np.bincount(self.labels, minlength=self._values.shape[1])
        sums = np.bincount(self.labels, weights=self._of_true, minlength=len(counts))
        usual = np.where(counts > 0, sums / np.maximum(counts, 1), np.inf)
        found: NDArray[np.bool_] = (self._best != self.labels) & (self._values.max(axis=1) >= usual[self._best])
        return found

    def judged(self, which: NDArray[np.bool_], most: int) -> list[Judged]:
        """Return the first of some examples, the highest loss first."""
        return [self._one(int(place)) for place in self._order[which[self._order]][:most]]

    def _one(self, place: int) -> Judged:
        import numpy as np

        from kerasrun.report.mistakes import MOST_NAMED, Judged

        names, row, called = self._question.classes, self._values[place], int(self.called[place])
        with np.errstate(divide="ignore"):
            loss = abs(float(np.log(self._of_true[place]))) if self._question.outputs != "scores" else None
        return Judged(
            place,
            names[self.labels[place]],
            names[called],
            loss,
            [(names[number], float(row[number])) for number in np.argsort(-row, kind="stable")[:MOST_NAMED]],
            doubted=bool(self.doubts[place]),
            said=called,
        )


def _sureness(outputs: NDArray[np.float64], kind: OutputKind) -> NDArray[np.float64]:
    """Return values that rank examples like the probability of the second class, also where it rounds to 0 or 1."""
    if outputs.shape[1] == 2 and kind in ("softmax logits", "scores"):
        return outputs[:, 1] - outputs[:, 0]
    return outputs[:, -1]


@dataclass(frozen=True)
class ClassPrediction(Prediction):
    """The class that the model takes an example for."""

    top: tuple[tuple[str, float], ...]
    """The most probable classes with their probabilities, best first; with a threshold, what is called so first."""
    value: str = "probability"
    """`score` where the loss (hinge) makes no probabilities."""

    def as_dict(self) -> dict[str, Any]:
        name, number = self.top[0]
        return {
            "path": self.path,
            "class": name,
            self.value: number,
            "top": [{"class": name, self.value: number} for name, number in self.top],
        }

    def as_row(self) -> Mapping[str, Any]:
        row: dict[str, Any] = {"path": self.path}
        for place, (name, number) in enumerate(self.top, start=1):
            end = "" if place == 1 else f"_{place}"
            row |= {f"class{end}": name, f"{self.value}{end}": number}
        return row

    def as_cells(self) -> Mapping[str, str]:
        return {
            "class": ", ".join(name for name, _ in self.top),
            self.value: ", ".join(f"{number:.4f}" for _, number in self.top),
        }
