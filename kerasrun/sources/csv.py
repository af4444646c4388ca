"""Rows of values in text files."""

import codecs
import csv
import io
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import field_validator, model_validator

from kerasrun.errors import DataError
from kerasrun.reading.files import unreadable
from kerasrun.reading.tables import Table
from kerasrun.regular_files import open_regular
from kerasrun.sources._rows import LOOKED_AT, RowSource, is_number, without_gaps

if TYPE_CHECKING:
    from kerasrun.reading.rows import TextTable

WHITESPACE = "whitespace"
AUTO = "auto"
_SNIFFED, _SNIFFED_OF_LINE = 30, 300
"""How many lines, and characters of each, Python's Sniffer gets: it takes minutes for a line of many quotes."""
_DELIMITERS = ",;\t|"
_LOOKED_AT = 2**23
"""How many characters are looked at."""


class Csv(RowSource):
    """Rows of values in text files, one file for each split: a column is a feature or a label.

    A column is given by its name in the header, or by its number: from 0, or from -1 for the last one. One of `label`,
    `one_hot`, `multi_label` and `target` says where the labels are. The columns of the other files are found by the
    names that they have in the file for training; columns that are not asked for are passed over. Values may be quoted,
    as Python's `csv` module reads them; blanks around them and blank lines do not count. Rows that would not fit into
    memory are read when they are asked for.

    A feature is a number, a category or left out: the file for training decides, a line at the start says so, and
    `columns` overrides it. Text is a category, unless (nearly) every value differs, or all are one, or are dates; a
    date becomes year, month, day of the week and days since the first. Where most values are numbers and some are not,
    training does not begin. Words such as `NA`, `null` and `?` are missing values like an empty one. A missing number
    becomes the mean of the rows that train, and a column says where; a missing category is a category too; an unknown
    one is not, and a line says how many there are. Numbers go into the network as they are, and `preprocessing` is
    applied to them alone. Up to 32 categories become a column each, more an `Embedding`: these are layers of the model,
    which `kerasrun summary` shows.
    """

    kind: ClassVar[str] = "csv"
    form: ClassVar[str] = "a text file of rows (.csv)"
    suffixes: ClassVar[tuple[str, ...]] = (".csv", ".tsv", ".txt", ".data")

    header: bool = True
    """Whether the first row of each file names the columns."""
    delimiter: str = AUTO
    """What is between two values: one character (`"\\t"` for a tab), or `whitespace` for any run of blanks; `auto`
    finds it in the first rows, and says so where it is no comma."""
    encoding: str = "utf-8"
    """The encoding of the text, such as `cp1252` or `latin-1`."""
    decimal: str = "."
    """What is before the decimals of a number: `.` or `,`."""
    thousands: str | None = None
    """What may be between groups of three digits: `,`, `.`, `'`, `_` or a blank."""

    @field_validator("delimiter")
    @classmethod
    def _separates(cls, value: str) -> str:
        if value not in (AUTO, WHITESPACE) and (len(value) != 1 or value in '"\r\n'):
            raise ValueError(f"expected one character, {WHITESPACE} or {AUTO}")
        return value

    @field_validator("encoding")
    @classmethod
    def _encodes(cls, value: str) -> str:
        try:
            name, encoded = codecs.lookup(value).name, '\r\n",;\t0'.encode(value)
            encoded.decode(value, "replace")
        except (LookupError, UnicodeError):  # UnicodeError: idna and the like, which are not for whole texts
            raise ValueError("expected an encoding of Python's, such as utf-8, cp1252 or latin-1") from None
        if name in ("utf-8", "utf-8-sig"):
            return "utf-8"
        if encoded != b'\r\n",;\t0':
            raise ValueError("expected an encoding that has ASCII as it is; save the file as UTF-8")
        return value

    @field_validator("decimal")
    @classmethod
    def _is_before_decimals(cls, value: str) -> str:
        if value not in (".", ","):
            raise ValueError('expected "." or ","')
        return value

    @field_validator("thousands")
    @classmethod
    def _is_between_groups(cls, value: str | None) -> str | None:
        if value is not None and value not in (",", ".", "'", "_", " ", "\u00a0", "\u202f"):
            raise ValueError("""expected one of , . ' _ or a blank""")
        return value

    @model_validator(mode="after")
    def _separates_numbers(self) -> Self:
        if self.decimal == self.thousands:
            raise ValueError(f"expected thousands that differ from decimal, received {self.decimal!r} for both")
        return self

    def table(self, path: Path) -> "TextTable":
        from kerasrun.reading.rows import open_table

        delimiter = self.delimiter
        if delimiter == AUTO:
            delimiter = delimiter_of(path, self.encoding, self.decimal)
        return open_table(
            *(path, None if delimiter == WHITESPACE else delimiter),
            header=self.header,
            encoding=self.encoding,
            decimal=self.decimal,
            thousands=self.thousands,
        )

    def told(self, train: Table) -> tuple[str, ...]:
        if self.delimiter != AUTO or train.delimiter == ",":
            return ()
        return (f"{train.path}: split at {'blanks' if train.delimiter is None else repr(train.delimiter)}",)

    @classmethod
    def first_rows(cls, path: Path) -> tuple[list[str], list[list[str]], dict[str, Any]]:
        rows, keys = _rows(path)
        names, values = (rows[0], rows[1:]) if _is_header(rows) else (list(map(str, range(len(rows[0])))), rows)
        if names is not rows[0]:
            keys["header"] = False
        columns = _plain_numbers(list(zip(*values, strict=True)), keys)
        return names, [list(row) for row in zip(*columns, strict=True)], keys


def _plain_numbers(columns: Sequence[Sequence[str]], keys: dict[str, Any]) -> list[Sequence[str]]:
    """Return columns with their numbers as Python has them, and add to `keys` what is needed to read them.

    What may be a mark for thousands in one column, as in 1,234, is that for decimals if it is so in another one, or if
    semicolons are between the values.
    """
    from kerasrun.reading.columns import foreign_numbers

    there = list(map(without_gaps, columns))
    written = [{} if all(map(is_number, texts)) else foreign_numbers(texts, ".", None) for texts in there]
    usual = "," if keys.get("delimiter") == ";" and {"thousands": ","} in written else None
    decimal = next((own["decimal"] for own in written if "decimal" in own), usual)
    found: list[Sequence[str]] = []
    for texts, own in zip(columns, written, strict=True):
        if decimal and own == {"thousands": decimal}:
            own = {"decimal": decimal}
        if not own or any(keys.get(key, text) != text for key, text in own.items()):
            found.append(texts)
            continue
        keys |= own
        marks = own.get("thousands", ""), own.get("decimal", ".")
        found.append([text.replace(marks[0], "").replace(marks[1], ".") for text in texts])
    return found


def delimiter_of(path: Path, encoding: str, decimal: str) -> str:
    """Return what is between the values of a file's first rows; a comma where nothing divides them alike.

    Raises:
        DataError: if the file cannot be read.
    """
    try:
        lines = [line.removeprefix("\ufeff") for line in first_lines(path, encoding, "replace")]
    except OSError as error:
        raise unreadable(path, error, "a text file of rows") from error
    if decimal == "." and _divides(lines, ","):
        return ","  # whatever else there is
    sample = "\n".join(line[:_SNIFFED_OF_LINE].rstrip("\r\n") for line in lines[:_SNIFFED])
    try:
        sniffed = csv.Sniffer().sniff(sample, _DELIMITERS).delimiter
    except csv.Error:
        sniffed = _DELIMITERS[0]
    found = (one for one in (sniffed, *_DELIMITERS) if _divides(lines, one))
    return next(found, WHITESPACE if _are_blanks(lines) and "," not in lines[0] else ",")


def _divides(lines: list[str], delimiter: str) -> bool:
    try:
        rows = [row for row in csv.reader(lines, delimiter=delimiter, skipinitialspace=True) if row]
    except csv.Error:
        return False
    rows = rows[:-1] if len(lines) == LOOKED_AT else rows  # the last one may be cut
    return bool(rows) and len(rows[0]) > 1 and len({len(row) for row in rows}) == 1


def _are_blanks(lines: list[str]) -> bool:
    counts = {len(line.split()) for line in lines}
    return len(counts) == 1 and counts.pop() > 1


def _rows(path: Path) -> tuple[list[list[str]], dict[str, Any]]:
    """Return the first rows, all of one length, and the keys that are needed to read them."""
    encoding = "utf-8-sig"
    try:
        try:
            lines = first_lines(path, encoding)
        except UnicodeDecodeError:
            encoding = "cp1252"
            lines = first_lines(path, encoding)
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is not UTF-8 text; expected a text file of rows") from error
    except OSError as error:
        raise unreadable(path, error, "a text file of rows") from error
    if len(lines) < 2:
        seen = "has a single row" if lines else "is empty"
        raise DataError(f"{path}: {seen}; expected a text file of rows, with a header or without")
    delimiter = max(_DELIMITERS, key=lines[0].count)
    if not _divides(lines, delimiter):
        delimiter = delimiter_of(path, encoding, ".")
    try:
        split = (
            [line.split() for line in lines]
            if delimiter == WHITESPACE
            else list(csv.reader(lines, delimiter=delimiter, skipinitialspace=True))
        )
    except csv.Error as error:
        raise DataError(f"{path}: {error}; expected a text file of rows") from error
    rows = [[value.strip() for value in row] for row in split if row]
    rows = rows[:-1] if len(lines) == LOOKED_AT else rows  # the last one may be cut
    for number, row in enumerate(rows, start=1):
        if len(row) != len(rows[0]):
            raise DataError(
                f"{path}: row {number} has {len(row)} values, the first one {len(rows[0])}, split at {delimiter!r}; "
                "expected rows of one length"
            )
    if len(rows) < 2:
        raise DataError(f"{path}: row 2 goes on over {len(lines) - 1} lines; is a quote not closed?")
    if len(rows[0]) < 2:
        raise DataError(f"{path}: a single column; expected features, and labels beside them")
    keys = {"delimiter": delimiter} if delimiter != "," else {}
    return rows, keys | ({"encoding": encoding} if encoding == "cp1252" else {})


def first_lines(path: Path, encoding: str, errors: str = "strict") -> list[str]:
    """Return the first lines that are not blank, as far as a limited number of characters has them."""
    with io.TextIOWrapper(open_regular(path), encoding, errors, newline="") as file:
        text = file.read(_LOOKED_AT)
    begin = list(islice(io.StringIO(text, newline=""), LOOKED_AT))
    if len(text) == _LOOKED_AT and not begin[-1].endswith(("\n", "\r")):
        del begin[-1]  # the half of a line
    return [line for line in begin if line.strip()]


def _is_header(rows: list[list[str]]) -> bool:
    """Return whether the first row is text throughout, and the others are not, or do not have it again.

    Numbers as pandas gives them are names too. Names that are there twice are a header to be refused where a column
    below them is numbers throughout.
    """
    names = [name for name in rows[0] if name]
    if names == [str(number) for number in range(len(names))] and rows[0][1:] != rows[1][1:]:
        return True
    if any(map(is_number, rows[0])):
        return False
    columns = list(zip(*rows[1:], strict=True))
    if len(set(names)) < len(names):
        return any(all(map(is_number, column)) for column in columns)
    numeric = any(is_number(value) for column in columns for value in column)
    return numeric or all(name not in column for name, column in zip(rows[0], columns, strict=True))
