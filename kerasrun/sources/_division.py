"""The columns by which the rows of tables are divided into splits."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Self

from pydantic import model_validator

from kerasrun.reading.tables import Table
from kerasrun.sources.base import Recognized, Source

if TYPE_CHECKING:
    from kerasrun.reading.division import Marks


class DividedTable(Source):
    """Base of the kinds of data that are tables."""

    group: int | str | None = None
    """The column that says which rows belong together, such as a patient or a video: `fit.validation_split` and
    `fit.test_split` do not divide them, and files of their own must not."""
    time: int | str | None = None
    """The column of numbers or dates (2026-01-31, 31.01.2026) by which `fit.validation_split` and `fit.test_split`
    divide: the past trains."""

    @model_validator(mode="after")
    def _is_divided_once(self) -> Self:
        if self.group is not None and self.time is not None:
            raise ValueError("expected group or time, not both: rows of a group may be from any time")
        return self

    @classmethod
    def recognize(cls, path: Path) -> Recognized | None:
        return cls.recognized_by_rows(path, None)

    @classmethod
    def recognize_table(cls, path: Path, label: str) -> Recognized | None:
        return cls.recognized_by_rows(path, label)

    @classmethod
    @abstractmethod
    def recognized_by_rows(cls, path: Path, label: str | None) -> Recognized | None:
        """Look at the first rows as `recognize` does; without `label`, guess where the labels are."""

    def division_columns(self, table: Table, *, trains: bool = True) -> Mapping[str, int]:
        """Return the positions of these columns in a table, by their keys; only one that trains is divided by time."""
        given = {"group": self.group, "time": self.time if trains else None}
        return {key: table.position(column, key) for key, column in given.items() if column is not None}

    def marks(self, tables: Mapping[str, tuple[Table, Sequence[int]]]) -> "Mapping[str, Marks]":
        """Read these columns of the table of each split, which comes with the numbers of its lines.

        Raises:
            DataError: if a value is missing, or a group is in more than one split.
        """
        from kerasrun.reading.division import Marks, require_groups_apart, text_columns

        found = {}
        for split, (table, lines) in tables.items():
            texts = text_columns(table, self.division_columns(table, trains=split == "train"))
            found[split] = Marks(partial(_place, table, lines), texts.get("group"), texts.get("time"))
        require_groups_apart(found)
        return found


def _place(table: Table, lines: Sequence[int], row: int) -> str:
    return f"{table.path}:{lines[row]}"
