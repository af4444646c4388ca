"""What each of several outputs says of an example."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kerasrun.model_file import ModelInfo, OutputPart
from kerasrun.results.model import class_values, label_values
from kerasrun.results.predictions.base import Prediction


@dataclass(frozen=True)
class OutputAnswer:
    """What one output says."""

    part: OutputPart
    values: tuple[tuple[str, float], ...]
    """Each column with its probability, or its number."""

    @property
    def best(self) -> tuple[str, float] | None:
        """Of an output that is a class, the one that is called, and how probable it is."""
        return max(self.values, key=lambda item: item[1]) if self.part.label_kind == "classes" else None

    def as_dict(self) -> dict[str, Any]:
        return {**({"class": self.best[0]} if self.best else {}), "values": dict(self.values)}

    def as_cell(self, *, every: bool) -> str:
        shown = [self.best] if self.best and not every else self.values
        digits = ".5g" if self.part.label_kind == "numbers" else ".4f"
        names = ["" if name == self.part.name else f"{name} " for name, _ in shown]
        return ", ".join(f"{name}{number:{digits}}" for name, (_, number) in zip(names, shown, strict=True))


@dataclass(frozen=True)
class OutputsPrediction(Prediction):
    """What the model says of an example."""

    outputs: tuple[OutputAnswer, ...]
    every: bool = False
    """Whether the table has the probability of every class, not only of the one that is called."""

    def as_dict(self) -> dict[str, Any]:
        return {"path": self.path, "outputs": {one.part.name: one.as_dict() for one in self.outputs}}

    def as_row(self) -> Mapping[str, Any]:
        row: dict[str, Any] = {"path": self.path}
        for one in self.outputs:
            row |= {one.part.name: one.best[0]} if one.best else {}
            row |= {f"{one.part.name}.{name}": number for name, number in one.values}
        return row

    def as_cells(self) -> Mapping[str, str]:
        return {one.part.name: one.as_cell(every=self.every) for one in self.outputs}


def outputs_predictions(
    paths: Sequence[str], outputs: NDArray[np.float32], info: ModelInfo, *, every: bool
) -> list[Prediction]:
    """Outputs of shape (examples, columns of all outputs)."""
    answers = [list(_answers(part, names, values)) for part, names, values in _divided(outputs, info)]
    return [
        OutputsPrediction(path, tuple(of_example), every) for path, *of_example in zip(paths, *answers, strict=True)
    ]


def _divided(
    outputs: NDArray[np.float32], info: ModelInfo
) -> Iterable[tuple[OutputPart, Sequence[str], NDArray[np.float64]]]:
    """Each output with the names of its columns, and what they hold: (examples, columns)."""
    begin = 0
    for part in info.parts:
        columns = slice(begin, begin + part.columns)
        values = class_values if part.label_kind == "classes" else label_values
        yield part, info.classes[columns], values(outputs[:, columns], part.outputs)
        begin += part.columns


def _answers(part: OutputPart, names: Sequence[str], values: NDArray[np.float64]) -> Iterable[OutputAnswer]:
    for row in values:
        yield OutputAnswer(part, tuple((name, float(number)) for name, number in zip(names, row, strict=True)))
