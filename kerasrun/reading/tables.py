"""The base of tables, however they are stored. Light to import."""

from __future__ import annotations

import difflib
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerasrun.errors import DataError
from kerasrun.reading.files import listed
from kerasrun.reading.labels import MISSING

if TYPE_CHECKING:
    import hashlib

    import numpy as np
    from numpy.typing import NDArray

BOOLEANS = {"true": 1.0, "false": 0.0}
Place = tuple[int, int, int]
"""The number of a row or of its line, from 1, which messages name; and two numbers by which the row is found again."""


@dataclass(frozen=True)
class Table(ABC):
    """A file of rows, every row with as many values. Rows are read in blocks of the table's own making."""

    path: Path
    columns: tuple[str, ...]
    """The names in the header, or the numbers from 0."""
    header: bool = True
    """Whether columns have names."""
    delimiter: str | None = ","
    """The text between two values in a text file of such rows; None for any run of blanks."""
    encoding: str = "utf-8"
    decimal: str = "."
    """What is before the decimals of a number in such a file."""
    thousands: str | None = None
    """What may be between its groups of three digits."""

    @abstractmethod
    def blocks(
        self, positions: Sequence[int], digest: hashlib._Hash | None = None
    ) -> Iterator[tuple[list[Place], Any]]:
        """Read every row once, and give blocks with the places of their rows, which have the columns at `positions`.

        A `digest` is updated with every byte of the file.

        Raises:
            DataError: if the file cannot be read.
        """

    @abstractmethod
    def rows_at(self, places: Sequence[Place], positions: Sequence[int]) -> Any:
        """Read the rows at these places again, as one block.

        Raises:
            DataError: if they cannot be read.
        """

    @abstractmethod
    def numbers(
        self, positions: Sequence[int], rows: Any, lines: Sequence[int], *, gaps: bool = False, answers: bool = False
    ) -> NDArray[np.float32]:
        """Return the values in some columns of a block, (rows, columns).

        Args:
            gaps: take a missing value for NaN.
            answers: take the texts yes and no for 1 and 0.

        Raises:
            DataError: if one is missing, not a number or not finite; the message has its line and column.
        """

    @abstractmethod
    def _texts(self, position: int, rows: Any, lines: Sequence[int]) -> list[str]:
        """Return the values in one column of a block as text."""

    def texts(self, position: int, rows: Any, lines: Sequence[int], *, gaps: bool = False) -> Sequence[str]:
        """Return the values in one column of a block as text; with `gaps` a missing one is empty.

        Raises:
            DataError: if one is missing; the message has its line and column.
        """
        texts = self._texts(position, rows, lines)
        if gaps:
            missing = {text for text in set(texts) if text.lower() in MISSING}
            return ["" if text in missing else text for text in texts]
        for text, line in zip(texts, lines, strict=True):
            if not text:
                raise DataError(f"{self.path}:{line}: {self.name(position)}: a missing value")
        return texts

    def number(self, text: str) -> float:
        """Return the number that a text in such a file means; pandas writes true and false as words.

        Raises:
            ValueError: if it is not a number.
        """
        text = text.strip()
        if text.lower() in BOOLEANS:
            return BOOLEANS[text.lower()]
        if "_" in text:  # Python reads 1_000 as a number, which it is in no other program
            raise ValueError(text)
        if self.decimal != "." or self.thousands:
            if self.thousands and self.thousands in text:
                if not re.fullmatch(rf"[-+]?\d{{1,3}}({re.escape(self.thousands)}\d{{3}})+(\D.*)?", text):
                    raise ValueError(text)
                text = text.replace(self.thousands, "")
            if self.decimal != ".":
                if "." in text:
                    raise ValueError(text)
                text = text.replace(self.decimal, ".")
        return float(text)

    @cached_property
    def _positions(self) -> dict[str, int]:
        return {name: place for place, name in reversed(list(enumerate(self.columns)))}

    def position(self, wanted: int | str, key: str) -> int:
        """Return where a column is that `key` of the experiment names, or numbers from 0, or from -1 at the end.

        Raises:
            DataError: if there is no such column.
        """
        if self.header and str(wanted) in self._positions:  # a name, also where it is a number
            return self._positions[str(wanted)]
        if isinstance(wanted, int) and -len(self.columns) <= wanted < len(self.columns):
            return wanted % len(self.columns)
        if isinstance(wanted, str) and wanted in self._positions:
            return self._positions[wanted]
        if isinstance(wanted, int):
            raise DataError(f"{self.path}: no column {wanted} for `{key}`: there are {len(self.columns)}, from 0")
        if not self.header:
            raise DataError(f"{self.path}: `{key}` names {wanted!r}, but without a header columns are numbers from 0")
        near = difflib.get_close_matches(wanted, self.columns, n=1)
        raise DataError(
            f"{self.path}: no column {wanted!r} for `{key}`; the header has {listed(self.columns)}"
            + (f"; did you mean {near[0]!r}?" if near else "")
        )

    def name(self, position: int) -> str:
        """Return what a message calls a column."""
        return f"column {self.columns[position]!r}" if self.header else f"column {position}"


def no_rows(path: Path) -> DataError:
    """Return the error of a table without rows."""
    return DataError(f"{path}: has a header, but no rows below it")
