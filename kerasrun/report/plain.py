"""A user's text as text: names of classes and columns in pictures, tables and JSON, whatever characters they have."""

from __future__ import annotations

import io
import json
import logging
import math
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerasrun.stderr import plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure

logger = logging.getLogger("kerasrun")


def curve_label(name: str) -> str:
    """Return a name as matplotlib's legends show it; those that begin with an underscore they leave out."""
    return f" {name}" if name.startswith("_") else name


def draw(figure: Figure, file: Path | io.StringIO, **options: Any) -> None:
    """Write a picture in which no text is markup: to matplotlib, a text with two dollar signs is a formula.

    Args:
        options: arguments of `Figure.savefig`.
    """
    import matplotlib
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        text.set_parse_math(False)
        text.set_usetex(False)
        text.set_text("\n".join(map(plain, text.get_text().split("\n"))))
    # The context is for what is made while it is drawn.
    with (
        matplotlib.rc_context({"text.parse_math": False, "text.usetex": False}),
        warnings.catch_warnings(record=True) as caught,
    ):
        warnings.simplefilter("always")
        figure.savefig(file, **options)
    is_drawn = matplotlib.rcParams["svg.fonttype"] == "path"  # else who shows the picture has the letters
    if is_drawn and any("missing from font" in str(warning.message) for warning in caught):
        logger.warning("%s: the font of pictures lacks some letters of the names, and shows boxes", file)


def text_table(header: Sequence[object], rows: Sequence[Sequence[object]]) -> str:
    """Return a table without frames: the first column to the left, the others to the right."""
    cells = [[plain(str(cell)) for cell in row] for row in (header, *rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    lines = (
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in cells
    )
    return "\n".join(line.rstrip() for line in lines)


def to_json(value: Any) -> str:
    """Return indented JSON, in which what is not a finite number is null: JSON has neither NaN nor infinity."""
    return json.dumps(_finite(value), indent=2, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
