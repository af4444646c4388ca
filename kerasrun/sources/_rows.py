"""Tables: the fields that say which columns are what, and how examples and labels are made of them."""

import difflib
import hashlib
import logging
import re
from abc import abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from kerasrun.components import ExperimentPath
from kerasrun.errors import DataError
from kerasrun.reading.data import Data, Feature, ImageFormat, LabelKind, Missing, RowFormat, Shape, Split
from kerasrun.reading.files import FileThatStays, list_folder, listed
from kerasrun.reading.folders import by_split
from kerasrun.reading.labels import MISSING, distinct_classes, numbers_of, value_of
from kerasrun.reading.tables import Table
from kerasrun.sources._division import DividedTable
from kerasrun.sources.base import ClassNames, Length, Recognized

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from kerasrun.reading.division import Marks
    from kerasrun.reading.rows import ScannedRows

logger = logging.getLogger("kerasrun")

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
_ID = re.compile(r"(^|[^a-z])(id|index|row|nr|no)$|[a-z](ID|Id)$|^unnamed", re.IGNORECASE)
"""How the name of a column ends that only numbers the rows."""


def _is_kind(kind: str) -> str:
    if kind not in ("number", "category", "date", "left_out") and "%" not in kind:
        raise ValueError("expected number, category, date, left_out, or the form of a date such as '%d.%m.%Y'")
    if "%" in kind:
        try:
            datetime.strptime("", kind)
        except re.error as error:  # Python makes a pattern of the form
            raise ValueError(f"expected the form of a date, which has each part once; {error}") from error
        except ValueError as error:
            if not str(error).startswith("time data"):
                raise
    return kind


Column = int | str
ColumnKind = Annotated[str, AfterValidator(_is_kind)]
Columns = Annotated[tuple[Column, ...], Field(min_length=1)]


class FeatureTable(DividedTable):
    """Base of the kinds of data of which columns are features."""

    columns: Mapping[str, ColumnKind] = {}
    """What columns are, where the rows for training do not show it: `number`, `category`, `date`, or `left_out`; or the
    form of a date, such as `"%d.%m.%Y"`, as Python's `strptime` has it."""
    missing: Missing = "fill"
    """What becomes of a missing feature: `fill` gives numbers their mean and a column that says so, and categories a
    value of their own; `error` refuses it."""

    def column_kinds(self, train: Table, features: Sequence[int]) -> Mapping[int, str]:
        """Return what the experiment says that features are, by their positions.

        Raises:
            DataError: if it says so of another column.
        """
        kinds = {train.position(name, "columns"): kind for name, kind in self.columns.items()}
        if unknown := [name for name in self.columns if train.position(name, "columns") not in features]:
            raise DataError(f"{train.path}: {unknown[0]!r} of `columns` is not a feature")
        return kinds

    def typed_features(
        self, train: Table, features: Sequence[int], kinds: Mapping[int, str], *, asked_for: bool
    ) -> "tuple[tuple[tuple[int, Feature], ...], str]":
        """Read the columns of the file for training, and return the features with a sentence that says what they are.

        Args:
            asked_for: whether the experiment lists them.

        Raises:
            DataError: if a column is not what the experiment says, or none is left.
        """
        from kerasrun.reading.columns import LEFT_OUT, described, feature, look

        asked = {position: kinds.get(position) for position in features}
        seen = {one.position: one for one in look(train, asked)}
        found = {
            position: "by the experiment"
            if kind == LEFT_OUT
            else feature(seen[position], kind, train, asked_for=asked_for)
            for position, kind in asked.items()
        }
        left_out = {train.columns[position]: why for position, why in found.items() if isinstance(why, str)}
        typed = [(position, one) for position, one in found.items() if isinstance(one, Feature)]
        if not typed:
            raise DataError(f"{train.path}: no column is left for the features: {described([], left_out)}")
        order = ("number", "date", "category")
        typed.sort(key=lambda one: order.index(one[1].kind))
        return tuple(typed), described([(train.columns[position], one) for position, one in typed], left_out)


class RowSource(FeatureTable):
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
    """The columns of the features, in this order, categories last; by default every column not named elsewhere."""
    label: Column | None = None
    """The column of the class, as text or number."""
    one_hot: Length | Columns | None = None
    """The columns of one-hot labels, 1 in the column of the class; a number means this many columns at the end."""
    multi_label: Length | Columns | None = None
    """The columns of labels that may hold together, each 0 or 1; a number means this many columns at the end."""
    target: Column | Columns | None = None
    """The column, or the columns, of numbers to be predicted."""
    labels: Literal["columns", "input"] = "columns"
    """Whether labels are in `columns`, one of the keys above says which; or the features are their own labels, `input`,
    for an autoencoder: numbers without gaps."""
    sample_weight: Column | None = None
    """The column that says how much each training example counts in the loss."""
    classes: ClassNames | None = None
    """The classes in the order of their numbers; by default sorted, or the names of the one-hot columns."""

    @model_validator(mode="after")
    def _has_labels(self) -> Self:
        given = [key for key in LABEL_KINDS if getattr(self, key) is not None]
        if self.of_inputs:
            given += ["classes"] if self.classes else []
            if given:
                raise ValueError(f"expected no {' and '.join(given)} beside labels: input")
            return self
        if len(given) != 1:
            received = f", received {' and '.join(given)}" if given else ""
            raise ValueError(f"expected one of {', '.join(LABEL_KINDS)}, which says where the labels are{received}")
        if self.classes is not None and given == ["target"]:
            raise ValueError("expected no classes beside target: numbers have none")
        return self

    @property
    def label_key(self) -> str:
        """The key that says where the labels are; `labels` where they are the features."""
        if self.of_inputs:
            return "labels"
        return next(key for key in LABEL_KINDS if getattr(self, key) is not None)

    @property
    def label_kind(self) -> LabelKind:
        return "arrays" if self.of_inputs else LABEL_KINDS[self.label_key]

    @property
    def example_shape(self) -> Shape:
        return (None,)

    @property
    def label_columns(self) -> int | None:
        if self.of_inputs:
            return None if self.features is None else len(self.features)
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
    def recognized_by_rows(cls, path: Path, label: str | None) -> Recognized | None:
        paths = {"train": path} if path.is_file() else cls._files_of_splits(path)
        if "train" not in paths or paths["train"].suffix.lower() not in cls.suffixes:
            return None
        columns, rows, keys = cls.first_rows(paths["train"])
        header = keys.get("header", True)
        labels, label_keys = _guessed_labels(columns, rows, label, paths["train"], header=header)
        keys |= label_keys
        taken = set(labels)
        features = [place for place in range(len(columns)) if place not in taken]
        if any(not columns[place] for place in features):  # an index
            features = [place for place in features if columns[place]]
            if not features:
                raise DataError(f"{paths['train']}: labels and an index alone; expected features beside them")
            keys["features"] = [columns[place] for place in features]
        values = {place: [row[place] for row in rows] for place in features}
        kinds = {columns[place]: kind for place in features if (kind := _kind(columns[place], values[place]))}
        if kinds:
            keys["columns"] = kinds
        named = [columns[place] for place in labels] if header else []
        others = {name: file for name, file in paths.items() if name != "train"}
        unlabelled = [name for name, file in others.items() if not set(named) <= set(cls.first_rows(file)[0])]
        more = "".join(f"; {paths[name].name} has no column {named[0]!r}: it is for predict" for name in unlabelled)
        return cls.recognized({name: file for name, file in paths.items() if name not in unlabelled}, keys, more)

    @classmethod
    def _files_of_splits(cls, folder: Path) -> dict[str, Path]:
        """Find `train.csv`, `Testing.csv`, `validation_set.csv` and the like, or the one table that there is."""
        files = [file for file in list_folder(folder)[0] if file.suffix.lower() in cls.suffixes]
        found = by_split(folder, files, "files")
        return {"train": files[0]} if len(files) == 1 and not found else found

    def open(self) -> Data:
        paths = {"train": self.train, "validation": self.validation, "test": self.test}
        tables = {name: self.table(path) for name, path in paths.items() if path}
        train = tables["train"]
        layout, of_train, notes = self._typed(train)
        scanned = {
            name: of_train if table is train else self._scanned(table, _in_other(layout, train, table))
            for name, table in tables.items()
        }
        if self.label_key == "target":
            _require_different(of_train)
        if self.of_inputs:
            classes = _plain_columns(train, layout)
        else:
            classes = self._classes(of_train, [train.columns[position] for position in layout.labels])
        marks = self.marks({name: (rows.table, rows.lines.tolist()) for name, rows in scanned.items()})
        splits = {name: self._split(name, rows, classes, marks[name]) for name, rows in scanned.items()}
        row_format = RowFormat(
            tuple(train.columns[position] for position, _ in layout.features),
            *(train.header, train.delimiter, tuple(one for _, one in layout.features)),
            *(train.encoding, train.decimal, train.thousands),
            missing=self.missing,
            labels=tuple(train.columns[position] for position in layout.labels),
        )
        notes += tuple(note for rows in scanned.values() for note in rows.told_unknown)
        digest = hashlib.sha256(b"" if self.limit is None else f"limit {self.limit}\n".encode())
        for name, rows in scanned.items():
            digest.update(f"{name} {rows.sha256}\n".encode())
        return Data(splits, classes, None, digest.hexdigest(), self.label_kind, row_format, (*self.told(train), *notes))

    def other(
        self, path: Path, image_format: ImageFormat | None, row_format: RowFormat | None, classes: Sequence[str]
    ) -> Split | None:
        if row_format is None or image_format is not None:
            return None
        from kerasrun.reading.columns import placed

        table = self.table(path)
        labels = (
            table.position(name if row_format.header else int(name), self.label_key) for name in row_format.labels
        )
        layout = Layout(placed(row_format, table), tuple(labels), None)
        rows = self._scanned(table, layout)
        for note in rows.told_unknown:
            logger.warning("%s", note)
        return self.model_copy(update={"limit": None})._split(path.stem, rows, classes)

    def told(self, train: Table) -> tuple[str, ...]:
        """Return what to say of how a file is read, where the experiment does not say it."""
        del train
        return ()

    def _typed(self, train: Table) -> "tuple[Layout, ScannedRows, tuple[str, ...]]":
        """Find what the columns are, and read the file for training."""
        file, layout = FileThatStays(train.path), self._layout(train)
        positions = [position for position, _ in layout.features]
        kinds, asked_for = self.column_kinds(train, positions), self.features is not None
        if set(kinds.values()) <= {"number"}:
            try:  # most tables are numbers alone, and are read once
                scanned = self._scanned(train, layout, gaps=False)
            except DataError:
                file.check()
                typed, told = self.typed_features(train, positions, kinds, asked_for=asked_for)
                if len(typed) == len(positions) and all(one == Feature() for _, one in typed):
                    raise
            else:
                return layout.with_means(scanned.means), scanned, ()
        else:
            typed, told = self.typed_features(train, positions, kinds, asked_for=asked_for)
        layout = replace(layout, features=typed)
        scanned = self._scanned(train, layout)
        return layout.with_means(scanned.means), scanned, (told,)

    def _scanned(self, table: Table, layout: "Layout", *, gaps: bool = True) -> "ScannedRows":
        from kerasrun.reading.rows import scan_rows

        gaps = gaps and self.missing == "fill"
        if self.label_key == "label":
            return scan_rows(table, layout.features, gaps=gaps, text=layout.labels[0], weight=layout.weight)
        return scan_rows(table, layout.features, gaps=gaps, labels=layout.labels, weight=layout.weight)

    def _layout(self, train: Table) -> "Layout":
        """Find the columns that the experiment names in the file for training."""
        labels = self._label_columns(train)
        weight = None if self.sample_weight is None else train.position(self.sample_weight, "sample_weight")
        taken = {*labels, weight}
        if self.features is None:
            apart = {*taken, *self.division_columns(train).values()}
            features = tuple(position for position in range(len(train.columns)) if position not in apart)
        else:
            features = distinct(train, self.features, "features")
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
        number = Feature()  # one for all: there may be 100,000
        return Layout(tuple((position, number) for position in features), labels, weight)

    def _label_columns(self, train: Table) -> tuple[int, ...]:
        if self.of_inputs:
            return ()
        key, given = self.label_key, getattr(self, self.label_key)
        if key in ("label", "target") and isinstance(given, int | str):
            given = (given,)
        elif isinstance(given, int):
            given = range(-given, 0)
        labels = distinct(train, given, key)
        if key == "one_hot" and len(labels) < 2:
            raise DataError(f"{train.path}: `one_hot` is {train.name(labels[0])} alone; expected one for each class")
        return labels

    def _split(self, name: str, rows: "ScannedRows", classes: Sequence[str], marks: "Marks | None" = None) -> Split:
        import numpy as np

        from kerasrun.reading.inputs import checked_weights, within_limit

        own, weight = self.of_inputs, rows.weights
        labels = np.zeros(len(rows.lines)) if own else labels_of(rows, self.label_key, classes)
        chosen = within_limit(labels, self.limit)
        if weight is not None:
            weight = checked_weights(weight, lambda row: f"{rows.table.path}:{rows.lines[row]}: the weight")[chosen]
        groups, times = marks.arrays(chosen) if marks else (None, None)
        inputs = rows.chosen(chosen)
        aside = inputs if own else labels[chosen]
        return Split(name, inputs, aside, sample_weight=weight, groups=groups, times=times)

    def _classes(self, train: "ScannedRows", columns: Sequence[str]) -> tuple[str, ...]:
        """Return the names of the classes, or of the columns of other labels."""
        if self.label_key == "label":
            return found_classes(train, self.classes, train.table.columns.index(columns[0]))
        if self.classes is not None and len(self.classes) != len(columns):
            raise DataError(
                f"{self.train}: {len(columns)} columns of `{self.label_key}`, but {len(self.classes)} `classes`"
            )
        return self.classes or (tuple(columns) if train.table.header else tuple(map(str, range(len(columns)))))


@dataclass(frozen=True)
class Layout:
    """The columns of a file by their numbers."""

    features: tuple[tuple[int, Feature], ...]
    labels: tuple[int, ...]
    weight: int | None

    def with_means(self, means: Sequence[float]) -> "Layout":
        """Return the same with the means of the numbers, which come first."""
        return replace(self, features=with_means(self.features, means))


def with_means(features: Sequence[tuple[int, Feature]], means: Sequence[float]) -> tuple[tuple[int, Feature], ...]:
    """Return features with the means of the numbers, which come first."""
    return tuple(
        (position, Feature(mean=mean)) if one.kind == "number" and not one.gaps else (position, one)
        for (position, one), mean in zip(features, [*means, *[0.0] * len(features)], strict=False)
    )


def distinct(table: Table, columns: Sequence[Column], key: str) -> tuple[int, ...]:
    positions = tuple(table.position(column, key) for column in columns)
    for position, times in Counter(positions).items():
        if times > 1:
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
    features = tuple((table.position(train.columns[position], "features"), one) for position, one in layout.features)
    labels = tuple(table.position(train.columns[position], "labels") for position in layout.labels)
    return Layout(features, labels, None)


def found_classes(train: "ScannedRows", wanted: Sequence[str] | None, position: int) -> tuple[str, ...]:
    """Return the values in the column of the class, sorted, as numbers where all are numbers; or those in `wanted`."""
    column = f"{train.table.path}: {train.table.name(position)}"
    if wanted is not None:
        there = numbers_of(train.texts, wanted)
        for number, name in enumerate(wanted):
            if not any(there.get(text) == number for text in train.texts):
                raise DataError(f"{column}: no row of the class {name!r} of `classes`")
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
        raise DataError(f"{column}: every row is of the class {classes[0]!r}; expected at least two")
    return classes


def labels_of(rows: "ScannedRows", key: str, classes: Sequence[str]) -> "NDArray[Any]":
    """Return the labels as in `Split`; `key` says what the columns that were read as labels hold."""
    import numpy as np

    match key:
        case "label":
            return _class_numbers(rows, classes)
        case "one_hot":
            one_hot = _zeros_and_ones(rows, "a single 1 among zeros", single=True)
            return np.asarray(one_hot.argmax(axis=1), np.int64)
        case "multi_label":
            return _zeros_and_ones(rows, "0 or 1 for each label", single=False).astype(np.uint8)
    return rows.labels


def _class_numbers(rows: "ScannedRows", classes: Sequence[str]) -> "NDArray[np.int64]":
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


def _plain_columns(train: Table, layout: "Layout") -> tuple[str, ...]:
    """Return the names of the features, which are to be made again; refuse those that are not numbers, or have gaps."""
    for position, one in layout.features:
        if one.kind != "number" or one.gaps:
            what = "has missing values" if one.gaps else f"is a {one.kind}"
            raise DataError(
                f"{train.path}: {train.name(position)} {what}; `labels: input` takes numbers without gaps: leave it "
                f"out by `columns: {{{train.columns[position]}: left_out}}`"
            )
    return tuple(train.columns[position] for position, _ in layout.features)


def _require_different(train: "ScannedRows") -> None:
    """Refuse a target of which every row has the same number."""
    for name, numbers in zip(train.label_names, train.labels.T, strict=True):
        if len(numbers) > 1 and (numbers == numbers[0]).all():
            path, line = train.table.path, train.lines[-1]
            raise DataError(
                f"{path}:{line}: {name} is {numbers[0]:g} in this row as in all others; expected numbers to learn"
            )


def _zeros_and_ones(rows: "ScannedRows", expected: str, *, single: bool) -> "NDArray[np.float32]":
    import numpy as np

    labels = rows.labels
    allowed = np.isin(labels, (0, 1)).all(axis=1) & ((labels.sum(axis=1) == 1) | (not single))
    for row in np.flatnonzero(~allowed):
        values = listed([f"{value:g}" for value in labels[row]], 20)
        columns = f"{rows.label_names[0]} to {rows.label_names[-1]}"
        raise DataError(f"{rows.table.path}:{rows.lines[row]}: {columns} hold {values}; expected {expected}")
    return labels


def _guessed_labels(
    columns: Sequence[str], rows: Sequence[Sequence[str]], label: str | None, path: Path, *, header: bool
) -> tuple[list[int], dict[str, Any]]:
    """Return the columns of the labels, and the key that says so; `label` is the one that was named, if any."""
    count = len(columns)
    if label is None and not header and (one_hot := _one_hot(rows)):
        return list(range(count - one_hot, count)), {"one_hot": one_hot}
    place = count - 1
    if label is not None:
        if label not in columns:
            near = difflib.get_close_matches(label, columns, n=1)
            meant = f"; did you mean {near[0]!r}?" if near else ""
            raise DataError(f"{path}: no column {label!r} for --label; there are {listed(list(columns))}{meant}")
        place = list(columns).index(label)
    elif header:
        place = next((i for i, name in enumerate(columns) if name.lower() in LABEL_NAMES), place)
    column = columns[place] if header else place if place < count - 1 else -1
    values = {row[place] for row in rows}
    few = all(value.isdecimal() for value in values) and len(values) <= min(_MOST_CLASSES, len(rows) // 2)
    key = "label" if few or not all(map(is_number, values)) else "target"
    return [place], {key: column}


def _kind(name: str, values: Sequence[str]) -> str | None:
    """Return what to say of a column that has these values first; None where the values show it."""
    from kerasrun.reading.columns import LEFT_OUT, forms_of_dates

    there = without_gaps(values)
    if not there:
        return None
    if all(map(is_number, there)):
        numbers_rows = _ID.search(name) and all(map(str.isdecimal, there)) and len(set(there)) == len(values)
        return LEFT_OUT if numbers_rows else None
    return "date" if len(forms_of_dates(there)) == 1 else None


def _one_hot(rows: Sequence[Sequence[str]]) -> int | None:
    """Return how many columns at the end are 0 but for a single 1, in every row."""
    ones = [0] * len(rows)
    for count in range(1, len(rows[0])):
        marks = [value_of(row[-count]) for row in rows]
        if not all(mark in (0, 1) for mark in marks):
            return None
        ones = [before + (mark == 1) for before, mark in zip(ones, marks, strict=True)]
        if count > 1 and all(number == 1 for number in ones):
            return count
    return None


def without_gaps(values: Sequence[str]) -> Sequence[str]:
    """Return the values that are not missing; all where all are numbers, of which most columns are."""
    return values if all(map(is_number, values)) else [value for value in values if value.lower() not in MISSING]


def is_number(text: str) -> bool:
    """Return whether a text reads as a number, finite or not; the words of booleans do."""
    try:
        float(text)
    except ValueError:
        return text.lower() in ("true", "false")
    return True
