"""Tables: the fields that say which columns are what, and how examples and labels are made of them."""

import hashlib
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

from pydantic import Field, model_validator

from kerasrun.components import ExperimentPath
from kerasrun.errors import DataError
from kerasrun.reading.data import Data, LabelKind, RowFormat, Shape, Split
from kerasrun.reading.files import list_folder, listed
from kerasrun.reading.folders import SPLIT_NAMES
from kerasrun.reading.labels import MISSING, distinct_classes, numbers_of, value_of
from kerasrun.reading.tables import Table
from kerasrun.sources._division import DividedTable
from kerasrun.sources.base import ClassNames, Length, Recognized

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from kerasrun.reading.division import Marks
    from kerasrun.reading.rows import ScannedRows

LABEL_KINDS: Mapping[str, LabelKind] = {
    "label": "classes",
    "one_hot": "classes",
    "multi_label": "multi_label",
    "target": "numbers",
}
"""The keys that say which columns are the labels, one of them in each experiment, and what labels they make."""

LABEL_NAMES = ("label", "labels", "class", "target", "y")
"""The names of labels in a header, without regard to case; without one of them the last column has the labels."""
LOOKED_AT = 500
"""How many rows show what the columns of a file hold."""
_MOST_CLASSES = 30

Column = int | str
Columns = Annotated[tuple[Column, ...], Field(min_length=1)]


class RowSource(DividedTable):
    """Base of the kinds of data that are rows of values: a column is a feature or a label."""

    suffixes: ClassVar[tuple[str, ...]]
    """The ends of the names of such files."""
    train: ExperimentPath
    """The file of training examples."""
    validation: ExperimentPath | None = None
    """The file of validation examples."""
    test: ExperimentPath | None = None
    """The file of test examples."""
    features: Columns | None = None
    """The columns of the features, in this order; by default every column not named elsewhere."""
    label: Column | None = None
    """The column of the class, as text or number."""
    one_hot: Length | Columns | None = None
    """The columns of one-hot labels, 1 in the column of the class; a number means this many columns at the end."""
    multi_label: Length | Columns | None = None
    """The columns of labels that may hold together, each 0 or 1; a number means this many columns at the end."""
    target: Column | Columns | None = None
    """The column, or the columns, of numbers to be predicted."""
    sample_weight: Column | None = None
    """The column that says how much each training example counts in the loss."""
    classes: ClassNames | None = None
    """The classes in the order of their numbers; by default sorted, or the names of the one-hot columns."""

    @model_validator(mode="after")
    def _has_labels(self) -> Self:
        given = [key for key in LABEL_KINDS if getattr(self, key) is not None]
        if len(given) != 1:
            received = f", received {' and '.join(given)}" if given else ""
            raise ValueError(f"expected one of {', '.join(LABEL_KINDS)}, which says where the labels are{received}")
        if self.classes is not None and given == ["target"]:
            raise ValueError("expected no classes beside target: numbers have none")
        return self

    @property
    def label_key(self) -> str:
        """The key that says where the labels are."""
        return next(key for key in LABEL_KINDS if getattr(self, key) is not None)

    @property
    def label_kind(self) -> LabelKind:
        return LABEL_KINDS[self.label_key]

    @property
    def example_shape(self) -> Shape:
        return (None,)

    @property
    def label_columns(self) -> int | None:
        columns = getattr(self, self.label_key)
        if self.label_key in ("multi_label", "one_hot") and isinstance(columns, int):
            return columns
        return len(columns) if isinstance(columns, tuple) else 1

    @abstractmethod
    def table(self, path: Path) -> Table:
        """Open a file, and find its columns.

        Raises:
            DataError: if it cannot be read, or a column's name is there twice.
        """

    @classmethod
    @abstractmethod
    def first_rows(cls, path: Path) -> tuple[list[str], list[list[str]], dict[str, Any]]:
        """Return the columns of a file, its first rows as text, and the keys that are needed to read them.

        Raises:
            DataError: if it cannot be read.
        """

    @classmethod
    def recognize(cls, path: Path) -> Recognized | None:
        paths = {"train": path} if path.is_file() else cls._files_of_splits(path)
        if "train" not in paths or paths["train"].suffix.lower() not in cls.suffixes:
            return None
        columns, rows, keys = cls.first_rows(paths["train"])
        header = keys.get("header", True)
        labels, label_keys = _guessed_labels(columns if header else None, rows)
        keys |= label_keys
        features = [place for place in range(len(columns)) if place not in labels]
        numeric = [place for place in features if all(is_number(row[place]) for row in rows)]
        left_out = [place for place in features if place not in numeric]
        if not numeric:
            raise DataError(f"{paths['train']}: no column but the labels holds numbers alone; expected features")
        if left_out or any(not columns[place] for place in numeric):
            keys["features"] = [columns[place] if header else place for place in numeric if columns[place]]
        names = listed([columns[place] for place in left_out])
        return cls.recognized(paths, keys, f"; not numbers, so left out: {names}" if left_out else "")

    @classmethod
    def _files_of_splits(cls, folder: Path) -> dict[str, Path]:
        files = [file for file in list_folder(folder)[0] if file.suffix.lower() in cls.suffixes]
        return {SPLIT_NAMES[file.stem.lower()]: file for file in files if file.stem.lower() in SPLIT_NAMES}

    def open(self) -> Data:
        paths = {"train": self.train, "validation": self.validation, "test": self.test}
        tables = {name: self.table(path) for name, path in paths.items() if path}
        train = tables["train"]
        layout = self._layout(train)
        scanned = {
            name: _scanned(table, layout if table is train else _in_other(layout, train, table), self.label_key)
            for name, table in tables.items()
        }
        classes = self._classes(scanned["train"], [train.columns[position] for position in layout.labels])
        marks = self.marks({name: (rows.table, rows.lines.tolist()) for name, rows in scanned.items()})
        splits = {name: self._split(name, rows, classes, marks[name]) for name, rows in scanned.items()}
        row_format = RowFormat(
            tuple(train.columns[position] for position in layout.features), train.header, train.delimiter
        )
        digest = hashlib.sha256(b"" if self.limit is None else f"limit {self.limit}\n".encode())
        for name, rows in scanned.items():
            digest.update(f"{name} {rows.sha256}\n".encode())
        return Data(splits, classes, None, digest.hexdigest(), self.label_kind, row_format)

    def _layout(self, train: Table) -> "Layout":
        """Find the columns that the experiment names in the file for training."""
        labels = self._label_columns(train)
        weight = None if self.sample_weight is None else train.position(self.sample_weight, "sample_weight")
        taken = {*labels, weight}
        if self.features is None:
            apart = {*taken, *self.division_columns(train).values()}
            features = tuple(position for position in range(len(train.columns)) if position not in apart)
        else:
            features = _distinct(train, self.features, "features")
        for position in features:
            if not train.columns[position] and self.features is None:
                raise DataError(
                    f"{train.path}: column {position} has no name in the header (an index?): say with `features` which "
                    "columns to read"
                )
            if position in taken:
                raise DataError(f"{train.path}: {train.name(position)} is a feature, and something else as well")
        if weight in labels:
            raise DataError(f"{train.path}: {train.name(labels[0])} is `sample_weight`, and a label as well")
        if not features:
            raise DataError(f"{train.path}: no column is left for the features")
        return Layout(features, labels, weight)

    def _label_columns(self, train: Table) -> tuple[int, ...]:
        key, given = self.label_key, getattr(self, self.label_key)
        if key in ("label", "target") and isinstance(given, int | str):
            given = (given,)
        elif isinstance(given, int):
            given = range(-given, 0)
        labels = _distinct(train, given, key)
        if key == "one_hot" and len(labels) < 2:
            raise DataError(f"{train.path}: `one_hot` is {train.name(labels[0])} alone; expected one for each class")
        return labels

    def _split(self, name: str, rows: "ScannedRows", classes: Sequence[str], marks: "Marks") -> Split:
        from kerasrun.reading.inputs import checked_weights, within_limit

        labels, weight = self._labels(rows, classes), rows.weights
        chosen = within_limit(labels, self.limit)
        if weight is not None:
            weight = checked_weights(weight, lambda row: f"{rows.table.path}:{rows.lines[row]}: the weight")[chosen]
        groups, times = marks.arrays(chosen)
        return Split(name, rows.chosen(chosen), labels[chosen], sample_weight=weight, groups=groups, times=times)

    def _classes(self, train: "ScannedRows", columns: Sequence[str]) -> tuple[str, ...]:
        """Return the names of the classes, or of the columns of other labels."""
        if self.label_key == "label":
            return found_classes(train, self.classes)
        if self.classes is not None and len(self.classes) != len(columns):
            raise DataError(
                f"{self.train}: {len(columns)} columns of `{self.label_key}`, but {len(self.classes)} `classes`"
            )
        return self.classes or (tuple(columns) if train.table.header else tuple(map(str, range(len(columns)))))

    def _labels(self, rows: "ScannedRows", classes: Sequence[str]) -> "NDArray[Any]":
        import numpy as np

        match self.label_key:
            case "label":
                return class_numbers(rows, classes)
            case "one_hot":
                one_hot = zeros_and_ones(rows, "a single 1 among zeros", single=True)
                return np.asarray(one_hot.argmax(axis=1), np.int64)
            case "multi_label":
                return zeros_and_ones(rows, "0 or 1 for each label", single=False).astype(np.uint8)
        return rows.labels


@dataclass(frozen=True)
class Layout:
    """The columns of a file by their numbers."""

    features: tuple[int, ...]
    labels: tuple[int, ...]
    weight: int | None


def _distinct(table: Table, columns: Sequence[Column], key: str) -> tuple[int, ...]:
    positions = tuple(table.position(column, key) for column in columns)
    for position in positions:
        if positions.count(position) > 1:
            raise DataError(f"{table.path}: {table.name(position)} is twice in `{key}`")
    return positions


def _in_other(layout: Layout, train: Table, table: Table) -> Layout:
    """Find the same columns in another file, which need not have weights."""
    if not table.header:
        if len(table.columns) != len(train.columns):
            raise DataError(
                f"{table.path}: has {len(table.columns)} values in a row; expected {len(train.columns)}, as in "
                f"{train.path}"
            )
        return Layout(layout.features, layout.labels, None)
    features = tuple(table.position(train.columns[position], "features") for position in layout.features)
    labels = tuple(table.position(train.columns[position], "labels") for position in layout.labels)
    return Layout(features, labels, None)


def _scanned(table: Table, layout: Layout, label_key: str) -> "ScannedRows":
    from kerasrun.reading.rows import scan_rows

    if label_key == "label":
        return scan_rows(table, layout.features, text=layout.labels[0], weight=layout.weight)
    return scan_rows(table, layout.features, labels=layout.labels, weight=layout.weight)


def found_classes(train: "ScannedRows", wanted: Sequence[str] | None) -> tuple[str, ...]:
    """Return the values in the column of the class, sorted, as numbers where all are numbers; or those in `wanted`."""
    if wanted is not None:
        there = numbers_of(train.texts, wanted)
        for number, name in enumerate(wanted):
            if not any(there.get(text) == number for text in train.texts):
                raise DataError(f"{train.table.path}: no row of the class {name!r} of `classes`")
        return tuple(wanted)
    for index, text in enumerate(train.texts):
        if text.lower() in MISSING:
            line = train.lines[(train.text_numbers == index).argmax()]
            raise DataError(
                f"{train.table.path}:{line}: the label {text!r} means a missing value; leave rows without a label out "
                "of the file, or list `classes` if it is the name of one"
            )
    values = [value for value in map(value_of, train.texts) if value is not None]
    if len(values) == len(train.texts) and any(value != value.to_integral_value() for value in values):
        raise DataError(
            f"{train.table.path}: the column of `label` holds decimal numbers, {listed(train.texts, 3)}: take `target` "
            "for numbers to be predicted, or list `classes` if they are names"
        )
    classes = distinct_classes(train.texts)
    if len(classes) < 2:
        raise DataError(f"{train.table.path}: every row is of the class {classes[0]!r}; expected at least two")
    return classes


def class_numbers(rows: "ScannedRows", classes: Sequence[str]) -> "NDArray[np.int64]":
    import numpy as np

    numbers = numbers_of(rows.texts, classes)
    for index, text in enumerate(rows.texts):
        if text not in numbers:
            line = rows.lines[np.argmax(rows.text_numbers == index)]
            raise DataError(
                f"{rows.table.path}:{line}: the class {text!r} is not one of those to train on: {listed(classes)}"
            )
    by_text = np.array([numbers[text] for text in rows.texts], np.int64)
    return by_text[rows.text_numbers]


def zeros_and_ones(rows: "ScannedRows", expected: str, *, single: bool) -> "NDArray[np.float32]":
    import numpy as np

    labels = rows.labels
    allowed = np.isin(labels, (0, 1)).all(axis=1) & ((labels.sum(axis=1) == 1) | (not single))
    for row in np.flatnonzero(~allowed):
        values = listed([f"{value:g}" for value in labels[row]], 20)
        columns = f"{rows.label_names[0]} to {rows.label_names[-1]}"
        raise DataError(f"{rows.table.path}:{rows.lines[row]}: {columns} hold {values}; expected {expected}")
    return labels


def _guessed_labels(names: Sequence[str] | None, rows: Sequence[Sequence[str]]) -> tuple[list[int], dict[str, Any]]:
    """Return the columns of the labels, and the key that says so."""
    count = len(rows[0])
    if names is None and (one_hot := _one_hot(rows)):
        return list(range(count - one_hot, count)), {"one_hot": one_hot}
    place = count - 1
    if names is not None:
        place = next((i for i, name in enumerate(names) if name.lower() in LABEL_NAMES), place)
    column = names[place] if names is not None else place if place < count - 1 else -1
    values = {row[place] for row in rows}
    few = all(value.isdecimal() for value in values) and len(values) <= min(_MOST_CLASSES, len(rows) // 2)
    key = "label" if few or not all(map(is_number, values)) else "target"
    return [place], {key: column}


def _one_hot(rows: Sequence[Sequence[str]]) -> int | None:
    """Return how many columns at the end are 0 but for a single 1, in every row."""
    for count in range(2, len(rows[0])):
        ends = [row[-count:] for row in rows]
        marks = [[value_of(value) for value in row] for row in ends]
        if not all(mark in (0, 1) for row in marks for mark in row):
            return None
        if all(row.count(Decimal(1)) == 1 for row in marks):
            return count
    return None


def is_number(text: str) -> bool:
    """Return whether a text reads as a number, finite or not; the words of booleans do."""
    if text.lower() in ("true", "false"):
        return True
    try:
        float(text)
    except ValueError:
        return False
    return True
