"""Numbers: an example has one for each target. Scores are the errors of each target, and R²."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from kerasrun.components import Component
from kerasrun.errors import ModelError
from kerasrun.keras_catalogue import canonical
from kerasrun.reading.data import Split
from kerasrun.report.plain import text_table
from kerasrun.report.predictions import Prediction, Question, named, row_of
from kerasrun.report.scores import Scores, in_own_units, shown
from kerasrun.report.values import OutputKind
from kerasrun.tasks._metrics import COMPARES, Sides
from kerasrun.tasks.base import BINARY, CATEGORICAL, Output, Targets, Task, is_from_logits

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from kerasrun.reading.labelled_arrays import GivenLabels, ReadLabels
    from kerasrun.report.mistakes import Mistakes

# They compare classes as a rule; numbers that are shares, or signs, as well.
MEASURES = ("KLDivergence", "Hinge", "SquaredHinge", "CategoricalHinge")


class Numbers(Task):
    """Numbers to be predicted."""

    default_metrics = (Component("mae"),)
    has_units = True
    counted = "targets"
    _are: ClassVar[str] = "numbers"

    def default_loss(self, classes: int, units: int) -> Component:
        return Component("mean_squared_error")

    def output(self, classes: int, loss: Component | None = None) -> Output:
        binary = loss and canonical("losses", loss.name) in BINARY and not is_from_logits(loss)
        return Output(classes, "sigmoid" if binary else "linear")

    def outputs(self, loss: Component) -> OutputKind:
        return "values"

    def check_loss(self, loss: Component) -> None:
        name = canonical("losses", loss.name)
        if name in CATEGORICAL:
            raise ModelError(
                f"{loss.name} is for one class among several, but the labels are {self._are}: take mean_squared_error"
            )
        if name == "DiceLoss":
            raise ModelError(f"{loss.name} compares masks, but the labels are {self._are}: take mean_squared_error")

    def check_metric(self, name: str, targets: Targets) -> None:
        if name == "DiceCoef":
            raise ModelError(f"compile.metrics: DiceCoef compares masks, but the labels are {self._are}")
        binary = canonical("losses", targets.loss.name) in BINARY
        compares = COMPARES.get(name, "numbers")
        if name.endswith("Accuracy") or (
            compares != "numbers" and not (binary and compares == "yes or no") and name not in MEASURES
        ):
            raise ModelError(
                f"compile.metrics: {name} counts right classes, but the labels are {self._are}: take "
                "mean_absolute_error, mean_squared_error or R2Score"
            )

    def _sides(self, targets: Targets) -> Sides:
        loss = canonical("losses", targets.loss.name)
        outputs: OutputKind = "values"
        if loss in BINARY:
            outputs = "sigmoid logits" if targets.from_logits else "probabilities"
        return Sides("numbers", outputs, loss, targets.classes, targets.units, self.per_pixel)

    def scores(self, labels: NDArray[Any], found: NDArray[np.float32], question: Question) -> RegressionScores:
        """Compare numbers with outputs, both (examples, targets)."""
        true, predicted = labels.astype("float64"), found.astype("float64")
        targets = tuple(_target(name, true[:, i], predicted[:, i]) for i, name in enumerate(question.classes))
        return RegressionScores(targets, true, predicted)

    def predicted(self, found: NDArray[np.float32], question: Question) -> list[Prediction]:
        """Return outputs (examples, targets) as predictions."""
        rows = zip(question.paths, found, strict=True)
        return [NumbersPrediction(path, named(question.classes, row)) for path, row in rows]

    def from_arrays(self, given: GivenLabels) -> ReadLabels:
        from kerasrun.reading.array_columns import columns_of_arrays

        return columns_of_arrays(given)

    def mistakes(self, split: Split, found: NDArray[np.float32], question: Question) -> Sequence[Mistakes]:
        """Return the examples whose numbers are furthest off, each target by its own spread."""
        import numpy as np

        from kerasrun.report.mistakes import MOST_MISTAKES, Judged, Mistakes

        true = split.label_array.astype(np.float64)
        spread = true.std(axis=0)
        off = (np.abs(found - true) / np.where(spread > 0, spread, 1)).mean(axis=1)
        worst = [
            Judged(place, _in_words(true[place], question.classes), _in_words(found[place], question.classes))
            for place in np.argsort(-off, kind="stable")[:MOST_MISTAKES].tolist()
        ]
        return [Mistakes(worst, f"The {len(worst)} examples of {split.name} whose predictions are furthest off.")]

    def without_threshold(self, classes: int, outputs: OutputKind) -> str:
        return "predicts numbers"

    def caption(self, label: Any, classes: Sequence[str]) -> str:
        return ", ".join(f"{value:.4g}" for value in label)

    def about(self, classes: int) -> str:
        return f"{classes} {'number' if classes == 1 else 'numbers'} to be predicted"


TASK = Numbers()


@dataclass(frozen=True)
class TargetScore:
    """How far predictions of one target are off, in its own unit."""

    target: str
    mae: float
    """Mean absolute error."""
    mse: float
    """Mean squared error."""
    rmse: float
    """Its root."""
    r2: float | None
    """1 − squared errors / squared distances from the mean; None where the true values are all equal."""


@dataclass(frozen=True)
class RegressionScores(Scores):
    """How far predictions are off."""

    targets: tuple[TargetScore, ...]
    true: NDArray[np.float64] = field(repr=False)
    """(examples, targets)."""
    predicted: NDArray[np.float64] = field(repr=False)
    """(examples, targets)."""

    @property
    def headline(self) -> Mapping[str, float | None]:
        import numpy as np

        known = [target.r2 for target in self.targets if target.r2 is not None]
        return {
            "mae": float(np.mean([target.mae for target in self.targets])),
            "rmse": math.sqrt(np.mean([target.mse for target in self.targets])),
            "r2": float(np.mean(known)) if len(known) == len(self.targets) else None,
        }

    def as_dict(self) -> dict[str, Any]:
        return {**self.headline, "targets": [asdict(target) for target in self.targets]}

    def to_text(self) -> str:
        rows = [[t.target, *map(in_own_units, (t.mae, t.mse, t.rmse)), shown(t.r2)] for t in self.targets]
        return text_table(["target", "mae", "mse", "rmse", "r2"], rows)

    def figures(self) -> Mapping[str, Figure]:
        from kerasrun.report import figures

        of = [t.target for t in self.targets], self.true, self.predicted
        return {"predicted": figures.predicted(*of), "residuals": figures.residuals(*of)}


def _in_words(numbers: NDArray[Any], targets: Sequence[str]) -> str:
    if len(targets) == 1:
        return in_own_units(float(numbers[0]))
    return ", ".join(f"{name} {in_own_units(float(one))}" for name, one in zip(targets, numbers, strict=True))


def _target(name: str, true: NDArray[np.float64], predicted: NDArray[np.float64]) -> TargetScore:
    import numpy as np

    squared = float(np.mean((predicted - true) ** 2))
    variance = float(np.mean((true - true.mean()) ** 2))
    return TargetScore(
        target=name,
        mae=float(np.mean(np.abs(predicted - true))),
        mse=squared,
        rmse=math.sqrt(squared),
        r2=1 - squared / variance if true.min() < true.max() else None,
    )


@dataclass(frozen=True)
class NumbersPrediction(Prediction):
    """A number for each target."""

    values: tuple[tuple[str, float], ...]
    """Every target with its number."""

    def as_dict(self) -> dict[str, Any]:
        return {"path": self.path, "values": dict(self.values)}

    def as_row(self) -> Mapping[str, Any]:
        return row_of({"path": self.path}, self.values)

    def as_cells(self) -> Mapping[str, str]:
        return {name: in_own_units(number) for name, number in self.values}
