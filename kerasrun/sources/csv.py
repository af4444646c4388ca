"""Rows of values in text files."""

import csv
import io
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import field_validator

from kerasrun.errors import DataError
from kerasrun.reading.files import unreadable
from kerasrun.regular_files import open_regular
from kerasrun.sources._rows import LOOKED_AT, RowSource, is_number

if TYPE_CHECKING:
    from kerasrun.reading.rows import TextTable

WHITESPACE = "whitespace"
_LOOKED_AT = 2**23
"""How many characters are looked at."""


class Csv(RowSource):
    """Rows of values in text files, one file for each split: a column is a feature or a label.

    A column is given by its name in the header, or by its number: from 0, or from -1 for the last one. One of `label`,
    `one_hot`, `multi_label` and `target` says where the labels are. Features must be numbers, and become float32. The
    columns of the other files are found by the names that they have in the file for training; columns that are not
    asked for are passed over. Values may be quoted, as Python's `csv` module reads them; blanks around them and blank
    lines do not count. Rows that would not fit into memory are read when they are asked for.
    """

    kind: ClassVar[str] = "csv"
    form: ClassVar[str] = "a text file of rows (.csv)"
    suffixes: ClassVar[tuple[str, ...]] = (".csv", ".tsv", ".txt", ".data")

    header: bool = True
    """Whether the first row of each file names the columns."""
    delimiter: str = ","
    """What is between two values: one character (`"\\t"` for a tab), or `whitespace` for any run of blanks."""

    @field_validator("delimiter")
    @classmethod
    def _separates(cls, value: str) -> str:
        if value != WHITESPACE and (len(value) != 1 or value in '"\r\n'):
            raise ValueError(f"expected one character, or {WHITESPACE}")
        return value

    def table(self, path: Path) -> "TextTable":
        from kerasrun.reading.rows import open_table

        return open_table(path, None if self.delimiter == WHITESPACE else self.delimiter, header=self.header)

    @classmethod
    def first_rows(cls, path: Path) -> tuple[list[str], list[list[str]], dict[str, Any]]:
        rows, delimiter = _rows(path)
        keys: dict[str, Any] = {} if delimiter == "," else {"delimiter": delimiter}
        if _is_header(rows):
            return rows[0], rows[1:], keys
        return list(map(str, range(len(rows[0])))), rows, {"header": False, **keys}


def _rows(path: Path) -> tuple[list[list[str]], str]:
    """Return the first rows, all of one length, and what is between their values."""
    try:
        with io.TextIOWrapper(open_regular(path), "utf-8-sig", newline="") as file:
            text = file.read(_LOOKED_AT)
        begin = list(islice(io.StringIO(text, newline=""), LOOKED_AT))
        if len(text) == _LOOKED_AT and not begin[-1].endswith(("\n", "\r")):
            del begin[-1]  # the half of a line
        lines = [line for line in begin if line.strip()]
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is not UTF-8 text; expected a text file of rows") from error
    except OSError as error:
        raise unreadable(path, error, "a text file of rows") from error
    if len(lines) < 2:
        raise DataError(f"{path}: has {len(lines)} rows; expected a text file of rows")
    delimiter = max(",;\t|", key=lines[0].count)
    if delimiter not in lines[0]:
        delimiter = WHITESPACE
    try:
        split = (
            [line.split() for line in lines]
            if delimiter == WHITESPACE
            else list(csv.reader(lines, delimiter=delimiter))
        )
    except csv.Error as error:
        raise DataError(f"{path}: {error}; expected a text file of rows") from error
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


def _is_header(rows: list[list[str]]) -> bool:
    """Return whether the first row is text throughout, and the next one is not; or the numbers that pandas gives."""
    names = [name for name in rows[0] if name]
    if names == [str(number) for number in range(len(names))] and rows[0][1:] != rows[1][1:]:
        return True
    return not any(map(is_number, rows[0])) and any(map(is_number, rows[1]))
