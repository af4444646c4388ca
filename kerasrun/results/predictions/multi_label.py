"""The labels of an example, and how probable each is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kerasrun.model_file import ModelInfo
from kerasrun.results.model import label_values
from kerasrun.results.predictions.base import Prediction


@dataclass(frozen=True)
class MultiLabelPrediction(Prediction):
    """Which labels the model gives to an example."""

    labels: tuple[str, ...]
    """What is more probable than the threshold."""
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
        return {"path": self.path, "labels": ";".join(self.labels), **dict(self.values)}

    def as_cells(self) -> Mapping[str, str]:
        labels = ", ".join(self.labels) or "-"
        if self.every:
            return {"labels": labels, **{name: f"{number:.4f}" for name, number in self.values}}
        given = [f"{number:.4f}" for name, number in self.values if name in self.labels]
        return {"labels": labels, self.value: ", ".join(given) or "-"}


def multi_label_predictions(
    paths: Sequence[str], outputs: NDArray[np.float32], info: ModelInfo, threshold: float | None, *, every: bool
) -> list[Prediction]:
    """The labels above `threshold`, by default a probability of a half or a score of 0."""
    scores = info.outputs == "scores"
    least = (0.0 if scores else 0.5) if threshold is None else threshold
    return [
        MultiLabelPrediction(
            path,
            labels=tuple(name for name, number in zip(info.classes, row, strict=True) if number > least),
            values=tuple((name, float(number)) for name, number in zip(info.classes, row, strict=True)),
            value="score" if scores else "probability",
            every=every,
        )
        for path, row in zip(paths, label_values(outputs, info.outputs), strict=True)
    ]
