"""What a division into splits must respect: groups that stay together, and time."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from functools import partial

import numpy as np
from numpy.typing import NDArray

from kerasrun.errors import DataError
from kerasrun.reading.columns import date_of, forms_of_dates
from kerasrun.reading.tables import Table


@dataclass(frozen=True)
class Marks:
    """To which group the examples of a split belong, and from when they are, as it is written."""

    place: Callable[[int], str]
    """Gives the place of an example, for a message."""
    groups: Sequence[str] | None = None
    times: Sequence[str] | None = None

    def arrays(
        self, rows: "Sequence[int] | NDArray[np.int64]"
    ) -> tuple[NDArray[np.int64] | None, NDArray[np.float64] | None]:
        """Return `groups` and `times` of a `Split` of some of the examples.

        Raises:
            DataError: if a time is neither a number nor a date, or they are not all of one form.
        """
        groups = None
        if self.groups is not None:
            # NumPy would give each text the room of the longest.
            numbers = {text: number for number, text in enumerate(sorted(set(self.groups)))}
            groups = np.array([numbers[text] for text in self.groups], np.int64)
        times = None if self.times is None else self._moments(self.times)
        return None if groups is None else groups[rows], None if times is None else times[rows]

    def _moments(self, times: Sequence[str]) -> NDArray[np.float64]:
        read = _number if _number(times[0]) is not None else partial(_second, form=self._form(times))
        found = np.empty(len(times))
        for row, text in enumerate(times):
            if (value := read(text)) is None:
                raise DataError(
                    f"{self.place(row)}: `time` is {text!r}; expected a number in every row, or a date such as "
                    "2026-01-31"
                )
            found[row] = value
        return found

    def _form(self, times: Sequence[str]) -> str:
        """Return the one form of all dates; ISO 8601 where none reads them all."""
        forms = forms_of_dates(set(times))
        if "" not in forms and len(forms) > 1:
            raise DataError(
                f"{self.place(0)}: `time` is {times[0]!r}, and every date may be of the forms {' and '.join(forms)}; "
                "expected dates such as 2026-01-31"
            )
        return "" if "" in forms or not forms else forms[0]


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if np.isfinite(value) else None


def _second(text: str, form: str) -> float | None:
    try:
        return date_of(text, form).replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None


def require_groups_apart(marks: Mapping[str, Marks]) -> None:
    """Refuse a group that is in more than one split; raises as `require_apart`."""
    groups = {split: one.groups for split, one in marks.items() if one.groups is not None}
    require_apart(groups, lambda split, index: marks[split].place(index), "group")


def require_apart(members: Mapping[str, Sequence[str]], place: Callable[[str, int], str], what: str) -> None:
    """Refuse what is in more than one split.

    Args:
        members: what each example of a split belongs to.
        place: gives the place of an example, by its split and its index.
        what: the word for it in a message.

    Raises:
        DataError: which names two places.
    """
    first: dict[str, tuple[str, int]] = {}
    for split, names in members.items():
        for index, name in enumerate(names):
            other, at = first.setdefault(name, (split, index))
            if other != split:
                raise DataError(
                    f"{place(split, index)}: the {what} {name!r} is in {split}, and in {other} as well "
                    f"({place(other, at)}): a model would be measured on what it was trained on; keep it in one of them"
                )


def text_columns(table: Table, columns: Mapping[str, int], may_be_empty: str = "") -> dict[str, list[str]]:
    """Read some columns of every row as text.

    Args:
        columns: their positions, by what they are.
        may_be_empty: the one of them in which a value may be missing.

    Raises:
        DataError: if a value is missing; the message has its line and column.
    """
    found: dict[str, list[str]] = {key: [] for key in columns}
    for places, block in table.blocks(tuple(columns.values())) if columns else ():
        lines = [line for line, _, _ in places]
        for key, position in columns.items():
            if key == may_be_empty:
                found[key] += [row[position].strip() for row in block]
            else:
                found[key] += table.texts(position, block, lines)
    return found
