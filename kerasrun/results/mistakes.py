"""How the examples on which a model is wrong look on a page: their pictures, and the columns of their rows."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kerasrun.reading.data import Feature, RowFormat, Split
from kerasrun.report.figures import pixels
from kerasrun.report.mistakes import Judged, Mistakes
from kerasrun.report.pages import SIDE, address_of
from kerasrun.report.scores import in_own_units

_MOST_CELLS = 8
"""How many columns of a row are shown."""


def seen(mistakes: Mistakes, split: Split, row_format: RowFormat | None) -> Mistakes:
    """Return mistakes with the names of the examples and how these look."""
    worst, others = ([_seen(one, split, row_format) for one in some] for some in (mistakes.worst, mistakes.others))
    return replace(mistakes, worst=worst, others=others)


def _seen(one: Judged, split: Split, row_format: RowFormat | None) -> Judged:
    where = np.array([one.place])
    name = split.names[one.place] if split.names else f"{split.name}[{one.place}]"
    cells = list(_cells(split.rows.take(where)[0], row_format)) if row_format else []
    return replace(one, name=name, picture=_picture(split.inputs.take(where)[0]), cells=dict(cells[:_MOST_CELLS]))


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
