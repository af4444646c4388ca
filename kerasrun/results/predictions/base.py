"""What predictions of every kind have in common, and how a list of them is printed."""

import csv
import io
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kerasrun.results.text_table import text_table


@dataclass(frozen=True)
class Prediction(ABC):
    """What the model says of one example."""

    path: str
    """The image; `FILE:LINE` of a row; `FILE[INDEX]` of an array's example."""

    @abstractmethod
    def as_dict(self) -> dict[str, Any]:
        """As JSON has it."""

    @abstractmethod
    def as_row(self) -> Mapping[str, Any]:
        """By the columns of CSV, which all predictions of one call share."""

    @abstractmethod
    def as_cells(self) -> Mapping[str, str]:
        """By the columns of the printed table, without the path."""


def to_text(predictions: Sequence[Prediction]) -> str:
    """A line for each example."""
    header = list(predictions[0].as_cells()) if predictions else []
    return text_table(["example", *header], [[p.path, *p.as_cells().values()] for p in predictions])


def to_json(predictions: Sequence[Prediction]) -> str:
    """One list of objects."""
    return json.dumps([prediction.as_dict() for prediction in predictions], indent=2)


def to_csv(predictions: Sequence[Prediction]) -> str:
    """A row for each example below a line of names; numbers read back bit for bit."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(predictions[0].as_row() if predictions else ["path"])
    writer.writerows(prediction.as_row().values() for prediction in predictions)
    return text.getvalue().rstrip("\n")
