"""Columns of tables: what each of them holds, seen from the rows for training, and the numbers that values become."""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kerasrun.errors import DataError
from kerasrun.reading.data import Feature, RowFormat
from kerasrun.reading.files import listed
from kerasrun.reading.tables import Table, no_rows

LEFT_OUT = "left_out"
"""The kind of a column that is no feature."""
MOST_CATEGORIES = 1_000_000
"""How many values a category may have."""
_MOST_NUMBERS = 1_000
"""How many values of a column are kept while all of them are numbers."""
_FEW = 20
_FORMS = tuple(
    f"{day}{time}"
    for day in ("", "%Y/%m/%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y%m%d")
    for time in ("", " %H:%M", " %H:%M:%S")
    if day or not time
)
"""The forms of dates, as `strptime` has them; the empty one is ISO 8601."""
_FOREIGN = re.compile(
    r"[-+]?(\d{1,3}(?P<thousands>[.,' \u00a0\u202f])\d{3}((?P=thousands)\d{3})*)?\d*((?P<decimal>[.,])\d*)?"
)
"""A number as it is written with a decimal comma, or with groups of three digits."""
_LISTED = 12


@dataclass
class Seen:
    """What the rows for training have in a column."""

    position: int
    is_category: bool
    """Whether the experiment says that it is a category."""
    rows: int = 0
    missing: int = 0
    numbers: int = 0
    """How many of its values are numbers."""
    first_text: tuple[int, str] | None = None
    """The first value that is not a number, with its line."""
    texts: dict[str, int] | None = field(default_factory=dict)
    """How often each value is there; None where there are too many."""
    is_cut: bool = False
    """Whether there were too many while all of them were numbers."""

    def add(self, texts: Sequence[str], lines: Sequence[int], table: Table) -> None:
        """Count the values of more rows."""
        counts = Counter(texts)
        self.rows += len(texts)
        self.missing += counts.pop("", 0)
        for text, times in counts.items():
            if _is_number(text, table):
                self.numbers += times
            elif self.first_text is None:
                self.first_text = lines[texts.index(text)], text
            if self.texts is not None:
                self.texts[text] = self.texts.get(text, 0) + times
        most = MOST_CATEGORIES if self.is_category or self.first_text else _MOST_NUMBERS
        if self.texts is not None and len(self.texts) > most:
            self.texts, self.is_cut = None, most == _MOST_NUMBERS


def look(table: Table, kinds: Mapping[int, str | None]) -> list[Seen]:
    """Read every row, and see what is in columns; `kinds` are those that the experiment says, by position."""
    seen = {one.position: one for one in _look(table, kinds)}
    # Text behind a thousand numbers is rare: those are read again, and all their values are kept.
    again: dict[int, str | None] = {one.position: "category" for one in seen.values() if one.is_cut and one.first_text}
    seen |= {one.position: one for one in (_look(table, again) if again else [])}
    return list(seen.values())


def _look(table: Table, kinds: Mapping[int, str | None]) -> list[Seen]:
    seen = [Seen(position, kind == "category") for position, kind in kinds.items() if kind != LEFT_OUT]
    for block, rows in table.blocks([one.position for one in seen]):
        lines = [line for line, _, _ in block]
        for one in seen:
            one.add(table.texts(one.position, rows, lines, gaps=True), lines, table)
    if not all(one.rows for one in seen):
        raise no_rows(table.path)
    return seen


def feature(seen: Seen, kind: str | None, table: Table, *, asked_for: bool) -> Feature | str:
    """Decide what a column is, or why it is left out.

    Args:
        kind: what the experiment says; None where it does not.
        asked_for: whether the experiment lists it among the features.

    Raises:
        DataError: if its values are not what the experiment says, or are nothing in particular.
    """
    name = table.name(seen.position)
    if seen.missing == seen.rows:
        if kind or asked_for:
            raise DataError(f"{table.path}: {name}: every value is missing; leave the column out")
        return "every value is missing"
    gaps = seen.missing > 0
    if kind == "number" or (kind is None and seen.first_text is None):
        if seen.first_text is not None:
            raise _no_number(seen, table, "")
        return Feature("number", gaps)
    if kind == "date" or (kind is not None and "%" in kind):
        return _dates(seen, table, "" if kind == "date" else kind)
    if kind is None:
        keys = foreign_numbers(seen.texts or {}, table.decimal, table.thousands)
        if keys or seen.numbers * 2 >= seen.rows - seen.missing:
            advice = f"; where it is text, say `columns: {{{table.columns[seen.position]}: category}}`"
            if keys:
                said = " and ".join(f'`{key}: "{text}"`' for key, text in keys.items())
                advice = f": set {said}, or say `columns`"
            raise _no_number(seen, table, advice)
        if not asked_for and (why := _useless(seen, table)):
            return why
    if seen.texts is None:
        raise DataError(f"{table.path}: {name} has more than {MOST_CATEGORIES:,} values; leave it out of the features")
    return Feature("category", gaps, categories=tuple(sorted([*seen.texts, *([""] if gaps else [])])))


def described(columns: Sequence[tuple[str, Feature]], left_out: Mapping[str, str]) -> str:
    """Return in one line what columns are."""
    numbers = [name for name, one in columns if one.kind == "number"]
    dates = [name for name, one in columns if one.kind == "date"]
    categories = [
        f"{name} ({len(set(one.categories) - {''})} values)" for name, one in columns if one.kind == "category"
    ]
    groups = {"numbers": numbers, "dates": dates, "categories": categories}
    parts = [f"{listed(names, _LISTED)}: {what}" for what, names in groups.items() if names]
    reasons: dict[str, list[str]] = {}
    for name, why in left_out.items():
        reasons.setdefault(why, []).append(name)
    parts += [f"{listed(names, _LISTED)} left out: {why}" for why, names in reasons.items()]
    gaps = [name for name, one in columns if one.gaps]
    return "; ".join([*parts, *([f"with gaps: {listed(gaps, _LISTED)}"] if gaps else [])])


def placed(row_format: RowFormat, table: Table) -> tuple[tuple[int, Feature], ...]:
    """Return where the features of a trained model are in a table, with what they are.

    Without a header the table may have them alone.

    Raises:
        DataError: if a column is not there.
    """
    names = row_format.features
    if not row_format.header and len(table.columns) == len(names):
        positions = list(range(len(names)))
    else:
        positions = [table.position(name if row_format.header else int(name), "features") for name in names]
    return tuple(zip(positions, row_format.columns or [Feature()] * len(names), strict=True))


def encoded(
    table: Table,
    columns: Sequence[tuple[int, Feature]],
    rows: Any,
    lines: Sequence[int],
    *,
    gaps: bool,
    unknown: Mapping[int, Counter[str]] | None = None,
) -> NDArray[np.float32]:
    """Return the features of a block of rows: numbers first, then dates, then categories.

    Args:
        columns: their positions, in this order.
        gaps: whether values may be missing.
        unknown: counts the categories that the rows for training did not have, by position.
    """
    if not columns:
        return np.empty((len(lines), 0), np.float32)
    numbers = [position for position, one in columns if one.kind == "number"]
    parts = [table.numbers(numbers, rows, lines, gaps=gaps)] if numbers else []
    for place, one in enumerate(one for _, one in columns if one.kind == "number"):
        if gaps and not one.gaps:
            column = parts[0][:, place]
            column[np.isnan(column)] = one.mean
    for position, one in columns:
        if one.kind == "number":
            continue
        texts = table.texts(position, rows, lines, gaps=gaps)
        if one.kind == "date":
            parts.append(_parts_of_dates(one, texts, lines, table, position))
            continue
        found = [one.numbers.get(text, 0) for text in texts]
        if unknown is not None and 0 in found:
            unknown[position].update(text for text, number in zip(texts, found, strict=True) if not number)
        parts.append(np.array(found, np.float32)[:, np.newaxis])
    return np.concatenate(parts, axis=1) if len(parts) > 1 else parts[0]


def told_unknown(path: Any, name: str, texts: Counter[str]) -> str:
    """Return a sentence about categories that the rows for training did not have."""
    rows = sum(texts.values())
    shown = listed([repr(text) if text else "a missing value" for text in sorted(texts)], 3)
    counted = f"{rows:,} row{'s' * (rows != 1)}"
    return f"{path}: {name}: {counted} with categories that training did not have, taken as unknown: {shown}"


def _is_number(text: str, table: Table) -> bool:
    try:
        table.number(text)
    except ValueError:
        return False
    return True


def _no_number(seen: Seen, table: Table, advice: str) -> DataError:
    line, text = seen.first_text or (0, "")
    if line == 1 and not table.header:
        advice = "; set `header: true` if the first line names the columns"
    return DataError(f"{table.path}:{line}: {table.name(seen.position)}: {text!r}; expected a number{advice}")


def _useless(seen: Seen, table: Table) -> str | None:
    """Return why a column of text says nothing of an example that was not seen."""
    values = seen.rows - seen.missing
    distinct = None if seen.texts is None else len(seen.texts)
    if seen.texts and forms_of_dates(seen.texts):
        return f"dates (say `columns: {{{table.columns[seen.position]}: date}}`)"
    if distinct == 1 and not seen.missing:
        return "only one value"
    if distinct == values:
        return "every value differs"
    if distinct is None or distinct > max(_FEW, values // 2):
        return "nearly every value differs"
    return None


def foreign_numbers(texts: Collection[str], decimal: str, thousands: str | None) -> dict[str, str]:
    """Return the keys to set where all texts are numbers, but written otherwise; empty where they are not."""
    found = [match for text in texts if (match := _FOREIGN.fullmatch(text)) and any(map(str.isdigit, text))]
    written = {key: {match[key] for match in found} - {None} for key in ("decimal", "thousands")}
    ambiguous = any(len(marks) > 1 for marks in written.values()) or written["decimal"] & written["thousands"]
    if ambiguous or len(found) < len(texts):
        return {}
    said = {"decimal": decimal, "thousands": thousands}
    return {key: mark for key, marks in written.items() for mark in marks if mark != said[key]}


def date_of(text: str, form: str) -> datetime:
    """Return a date or moment, in UTC if it has a zone; raises ValueError if it is not of the form."""
    found = datetime.strptime(text, form) if form else datetime.fromisoformat(text)
    try:
        return found.astimezone(UTC).replace(tzinfo=None) if found.tzinfo else found
    except OverflowError as error:  # of the first and the last day that there are
        raise ValueError(text) from error


def _reads(form: str, texts: Iterable[str]) -> bool:
    try:
        for text in texts:
            date_of(text, form)
    except ValueError:
        return False
    return True


def forms_of_dates(texts: Iterable[str]) -> list[str]:
    """Return the forms that read every text as a date."""
    return [form for form in _FORMS if _reads(form, texts)]


def _dates(seen: Seen, table: Table, form: str | None) -> Feature:
    name = table.name(seen.position)
    if seen.texts is None:
        raise DataError(f"{table.path}: {name} has too many values to be dates")
    forms = [form] if form else forms_of_dates(seen.texts)
    if len(forms) > 1:
        text = next(iter(seen.texts))
        said = " or ".join(f'`columns: {{{table.columns[seen.position]}: "{one}"}}`' for one in forms)
        raise DataError(f"{table.path}: {name}: {text!r} is a date in several forms; say {said}")
    if not forms or not _reads(forms[0], seen.texts):
        text = next(text for text in seen.texts if not _reads(forms[0] if forms else "", {text: 1}))
        expected = f"of the form {form}" if form else "such as 2024-03-31 or 31.03.2024"
        raise DataError(f"{table.path}: {name}: {text!r}; expected dates {expected}")
    first = min(date_of(text, forms[0]) for text in seen.texts)
    return Feature("date", seen.missing > 0, form=forms[0], first=first.isoformat())


def _parts_of_dates(
    one: Feature, texts: Sequence[str], lines: Sequence[int], table: Table, position: int
) -> NDArray[np.float32]:
    first = datetime.fromisoformat(one.first)
    found = np.full((len(texts), one.width), np.nan)
    for row, text in enumerate(texts):
        if not text:
            continue
        try:
            date = date_of(text, one.form)
        except ValueError:
            form = one.form or "ISO 8601, such as 2024-03-31"
            raise DataError(
                f"{table.path}:{lines[row]}: {table.name(position)}: {text!r}; expected a date of the form {form}"
            ) from None
        found[row] = date.year, date.month, date.weekday(), (date - first).total_seconds() / 86400
    return found.astype(np.float32)
