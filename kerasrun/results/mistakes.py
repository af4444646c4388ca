"""The examples of classes on which a model is wrong, unsure, or sure that the label is wrong."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kerasrun.model_file import ModelInfo
from kerasrun.reading.data import Split
from kerasrun.report.figures import grey_or_color
from kerasrun.report.pages import address_of
from kerasrun.report.values import class_values

_TOP = 3
"""How many classes of an example are named."""
_SIDE = 160
"""The pixels of a picture."""


@dataclass(frozen=True)
class Judged:
    """An example with what the model says of it."""

    name: str
    true: str
    called: str
    loss: float | None
    """The cross-entropy; None where the outputs are no probabilities."""
    best: Sequence[tuple[str, float]]
    """The classes of the largest values."""
    picture: str | None
    """Its address; None where the example is no picture."""


@dataclass(frozen=True)
class Confused:
    """How often a class is taken for another."""

    true: str
    called: str
    count: int
    share: float
    """Of the examples of the true class."""


class Answers:
    """What a model says of the examples of a split, each of which has one class."""

    def __init__(self, split: Split, info: ModelInfo, outputs: NDArray[np.float32]) -> None:
        self.split, self.info = split, info
        self.values = class_values(outputs, info.outputs)
        self.labels = split.label_array
        self.called = self.values.argmax(axis=1)
        self.of_true = self.values[np.arange(len(self.labels)), self.labels]
        # By the cross-entropy, the highest first; where that is the same, as where it rounds to nothing, by the margin.
        self.order = np.lexsort((self.of_true - self.values.max(axis=1), self.of_true))

    def mistakes(self, most: int) -> list[Judged]:
        """Return the examples that are called otherwise than they are, the highest loss first."""
        return self._judged(self.called != self.labels, most)

    def unsure(self, most: int) -> list[Judged]:
        """Return the examples that are rightly called, the highest loss first."""
        return self._judged(self.called == self.labels, most)

    def likely_label_errors(self, most: int) -> list[Judged]:
        """Return the examples whose labels are the likeliest to be wrong.

        They are those that confident learning counts (Northcutt and others, 2021), the lowest probability of the label
        first: another class is the most probable, and at least as probable as it is for its own examples on average.
        """
        counts = np.bincount(self.labels, minlength=self.values.shape[1])
        sums = np.bincount(self.labels, weights=self.of_true, minlength=len(counts))
        usual = np.where(counts > 0, sums / np.maximum(counts, 1), np.inf)
        return self._judged((self.called != self.labels) & (self.values.max(axis=1) >= usual[self.called]), most)

    def _judged(self, which: NDArray[np.bool_], most: int) -> list[Judged]:
        return [self._one(int(place)) for place in self.order[which[self.order]][:most]]

    def _one(self, place: int) -> Judged:
        names, row = self.info.classes, self.values[place]
        probability = float(self.of_true[place])
        is_probability = self.info.outputs != "scores"
        with np.errstate(divide="ignore"):
            loss = float(-np.log(probability)) if is_probability else None
        return Judged(
            self.split.names[place] if self.split.names else f"{self.split.name}[{place}]",
            names[self.labels[place]],
            names[self.called[place]],
            loss,
            [(names[number], float(row[number])) for number in np.argsort(-row, kind="stable")[:_TOP]],
            _picture(self.split.inputs.take(np.array([place]))[0]),
        )


def confused(matrix: NDArray[np.int64], names: Sequence[str], most: int) -> list[Confused]:
    """Return the pairs of classes that are confused most often."""
    wrong = matrix - np.diag(np.diag(matrix))
    places = np.argsort(-wrong, axis=None, kind="stable")[:most]
    totals = matrix.sum(axis=1)
    return [
        Confused(names[true], names[called], int(wrong[true, called]), float(wrong[true, called] / totals[true]))
        for true, called in zip(*np.unravel_index(places, wrong.shape), strict=True)
        if wrong[true, called]
    ]


def _picture(example: NDArray[Any]) -> str | None:
    if example.ndim != 3:
        return None
    shown = grey_or_color(example)
    if shown.dtype != np.uint8:
        low, high = float(shown.min()), float(shown.max())
        shown = ((shown - low) / (high - low if high > low else 1) * 255).astype(np.uint8)
    return address_of(Image.fromarray(shown), _SIDE)
