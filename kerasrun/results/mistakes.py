"""The examples on which a model is wrong; of classes also where it is unsure, or sure that the label is wrong."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kerasrun.model_file import ModelInfo
from kerasrun.reading.data import Feature, RowFormat, Split
from kerasrun.report.figures import pixels
from kerasrun.report.pages import address_of
from kerasrun.report.scores import in_own_units
from kerasrun.report.values import called_classes, class_values

_TOP = 3
"""How many classes of an example are named."""
_MOST_CELLS = 8
"""How many columns of a row are shown."""
SIDE = 160
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
    cells: Mapping[str, str]
    """The columns of a table that it is a row of, the first ones."""
    doubted: bool = False
    """Whether its label is likely wrong."""
    place: int = 0
    """Its number in the split."""
    said: int = 0
    """The number of what it is called; of numbers that of the first one."""
    why: str | None = None
    """The address of its picture with a map over it, or the columns that count most; None where that is not known."""


class Answers:
    """What a model says of the examples of a split, each of which has one class."""

    def __init__(self, split: Split, info: ModelInfo, outputs: NDArray[np.float32]) -> None:
        self.split, self.info = split, info
        self.values = class_values(outputs, info.outputs)
        self.labels = split.label_array
        self.best = self.values.argmax(axis=1)
        self.called = called_classes(self.values, info.question().only_threshold)
        self.of_true = self.values[np.arange(len(self.labels)), self.labels]
        # By the cross-entropy, the highest first; where that is the same, as where it rounds to nothing, by the margin.
        self.order = np.lexsort((self.of_true - self.values.max(axis=1), self.of_true))

    def mistakes(self, most: int) -> list[Judged]:
        """Return the examples that are called otherwise than they are, the highest loss first."""
        return self._judged(self.called != self.labels, most)

    def unsure(self, most: int) -> list[Judged]:
        """Return the examples that are rightly called, the highest loss first."""
        return self._judged(self.called == self.labels, most)

    @cached_property
    def doubts(self) -> NDArray[np.bool_]:
        """Whether each label is likely wrong, as confident learning finds it (Northcutt and others, 2021).

        Another class is the most probable, and at least as probable as it is for its own examples on average.
        """
        counts = np.bincount(self.labels, minlength=self.values.shape[1])
        sums = np.bincount(self.labels, weights=self.of_true, minlength=len(counts))
        usual = np.where(counts > 0, sums / np.maximum(counts, 1), np.inf)
        found: NDArray[np.bool_] = (self.best != self.labels) & (self.values.max(axis=1) >= usual[self.best])
        return found

    def _judged(self, which: NDArray[np.bool_], most: int) -> list[Judged]:
        return [self._one(int(place)) for place in self.order[which[self.order]][:most]]

    def _one(self, place: int) -> Judged:
        names, row = self.info.classes, self.values[place]
        with np.errstate(divide="ignore"):
            loss = abs(float(np.log(self.of_true[place]))) if self.info.outputs != "scores" else None
        best = [(names[number], float(row[number])) for number in np.argsort(-row, kind="stable")[:_TOP]]
        true, called = names[self.labels[place]], names[self.called[place]]
        seen, doubted = _seen(self.split, self.info, place), bool(self.doubts[place])
        said = int(self.called[place])
        return Judged(_name(self.split, place), true, called, loss, best, doubted=doubted, said=said, **seen)


def furthest(split: Split, info: ModelInfo, outputs: NDArray[np.float32], most: int) -> list[Judged]:
    """Return the examples whose numbers are furthest off, each target by its own spread."""
    true = split.label_array.astype(np.float64)
    spread = true.std(axis=0)
    off = (np.abs(outputs - true) / np.where(spread > 0, spread, 1)).mean(axis=1)

    def text(numbers: NDArray[Any]) -> str:
        if len(numbers) == 1:
            return in_own_units(float(numbers[0]))
        return ", ".join(f"{name} {in_own_units(float(one))}" for name, one in zip(info.classes, numbers, strict=True))

    return [
        Judged(_name(split, place), text(true[place]), text(outputs[place]), None, (), **_seen(split, info, place))
        for place in np.argsort(-off, kind="stable")[:most].tolist()
    ]


def _name(split: Split, place: int) -> str:
    return split.names[place] if split.names else f"{split.name}[{place}]"


def _seen(split: Split, info: ModelInfo, place: int) -> dict[str, Any]:
    """Return how an example looks: its picture, and the columns of its row."""
    where = np.array([place])
    cells = list(_cells(split.rows.take(where)[0], info.row_format)) if info.row_format else []
    return {"picture": _picture(split.inputs.take(where)[0]), "cells": dict(cells[:_MOST_CELLS]), "place": place}


def _cells(row: NDArray[Any], row_format: RowFormat) -> Iterator[tuple[str, str]]:
    """Yield the columns of a row as they were in its table."""
    place = 0
    for name, column in zip(row_format.features, row_format.columns or repeat(Feature()), strict=False):
        value, place = row[place : place + column.width], place + column.width
        if np.isnan(value).any():
            yield name, "–"
        elif column.kind == "category":
            yield name, ("unknown", *column.categories)[int(value[0])]
        elif column.kind == "date":
            yield name, f"{value[0]:.0f}-{value[1]:02.0f}"
        else:
            yield name, in_own_units(float(value[0]))


def _picture(example: NDArray[Any]) -> str | None:
    if example.ndim != 3:
        return None
    return address_of(Image.fromarray(pixels(example)), SIDE)
