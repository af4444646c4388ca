"""The class of an example, and how probable it is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kerasrun.model_file import ModelInfo
from kerasrun.results.model import class_values
from kerasrun.results.predictions.base import Prediction


@dataclass(frozen=True)
class ClassPrediction(Prediction):
    """What the model takes an example for."""

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


def class_predictions(
    paths: Sequence[str], outputs: NDArray[np.float32], info: ModelInfo, top: int, threshold: float | None
) -> list[Prediction]:
    """The best `top` classes of each example; `threshold` decides between two, as in `classification_scores`."""
    values = class_values(outputs, info.outputs)
    order = (-values).argsort(axis=1, kind="stable")
    if threshold is not None:
        called = (values[:, 1] > threshold).astype(np.int64)
        order = np.stack([called, 1 - called], axis=1)
    value = "score" if info.outputs == "scores" else "probability"
    return [
        ClassPrediction(path, tuple((info.classes[i], float(row[i])) for i in best), value)
        for path, row, best in zip(paths, values, order[:, :top], strict=True)
    ]
