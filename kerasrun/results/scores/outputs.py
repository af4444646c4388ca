"""Several outputs: each is measured as what it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kerasrun.model_file import OutputPart
from kerasrun.results.scores.base import Scores
from kerasrun.results.scores.classes import classification_scores
from kerasrun.results.scores.multi_label import multi_label_scores
from kerasrun.results.scores.numbers import regression_scores

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class OutputsScores(Scores):
    """How good each output is."""

    outputs: Mapping[str, Scores]
    """By the outputs' names."""

    @property
    def headline(self) -> Mapping[str, float | None]:
        return {f"{name}_{key}": value for name, one in self.outputs.items() for key, value in one.headline.items()}

    def as_dict(self) -> dict[str, Any]:
        return {"outputs": {name: one.as_dict() for name, one in self.outputs.items()}}

    def to_text(self) -> str:
        return "\n\n".join(f"{name}\n{one.to_text()}" for name, one in self.outputs.items())

    def figures(self) -> Mapping[str, Figure]:
        return {
            f"{name}_{picture}": figure
            for name, one in self.outputs.items()
            for picture, figure in one.figures().items()
        }


def output_scores(
    labels: NDArray[Any], outputs: NDArray[np.float32], names: Sequence[str], parts: Sequence[OutputPart]
) -> OutputsScores:
    """Compare the columns of the labels with those of a network's outputs, both (examples, columns).

    Args:
        names: of all columns.
    """
    found, begin = {}, 0
    for part in parts:
        columns = slice(begin, begin + part.columns)
        found[part.name] = _scores(labels[:, columns], outputs[:, columns], names[columns], part)
        begin += part.columns
    return OutputsScores(found)


def _scores(labels: NDArray[Any], outputs: NDArray[np.float32], names: Sequence[str], part: OutputPart) -> Scores:
    if part.label_kind == "classes":
        return classification_scores(labels.argmax(axis=1), outputs, names, part.outputs)
    if part.label_kind == "multi_label":
        # Numbers between 0 and 1 are probabilities: of them, those above a half hold.
        return multi_label_scores((labels > 0.5).astype(np.uint8), outputs, names, part.outputs)
    return regression_scores(labels, outputs, names)
