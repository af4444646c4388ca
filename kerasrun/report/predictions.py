"""The base of the predictions of every task, and how a list of them is printed."""

import csv
import io
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kerasrun.reading.data import ImageFormat, Inputs
from kerasrun.report import plain
from kerasrun.report.values import OutputKind, Threshold


@dataclass(frozen=True)
class Question:
    """The question that `evaluate` or `predict` asks of outputs; only `predict` uses what is below `threshold`."""

    classes: Sequence[str]
    """Names of the classes, or of the columns of other labels."""
    outputs: OutputKind
    """The kind of the outputs."""
    threshold: Threshold | None = None
    """None for a half."""
    paths: Sequence[str] = ()
    """The name of each example."""
    top: int = 1
    """How many classes to name, where one holds."""
    every: bool = False
    """Whether to name all of them, or the probability of every label."""
    files: Sequence[Path] = ()
    """The file of each example's mask."""
    sizes: Sequence[tuple[int, int]] = ()
    """Width and height to which each mask is brought back; empty where it stays as the network made it."""
    image_format: ImageFormat | None = None
    """How an image became an input."""
    inputs: Inputs | None = None
    """The examples."""
    save: Callable[[Any, Path], None] = lambda picture, file: picture.save(file)
    """The function that writes a picture of Pillow to a file."""

    @property
    def only_threshold(self) -> float | None:
        """The threshold, where no labels hold together, each of which may have its own."""
        assert not isinstance(self.threshold, tuple), "a model file has one for each label alone"
        return self.threshold


@dataclass(frozen=True)
class Prediction(ABC):
    """The answer of a model on one example."""

    path: str
    """The image; `FILE:LINE` of a row; `FILE[INDEX]` of an array's example."""

    @abstractmethod
    def as_dict(self) -> dict[str, Any]:
        """Return the prediction as JSON has it."""

    @abstractmethod
    def as_row(self) -> Mapping[str, Any]:
        """Return values by the columns of CSV."""

    @abstractmethod
    def as_cells(self) -> Mapping[str, str]:
        """Return text by the columns of the printed table, without the path."""


@dataclass(frozen=True)
class Unreadable(Prediction):
    """The place of an image file that cannot be read, among others that can."""

    error: str

    def as_dict(self) -> dict[str, Any]:
        return {"path": self.path, "error": self.error}

    def as_row(self) -> Mapping[str, Any]:
        return self.as_dict()

    def as_cells(self) -> Mapping[str, str]:
        return {"error": self.error}


@dataclass(frozen=True)
class Beside(Prediction):
    """A prediction, and more columns beside it."""

    answer: Prediction
    more: Mapping[str, Any]

    def as_dict(self) -> dict[str, Any]:
        return {**self.answer.as_dict(), **self.more}

    def as_row(self) -> Mapping[str, Any]:
        return row_of(self.answer.as_row(), self.more.items())

    def as_cells(self) -> Mapping[str, str]:
        cells = {name: f"{value:.4f}" if isinstance(value, float) else str(value) for name, value in self.more.items()}
        return {**self.answer.as_cells(), **cells}


def named(names: Sequence[str], values: Iterable[Any]) -> tuple[tuple[str, float], ...]:
    """Return every name with its number."""
    return tuple((name, float(value)) for name, value in zip(names, values, strict=True))


def row_of(own: Mapping[str, Any], values: Iterable[tuple[str, Any]]) -> Mapping[str, Any]:
    """Return the columns of a row and those of its values; a name that a column has already is `predicted_…`."""
    return {**own, **{f"predicted_{name}" if name in own else name: value for name, value in values}}


def to_text(predictions: Sequence[Prediction]) -> str:
    """Return a line for each example."""
    cells = [prediction.as_cells() for prediction in predictions]
    columns = _columns(cells)
    rows = [[p.path, *(one.get(column, "") for column in columns)] for p, one in zip(predictions, cells, strict=True)]
    return plain.text_table(["example", *columns], rows)


def to_json(predictions: Sequence[Prediction]) -> str:
    """Return one list of objects."""
    return plain.to_json([prediction.as_dict() for prediction in predictions])


def to_csv(predictions: Sequence[Prediction]) -> str:
    """Return a row for each example below a line of names; numbers read back bit for bit."""
    text = io.StringIO()
    rows = [prediction.as_row() for prediction in predictions]
    writer = csv.DictWriter(text, _columns(rows) or ["path"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().rstrip("\n")


def _columns(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return every column once; that of errors is the last."""
    columns = dict.fromkeys(column for row in rows for column in row)
    return sorted(columns, key=lambda column: column == "error")
