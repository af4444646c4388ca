"""Numbers: the errors of each target, and R²."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kerasrun.results.scores.base import Scores, shown
from kerasrun.results.text_table import text_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure


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
        known = [target.r2 for target in self.targets if target.r2 is not None]
        return {
            "mae": float(np.mean([target.mae for target in self.targets])),
            "rmse": math.sqrt(np.mean([target.mse for target in self.targets])),
            "r2": float(np.mean(known)) if len(known) == len(self.targets) else None,
        }

    def as_dict(self) -> dict[str, Any]:
        return {**self.headline, "targets": [asdict(target) for target in self.targets]}

    def to_text(self) -> str:
        rows = [[t.target, *(f"{v:.5g}" for v in (t.mae, t.mse, t.rmse)), shown(t.r2)] for t in self.targets]
        return text_table(["target", "mae", "mse", "rmse", "r2"], rows)

    def figures(self) -> Mapping[str, Figure]:
        from kerasrun.results import figures

        return {"predicted": figures.predicted([t.target for t in self.targets], self.true, self.predicted)}


def regression_scores(
    labels: NDArray[np.float32], outputs: NDArray[np.float32], names: Sequence[str]
) -> RegressionScores:
    """Compare numbers with a network's outputs, both (examples, targets)."""
    true, predicted = labels.astype(np.float64), outputs.astype(np.float64)
    return RegressionScores(
        targets=tuple(_target(name, true[:, i], predicted[:, i]) for i, name in enumerate(names)),
        true=true,
        predicted=predicted,
    )


def _target(name: str, true: NDArray[np.float64], predicted: NDArray[np.float64]) -> TargetScore:
    squared = float(np.mean((predicted - true) ** 2))
    variance = float(np.mean((true - true.mean()) ** 2))
    return TargetScore(
        target=name,
        mae=float(np.mean(np.abs(predicted - true))),
        mse=squared,
        rmse=math.sqrt(squared),
        r2=1 - squared / variance if true.min() < true.max() else None,
    )
