"""The numbers that a model computes for an example."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kerasrun.model_file import ModelInfo
from kerasrun.results.predictions.base import Prediction


@dataclass(frozen=True)
class NumbersPrediction(Prediction):
    """A number for each target."""

    values: tuple[tuple[str, float], ...]
    """Every target with its number."""

    def as_dict(self) -> dict[str, Any]:
        return {"path": self.path, "values": dict(self.values)}

    def as_row(self) -> Mapping[str, Any]:
        return {"path": self.path, **dict(self.values)}

    def as_cells(self) -> Mapping[str, str]:
        return {name: f"{number:.5g}" for name, number in self.values}


def numbers_predictions(paths: Sequence[str], outputs: NDArray[np.float32], info: ModelInfo) -> list[Prediction]:
    """Outputs of shape (examples, targets)."""
    return [
        NumbersPrediction(path, tuple((name, float(number)) for name, number in zip(info.classes, row, strict=True)))
        for path, row in zip(paths, outputs, strict=True)
    ]
