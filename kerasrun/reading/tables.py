"""The base of tables, however they are stored. Light to import."""

from __future__ import annotations

import difflib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerasrun.errors import DataError
from kerasrun.reading.files import listed

if TYPE_CHECKING:
    import hashlib

    import numpy as np
    from numpy.typing import NDArray

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

    @abstractmethod
    def blocks(self, positions: Sequence[int], digest: hashlib._Hash) -> Iterator[tuple[list[Place], Any]]:
        """Read every row once, and give blocks with the places of their rows, which have the columns at `positions`.

        `digest` is updated with every byte of the file.

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
    def numbers(self, positions: Sequence[int], rows: Any, lines: Sequence[int]) -> NDArray[np.float32]:
        """Return the values in some columns of a block, (rows, columns).

        Raises:
            DataError: if one is missing, not a number or not finite; the message has its line and column.
        """

    @abstractmethod
    def texts(self, position: int, rows: Any, lines: Sequence[int]) -> Sequence[str]:
        """Return the values in one column of a block as text.

        Raises:
            DataError: if one is missing; the message has its line and column.
        """

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
