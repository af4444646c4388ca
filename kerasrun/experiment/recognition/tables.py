"""Rows of values in text files: what stands between values, whether there is a header, where the labels are."""

import csv
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from kerasrun.errors import DataError
from kerasrun.experiment.recognition._contract import Recognized, recognized
from kerasrun.reading.files import list_folder, listed, unreadable
from kerasrun.sources.csv import WHITESPACE, Csv

SUFFIXES = (".csv", ".tsv", ".txt", ".data")
SPLITS = {"train": "train", "validation": "validation", "valid": "validation", "val": "validation", "test": "test"}
"""How the file of a split is called."""
LABEL_NAMES = ("label", "labels", "class", "target", "y")
"""What a header calls the labels, without regard to case; else they are in the last column."""
_LOOKED_AT = 500
_MOST_CLASSES = 30


def tables(path: Path) -> Recognized | None:
    """A text file, or a folder with one called `train` and maybe others for the other splits."""
    paths = {"train": path} if path.is_file() else _files_of_splits(path)
    if "train" not in paths or paths["train"].suffix.lower() not in SUFFIXES:
        return None
    rows, delimiter = _rows(paths["train"])
    header = _is_header(rows)
    keys: dict[str, Any] = {} if header else {"header": False}
    if delimiter != ",":
        keys["delimiter"] = delimiter
    columns, body = rows[0], rows[1:] if header else rows
    labels, label_keys = _labels(columns if header else None, body)
    keys |= label_keys
    numeric = [place for place in range(len(columns)) if place not in labels and _are_numbers(body, place)]
    left_out = [place for place in range(len(columns)) if place not in (*labels, *numeric)]
    unnamed = header and any(not columns[place] for place in numeric)
    if left_out or unnamed:
        kept = [place for place in numeric if not header or columns[place]]
        keys["features"] = [columns[place] if header else place for place in kept]
    more = (
        f"; not numbers, so left out: {listed([columns[i] if header else str(i) for i in left_out])}"
        if left_out
        else ""
    )
    data = Csv(**paths, **keys).open()
    return recognized(Csv.kind, paths, data, keys, more)


def _files_of_splits(folder: Path) -> dict[str, Path]:
    files = [file for file in list_folder(folder)[0] if file.suffix.lower() in SUFFIXES]
    return {SPLITS[file.stem.lower()]: file for file in files if file.stem.lower() in SPLITS}


def _rows(path: Path) -> tuple[list[list[str]], str]:
    """The first rows, all of one length, and what stands between their values."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = [line for line in islice(file, _LOOKED_AT) if line.strip()]
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is not UTF-8 text; expected a text file of rows") from error
    except OSError as error:
        raise unreadable(path, error, "a text file of rows") from error
    if len(lines) < 2:
        raise DataError(f"{path}: has {len(lines)} rows; expected a text file of rows")
    delimiter = max(",;\t|", key=lines[0].count)
    if delimiter not in lines[0]:
        delimiter = WHITESPACE
    split = (
        [line.split() for line in lines] if delimiter == WHITESPACE else list(csv.reader(lines, delimiter=delimiter))
    )
    rows = [[value.strip() for value in row] for row in split]
    for number, row in enumerate(rows, start=1):
        if len(row) != len(rows[0]):
            raise DataError(
                f"{path}: row {number} has {len(row)} values, the first one {len(rows[0])}, split at {delimiter!r}; "
                "expected rows of one length"
            )
    if len(rows[0]) < 2:
        raise DataError(f"{path}: a single column; expected features, and labels beside them")
    return rows, delimiter


def _is_header(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first row is text throughout, and the next one is not."""
    return not any(map(_is_number, rows[0])) and any(map(_is_number, rows[1]))


def _labels(names: Sequence[str] | None, rows: Sequence[Sequence[str]]) -> tuple[list[int], dict[str, Any]]:
    """The columns of the labels, and the key of the source that says so."""
    count = len(rows[0])
    if names is None and (one_hot := _one_hot(rows)):
        return list(range(count - one_hot, count)), {"one_hot": one_hot}
    place = count - 1
    if names is not None:
        place = next((i for i, name in enumerate(names) if name.lower() in LABEL_NAMES), place)
    column = names[place] if names is not None else place if place < count - 1 else -1
    values = {row[place] for row in rows}
    few = all(value.isdecimal() for value in values) and len(values) <= min(_MOST_CLASSES, len(rows) // 2)
    key = "label" if few or not all(map(_is_number, values)) else "target"
    return [place], {key: column}


def _one_hot(rows: Sequence[Sequence[str]]) -> int | None:
    """How many columns at the end are 0 but for a single 1, in every row."""
    for count in range(2, len(rows[0])):
        ends = [row[-count:] for row in rows]
        if not all(_is_number(value) and float(value) in (0, 1) for row in ends for value in row):
            return None
        if all(sum(map(float, row)) == 1 for row in ends):
            return count
    return None


def _are_numbers(rows: Sequence[Sequence[str]], place: int) -> bool:
    return all(_is_number(row[place]) for row in rows)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
