"""Rows of tables: one scan checks and numbers all of them, and keeps their features if they fit into memory."""

import csv
import hashlib
import os
from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from kerasrun.errors import DataError
from kerasrun.reading.columns import encoded, told_unknown
from kerasrun.reading.data import Feature, Inputs
from kerasrun.reading.files import FileThatStays, listed, unreadable
from kerasrun.reading.inputs import ArrayInputs, are_large, note_rounded
from kerasrun.reading.labels import MISSING
from kerasrun.reading.memory import memory_budget
from kerasrun.reading.stored import Rows, StoredArray, StoredInputs
from kerasrun.reading.tables import Place, Table, no_rows
from kerasrun.regular_files import open_regular

_ANSWERS = {"yes": "1", "no": "0"}
_OTHERS = ("cp1252", "latin-1")
"""What text that is not UTF-8 is in most often."""
_SHOWN = 60
_LONGEST = 2**24
"""The bytes of a line."""
_TOGETHER = 1024
"""How many rows become numbers at once."""


class TextTable(Table):
    """A text file of rows. A block is a list of rows; a place is the number of a line, and where it begins and ends."""

    def blocks(
        self, positions: Sequence[int], digest: "hashlib._Hash | None" = None
    ) -> Iterator[tuple[list[Place], list[list[str]]]]:
        rows = _rows(self.path, self.delimiter, self.encoding, digest)
        if self.header:
            next(rows)
        checked = ((place, self._of_length(values, place[0])) for place, values in rows)
        while block := list(islice(checked, _TOGETHER)):
            yield [place for place, _ in block], [values for _, values in block]

    def rows_at(self, places: Sequence[Place], positions: Sequence[int]) -> list[list[str]]:
        found = []
        try:
            with open_regular(self.path) as file:
                for line, start, end in places:
                    file.seek(start)
                    text = _decoded(file.read(end - start), self.path, line, self.encoding)
                    found.append(self._of_length(next(_parsed([text], self.delimiter), []), line))
        except OSError as error:
            raise unreadable(self.path, error, "a text file of rows") from error
        except csv.Error as error:
            raise DataError(f"{self.path}:{line}: {error}") from error
        return found

    def numbers(
        self,
        positions: Sequence[int],
        rows: Sequence[Sequence[str]],
        lines: Sequence[int],
        *,
        gaps: bool = False,
        answers: bool = False,
    ) -> NDArray[np.float32]:
        texts = [[row[position] for position in positions] for row in rows]
        values = self._values(texts)
        if values is None and answers:
            texts = [[_ANSWERS.get(text.strip().lower(), text) for text in row] for row in texts]
            values = self._values(texts)
        if values is None and gaps:
            absent = np.array([[_is_missing(text) for text in row] for row in texts])
            texts = [["0" if _is_missing(text) else text for text in row] for row in texts]
            values = self._values(texts)
            if values is not None:
                values[absent.ravel()] = np.nan
        if values is not None:
            values = values.reshape(len(rows), len(positions))
            # To look at each of 100,000 columns alone takes a second.
            for column in np.flatnonzero(are_large(values).any(axis=0)).tolist():
                note_rounded(values[:, column], f"{self.path}: {self.name(positions[column])}")
            return values.astype(np.float32)
        for row, line in zip(texts, lines, strict=True):
            for position, text in zip(positions, row, strict=True):
                if wrong := self._what_is_wrong(text.strip()):
                    advice = self._advice(text.strip(), line)
                    raise DataError(f"{self.path}:{line}: {self.name(position)}: {wrong}{advice}")
        raise AssertionError("a number that was refused has nothing wrong")

    def _texts(self, position: int, rows: Sequence[Sequence[str]], lines: Sequence[int]) -> list[str]:
        del lines
        return [row[position].strip() for row in rows]

    def _advice(self, text: str, line: int) -> str:
        if line == 1 and not self.header and text:
            return "; set `header: true` if the first line names the columns"
        return "; leave rows without it out of the file" if not text else ""

    def _values(self, texts: Sequence[Sequence[str]]) -> NDArray[np.float64] | None:
        """Return all the values one after the other; None if one of them is not a number that is finite as float32."""
        if self.decimal != "." or self.thousands or "_" in "".join(chain.from_iterable(texts)):
            parses: tuple[Callable[[str], float], ...] = (self.number,)
        else:
            parses = (float, self.number)  # the first is fast
        for parse in parses:
            try:
                values = np.fromiter(map(parse, chain.from_iterable(texts)), np.float64)
            except ValueError:
                continue
            with np.errstate(over="ignore"):  # what is too large for float32 becomes infinite
                return values if np.isfinite(values.astype(np.float32)).all() else None
        return None

    def _what_is_wrong(self, text: str) -> str | None:
        if not text:
            return "a missing value; expected a number"
        try:
            value = self.number(text)
        except ValueError:
            return f"{text!r}; expected a number"
        with np.errstate(over="ignore"):
            finite = np.isfinite(np.float32(value))
        return None if finite else f"{text!r}; expected a finite number (as float32)"

    def _of_length(self, values: list[str], line: int) -> list[str]:
        if len(values) != len(self.columns):
            like = "as in the header" if self.header else "as in the first row"
            found = f"{len(values)} value{'' if len(values) == 1 else 's'}"
            raise DataError(f"{self.path}:{line}: {found}; expected {len(self.columns)}, {like}")
        return values


@dataclass(frozen=True)
class ScannedRows:
    """A table after every row was read once."""

    table: Table
    sha256: str
    """The hash of the file as it was read, as hexadecimal text."""
    inputs: Inputs
    """The features."""
    lines: NDArray[np.int64]
    """The number of each row's line."""
    labels: NDArray[np.float32]
    """The columns of labels that are numbers, (rows, columns)."""
    label_names: tuple[str, ...]
    """The names of these columns in a message."""
    texts: tuple[str, ...]
    """The values in the column of labels that are text, each once."""
    text_numbers: NDArray[np.int64]
    """For each row an index into `texts`, where there is such a column."""
    weights: NDArray[np.float32] | None
    """The column of weights, (rows,)."""
    means: tuple[float, ...]
    """The mean of each feature; NaN where values are missing."""
    unknown: Mapping[int, Counter[str]]
    """The categories that the features do not know, by the column's position."""

    @property
    def told_unknown(self) -> list[str]:
        """Sentences about categories that the rows for training did not have."""
        return [told_unknown(self.table.path, self.table.name(one), texts) for one, texts in self.unknown.items()]

    def chosen(self, rows: NDArray[np.int64]) -> Inputs:
        """Return the features of some rows."""
        if isinstance(self.inputs, StoredInputs):
            return StoredInputs(self.inputs.stored[rows])
        return self.inputs if len(rows) == len(self.inputs) else ArrayInputs(self.inputs.take(rows))


def open_table(
    path: Path,
    delimiter: str | None,
    *,
    header: bool,
    encoding: str = "utf-8",
    decimal: str = ".",
    thousands: str | None = None,
) -> TextTable:
    """Read the header, or count the values of the first row.

    Raises:
        DataError: if the file cannot be read, has no row, or a name is twice in its header.
    """
    first = next(_rows(path, delimiter, encoding), None)
    if first is None:
        raise DataError(f"{path}: is empty; expected {'a header and ' if header else ''}rows of values")
    (line, _, _), written = first
    values = [name.strip() for name in written]
    if not header:
        values = list(map(str, range(len(values))))
        return TextTable(path, tuple(values), header, delimiter, encoding, decimal, thousands)
    repeated = sorted(name for name, times in Counter(values).items() if name and times > 1)
    if repeated:
        raise DataError(
            f"{path}:{line}: the header has {listed([repr(name) for name in repeated])} more than once; rename the "
            "columns, or set `header: false` if the first line holds values"
        )
    return TextTable(path, tuple(values), header, delimiter, encoding, decimal, thousands)


def scan_rows(
    table: Table,
    features: Sequence[tuple[int, Feature]],
    *,
    gaps: bool = False,
    labels: Sequence[int] = (),
    text: int | None = None,
    weight: int | None = None,
) -> ScannedRows:
    """Read and check every row; the features are kept if they fit into `memory_budget()`.

    Args:
        features: their positions, and what they are; categories last.
        gaps: whether their values may be missing.
        labels: positions of numbers, as that of `weight`; `text` is that of the one column of labels that is text.

    Raises:
        DataError: if a row cannot be used; the message has its line and column.
    """
    file, budget, digest = FileThatStays(table.path), memory_budget(), hashlib.sha256()
    others = (*labels, *(() if weight is None else (weight,)))
    needed = (*(position for position, _ in features), *others, *(() if text is None else (text,)))
    kept: list[NDArray[np.float32]] = []
    numbers: list[NDArray[np.float32]] = []
    texts: dict[str, int] = {}
    places, text_numbers = array("q"), array("q")
    unknown: dict[int, Counter[str]] = defaultdict(Counter)
    total = np.zeros(width := sum(one.width for _, one in features), np.float64)
    for block, rows in table.blocks(needed, digest):
        lines = [line for line, _, _ in block]
        kept.append(encoded(table, features, rows, lines, gaps=gaps, unknown=unknown))
        total += kept[-1].sum(axis=0, dtype=np.float64)
        budget -= kept[-1].nbytes
        if budget < 0:
            kept.clear()
        numbers.append(table.numbers(others, rows, lines, answers=True))
        for value in () if text is None else table.texts(text, rows, lines):
            text_numbers.append(texts.setdefault(value, len(texts)))
        places.extend(byte for place in block for byte in place)
    file.check()
    if not places:
        raise no_rows(table.path)
    where = np.array(places, np.int64).reshape(-1, 3)

    def read(rows: Rows) -> NDArray[np.float32]:
        file.check()
        chosen = where[rows]
        rows_there = table.rows_at(chosen.tolist(), [position for position, _ in features])
        return encoded(table, features, rows_there, chosen[:, 0].tolist(), gaps=gaps)

    inputs: Inputs
    if budget < 0:
        inputs = StoredInputs(StoredArray((len(where), width), np.dtype(np.float32), read))
    else:
        inputs = ArrayInputs(np.concatenate(kept))
    columns = np.concatenate(numbers)
    return ScannedRows(
        table,
        digest.hexdigest(),
        inputs,
        lines=where[:, 0],
        labels=columns[:, : len(labels)],
        label_names=tuple(map(table.name, labels)),
        texts=tuple(texts),
        text_numbers=np.array(text_numbers, np.int64),
        weights=None if weight is None else columns[:, -1],
        means=tuple((total / len(where)).tolist()),
        unknown=unknown,
    )


def _rows(
    path: Path, delimiter: str | None, encoding: str, digest: "hashlib._Hash | None" = None
) -> Iterator[tuple[Place, list[str]]]:
    """Give every row that is not blank."""
    try:
        with open_regular(path) as file:
            lines = _Lines(path, file, encoding, digest)
            rows = _parsed(lines, delimiter)
            while True:
                line, start = lines.number + 1, lines.end
                try:
                    values = next(rows, None)
                except csv.Error as error:
                    raise DataError(f"{path}:{line}: {error}; expected values between {delimiter!r}") from error
                if values is None:
                    return
                if len(values) > 1 or "".join(values).strip():
                    yield (line, start, lines.end), values
    except OSError as error:
        raise unreadable(path, error, "a text file of rows") from error


class _Lines:
    """The lines of a file as text, with the number of the last one and the byte where it ends."""

    def __init__(self, path: Path, file: BinaryIO, encoding: str, digest: "hashlib._Hash | None") -> None:
        self.path, self.file, self.encoding, self.digest = path, file, encoding, digest
        self.number = self.end = 0
        self._size = os.fstat(file.fileno()).st_size

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = self.file.readline(_LONGEST + 1)
        if not line:
            raise StopIteration
        self.number += 1
        self.end += len(line)
        if len(line) > _LONGEST:
            raise DataError(
                f"{self.path}:{self.number}: a line of more than {_LONGEST:,} bytes; expected rows of values"
            )
        if self.end > self._size:  # otherwise who writes faster than this reads would never let it end
            raise DataError(f"{self.path}: grows while it is read; expected a file that stays")
        if self.digest is not None:
            self.digest.update(line)
        return _decoded(line, self.path, self.number, self.encoding)


def _decoded(line: bytes, path: Path, number: int, encoding: str) -> str:
    try:
        return line.decode("utf-8-sig" if number == 1 and encoding == "utf-8" else encoding)
    except UnicodeDecodeError:
        advice = "expected rows of values, saved as UTF-8"
        if other := next((one for one in _OTHERS if b"\0" not in line and _reads(line, one)), None):
            advice += f", or `encoding: {other}`, which reads it as {line.decode(other).strip()[:_SHOWN]!r}"
        raise DataError(f"{path}:{number}: is not {encoding.upper()} text; {advice}") from None


def _reads(line: bytes, encoding: str) -> bool:
    try:
        line.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _parsed(lines: Iterable[str], delimiter: str | None) -> Iterator[list[str]]:
    if delimiter is None:
        return (line.split() for line in lines)
    return csv.reader(lines, delimiter=delimiter, skipinitialspace=True, strict=True)


def _is_missing(text: str) -> bool:
    return text.strip().lower() in MISSING
