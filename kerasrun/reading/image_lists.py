"""Tables that list images: their rows, and the files that they name."""

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kerasrun.errors import DataError
from kerasrun.reading.data import Feature
from kerasrun.reading.division import Marks, text_columns
from kerasrun.reading.files import IMAGE_SUFFIXES, list_folder
from kerasrun.reading.labels import numbers_of
from kerasrun.reading.rows import ScannedRows, TextTable, scan_rows

_LOOKED_AT = 500
"""How many names show in which folder the images are."""


class ImageFolder:
    """The folder below which every image of a table is."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._root = os.path.normpath(path.absolute())
        self._stems: dict[str, dict[str, list[str]]] = {}
        """For each folder, the images in it by their names without extension."""

    def find(self, name: str) -> Path | None:
        """Return the file that a table names, whose extension may be left out; None if there is none.

        Raises:
            DataError: if it is not below the folder, or several files have the name and another extension.
        """
        # Of a million names, `os.path` takes a few seconds, and pathlib half a minute. Windows writes backslashes.
        path = os.path.normpath(os.path.join(self._root, name.replace("\\", "/")))  # noqa: PTH118
        if not path.startswith(os.path.join(self._root, "")):  # noqa: PTH118
            raise DataError(f"{name!r} is outside {self.path}; expected images below this folder, or another `folder`")
        if os.path.isfile(path):  # noqa: PTH113
            return Path(path)
        parent, stem = os.path.split(path)
        found = self._images_in(parent).get(stem, ())
        if len(found) > 1:
            raise DataError(f"{name!r} may be {' or '.join(found)} in {parent}; expected a name with its extension")
        return Path(parent, found[0]) if found else None

    def names_image(self, name: str) -> bool:
        """Return whether a value is the name of an image, there or not."""
        # A look at the disk for each of 100,000 columns takes seconds.
        may_be_there = "/" in name or "\\" in name or name in self._entries
        return has_suffix(name) or (may_be_there and self.find_at_first_sight(name) is not None)

    def find_at_first_sight(self, name: str) -> Path | None:
        """Return the file that a table names; None also where `find` refuses the name."""
        try:
            return self.find(name)
        except DataError:
            return None

    @cached_property
    def _entries(self) -> Collection[str]:
        """What is in the folder itself; images without their extension too."""
        return {*self._images_in(self._root), *(os.listdir(self._root) if os.path.isdir(self._root) else ())}  # noqa: PTH208, PTH112

    def _images_in(self, folder: str) -> Mapping[str, Sequence[str]]:
        if folder not in self._stems:
            stems: dict[str, list[str]] = {}
            for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():  # noqa: PTH208, PTH112
                stem, suffix = os.path.splitext(name)  # noqa: PTH122
                if suffix.lower() in IMAGE_SUFFIXES:
                    stems.setdefault(stem, []).append(name)
            self._stems[folder] = stems
        return self._stems[folder]


def folder_of(table: Path, names: Sequence[str]) -> ImageFolder | None:
    """Return the folder of a table, or one in it, below which an image of one of these names is; None without one."""
    for path in (table.parent, *list_folder(table.parent)[1]):
        folder = ImageFolder(path)
        if any(map(folder.find_at_first_sight, names[:_LOOKED_AT])):
            return folder
    return None


@dataclass(frozen=True)
class ListedRows:
    """The rows of a table that lists images, or some of them."""

    scanned: ScannedRows
    """The labels and weights, and the features beside the image if there are any."""
    texts: Mapping[str, Sequence[str]]
    """Other columns as text, by what they are."""
    columns: Mapping[str, int]
    """The positions of these columns."""

    def __len__(self) -> int:
        return len(self.scanned.lines)

    def place(self, row: int, key: str | None = None) -> str:
        """Return where a row is, for a message, and which column is meant."""
        place = f"{self.scanned.table.path}:{self.scanned.lines[row]}"
        return f"{place}: {self.scanned.table.name(self.columns[key])}" if key else place

    def named_files(self, folder: ImageFolder, rows: Iterable[int]) -> Iterator[tuple[str, Path | None]]:
        """Give the name of the image of each of some rows, with its file if that is there.

        Raises:
            DataError: as `ImageFolder.find`, with the row.
        """
        for row in rows:
            name = self.texts["image"][row]
            try:
                yield name, folder.find(name)
            except DataError as error:
                raise DataError(f"{self.place(row, 'image')}: {error}") from error

    def files(self, folder: ImageFolder) -> list[Path]:
        """Return the image of every row; one that is not there by its name."""
        named = self.named_files(folder, range(len(self)))
        return [file or folder.path.absolute() / name for name, file in named]

    def weight_at(self, row: int) -> str:
        """Return what a message calls the weight of a row."""
        return f"{self.place(row)}: the weight"

    def only(self, rows: Sequence[int]) -> "ListedRows":
        """Return some of the rows."""
        chosen, whole = np.array(rows, np.int64), self.scanned
        used, numbers = (
            np.unique(whole.text_numbers[chosen], return_inverse=True) if whole.texts else ((), np.array([]))
        )
        scanned = replace(
            whole,
            inputs=whole.chosen(chosen),
            lines=whole.lines[chosen],
            labels=whole.labels[chosen],
            texts=tuple(whole.texts[number] for number in used),
            text_numbers=numbers,
            weights=None if whole.weights is None else whole.weights[chosen],
        )
        return ListedRows(
            scanned, {key: [values[row] for row in rows] for key, values in self.texts.items()}, self.columns
        )

    def marks(self, rows: Sequence[int], paths: Sequence[Path]) -> Marks:
        """Return what a division of some rows, which list these files, must respect.

        An image that is listed several times is a group of its own, where no column says otherwise.
        """
        groups, times = (
            [self.texts[key][row] for row in rows] if key in self.texts else None for key in ("group", "time")
        )
        if groups is None and times is None and len(set(paths)) < len(paths):
            groups = [str(path) for path in paths]
        return Marks(lambda index: self.place(rows[index]), groups, times)

    def names(self, key: str, separator: str) -> Iterator[list[str]]:
        """Give the names in a column that holds several in each row."""
        for value in self.texts[key]:
            yield [name for one in value.split(separator) if (name := one.strip())]

    def zeros_and_ones(self, key: str, separator: str, classes: Sequence[str]) -> NDArray[np.uint8]:
        """Return 1 for each label that such a column names, (rows, classes).

        Raises:
            DataError: if a row names another label.
        """
        labels = np.zeros((len(self), len(classes)), np.uint8)
        known: dict[str, int | None] = {}
        for row, names in enumerate(self.names(key, separator)):
            for name in names:
                if name not in known:
                    known[name] = numbers_of([name], classes).get(name)
                if (number := known[name]) is None:
                    raise DataError(f"{self.place(row, key)}: the label {name!r} is not one of those to train on")
                labels[row, number] = 1
        return labels


def has_suffix(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES  # noqa: PTH122


def has_header(table: TextTable, folder: ImageFolder) -> bool:
    """Return whether the first row of a table, opened without a header, is one: it does not name an image."""
    first, *others = islice(rows_of(table), 2)
    for name, below in zip(first, others[0] if others else first, strict=True):
        if folder.names_image(below):
            return not (has_suffix(name) if has_suffix(below) else folder.names_image(name))
    return True


def rows_of(table: TextTable) -> Iterator[list[str]]:
    """Give the values of every row as text."""
    for _, block in table.blocks(()):
        for row in block:
            yield [value.strip() for value in row]


def listed_rows(
    table: TextTable,
    texts: Mapping[str, int],
    *,
    may_be_empty: str = "",
    labels: Sequence[int] = (),
    text: int | None = None,
    weight: int | None = None,
    features: Sequence[tuple[int, Feature]] = (),
    gaps: bool = False,
) -> ListedRows:
    """Read every row of a table.

    Args:
        texts: the columns to read as text, by what they are.
        may_be_empty: the one of them in which a value may be missing.
        labels, text, weight, features, gaps: as for `scan_rows`.

    Raises:
        DataError: if a row cannot be used; the message has its line and column.
    """
    scanned = scan_rows(table, features, gaps=gaps, labels=labels, text=text, weight=weight)
    return ListedRows(scanned, text_columns(table, texts, may_be_empty), texts)
