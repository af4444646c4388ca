"""Images that a table lists."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from kerasrun.components import ExperimentPath
from kerasrun.errors import DataError
from kerasrun.reading.data import (
    FEATURES,
    SPELLINGS,
    Data,
    Feature,
    ImageFormat,
    LabelKind,
    RowFormat,
    SkippedFile,
    Split,
)
from kerasrun.reading.files import list_folder, listed, unreadable
from kerasrun.reading.folders import SPLIT_NAMES, by_split, split_called
from kerasrun.reading.labels import MISSING, distinct_classes
from kerasrun.sources._first_look import image_keys
from kerasrun.sources._image_source import ImageSource, ListedImages, split_of
from kerasrun.sources._rows import (
    LABEL_KINDS,
    LABEL_NAMES,
    LOOKED_AT,
    Column,
    Columns,
    FeatureTable,
    distinct,
    found_classes,
    is_number,
    labels_of,
    with_means,
)
from kerasrun.sources.base import ClassNames, Recognized
from kerasrun.sources.csv import WHITESPACE, Csv, first_lines
from kerasrun.tasks.base import task_named

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from kerasrun.reading.image_lists import ImageFolder, ListedRows
    from kerasrun.reading.rows import TextTable

logger = logging.getLogger("kerasrun")

_MANY_CLASSES = 1000
"""With more of them, labels of which most are there once are not classes."""
IMAGE = "image"
"""The name of the input that is an image, where there is another one beside it."""
_MOST_NAMES = 10_000
"""Each example has a number for every label that may hold."""
_FIRST_COLUMNS = 1000
"""A list has the names of its images in one of them; a wider table has numbers of something else."""
_FEW_NUMBERS = 30
"""Of at most this many different whole numbers in the column of the labels each is taken for a class."""


class ImageTable(ImageSource, FeatureTable):
    """Images that a text file lists, each in a row with its labels: a CSV with a header, or lines `cats/1.jpg 0`.

    A row names an image by its path below `folder`; the extension may be left out. A column is given by its name in the
    header, or by its number: from 0, or from -1 for the last one. One of `label`, `one_hot`, `multi_label` and `target`
    says where the labels are. There is a file for each split, or a column `split`; without either, every image is for
    training. The order of the examples is that of the rows. The image files are read as those of `directory`.

    With `features` the network has two inputs, `image` and `features`. `layers` name them in their `inputs`; a network
    of `keras.applications` joins the row to what it makes of the image; one that is `saved` takes them by their names
    or shapes. `preprocessing` is then a list for each: `{features: [Normalization]}`.
    """

    kind: ClassVar[str] = "image_table"
    form: ClassVar[str] = "a text file that lists images (.csv)"
    generality: ClassVar[int] = -1
    suffixes: ClassVar[tuple[str, ...]] = (*Csv.suffixes, ".lst")
    """The ends of the names of such files."""

    train: ExperimentPath
    """The file that lists the training examples; with `split`, all examples."""
    validation: ExperimentPath | None = None
    """The file that lists the validation examples."""
    test: ExperimentPath | None = None
    """The file that lists the test examples."""
    folder: ExperimentPath | None = None
    """The folder from which the images are named; by default that of the file that lists them."""
    image: Column | None = None
    """The column of the images' names; by default the first one that names an image in the first row."""
    label: Column | None = None
    """The column of the class, as text or number; by default the only other column, or the one called `label`, `class`
    or `target`."""
    one_hot: Columns | None = None
    """The columns of one-hot labels, 1 in the column of the class."""
    multi_label: Column | Columns | None = None
    """The columns of labels that may hold together, each 0 or 1; or the one column of their names, `cat;dog`."""
    separator: Annotated[str, Field(min_length=1)] = ";"
    """What is between two names in the one column of `multi_label`; an empty value names none."""
    target: Column | Columns | None = None
    """The column, or the columns, of numbers to be predicted."""
    features: Columns | None = None
    """Columns that the network sees beside the image, as the second of its inputs: `image` and `features`."""
    labels: Literal["columns", "input"] = "columns"
    """Whether labels are in `columns`; or the images themselves are, `input`, for an autoencoder."""
    sample_weight: Column | None = None
    """The column that says how much each training example counts in the loss."""
    split: Column | None = None
    """The column that says which split a row is in: `train`, `validation` (`valid`, `val`) or `test`."""
    classes: ClassNames | None = None
    """The classes in the order of their numbers; by default sorted, or the names of the columns of labels."""
    header: Literal["auto"] | bool = "auto"
    """Whether the first row of each file names the columns; `auto`: it does where it does not name an image."""
    delimiter: str = "auto"
    """What is between two values: one character, or `whitespace`; `auto`: a comma, a tab, a semicolon, a bar or blanks,
    the first of them that is in the first line."""

    @field_validator("delimiter")
    @classmethod
    def _separates(cls, value: str) -> str:
        if value not in ("auto", WHITESPACE) and (len(value) != 1 or value in '"\r\n'):
            raise ValueError(f"expected one character, {WHITESPACE} or auto")
        return value

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if len(given := self._given) > 1:
            raise ValueError(f"expected one of {', '.join(LABEL_KINDS)}, received {' and '.join(given)}")
        if self.of_inputs and (given or self.classes is not None):
            raise ValueError(
                f"expected no {listed([*given, *(['classes'] if self.classes else [])])} beside labels: input"
            )
        if self.classes is not None and given == ["target"]:
            raise ValueError("expected no classes beside target: numbers have none")
        if self.split is not None and (self.validation or self.test):
            raise ValueError("expected a column `split`, or a file for each split, not both")
        if self.columns and self.features is None:
            raise ValueError("expected `features` beside `columns`, which says what those are")
        return self

    @property
    def _given(self) -> list[str]:
        return [key for key in LABEL_KINDS if getattr(self, key) is not None]

    @property
    def label_key(self) -> str:
        """The key that says where the labels are."""
        return next(iter(self._given), "label")

    @property
    def input_names(self) -> tuple[str, ...]:
        return super().input_names if self.features is None else (IMAGE, FEATURES)

    @property
    def label_kind(self) -> LabelKind:
        return "arrays" if self.of_inputs else LABEL_KINDS[self.label_key]

    @property
    def listed_classes(self) -> tuple[str, ...] | None:
        return self.channels if self.of_inputs else self.classes

    @property
    def label_columns(self) -> int | None:
        if self.of_inputs:
            return len(self.channels)
        if self._has_names:
            return None if self.classes is None else len(self.classes)
        columns = getattr(self, self.label_key)
        return len(columns) if isinstance(columns, tuple) else 1

    @property
    def _has_names(self) -> bool:
        """Whether one column has the names of all labels that hold."""
        return isinstance(self.multi_label, int | str)

    def open(self) -> Data:
        paths = {"train": self.train, "validation": self.validation, "test": self.test}
        folders = self._folders(path for path in paths.values() if path)
        tables = {name: self._table(path, folders) for name, path in paths.items() if path}
        train = tables["train"]
        layout, told = self._typed(train, self._layout(train, folders))
        rows = {
            name: self._read(table, layout if table is train else layout.in_other(train, table))
            for name, table in tables.items()
        }
        notes = (*told, *(note for one in rows.values() for note in one.scanned.told_unknown))
        layout = replace(layout, features=with_means(layout.features, rows["train"].scanned.means))
        if self.split is not None:
            rows = _by_split(rows["train"], required="train")
        classes = self._classes(rows["train"], layout)
        found = self._found(rows, classes, folders)
        labels = found["train"].labels
        data = self.data_of(
            folders[self.train].path,
            found,
            classes,
            self.label_kind,
            needed={
                int(number): f"{self.train}: no image of the class {classes[number]!r} can be read"
                for number in (
                    set(labels.tolist()) if task_named(self.label_kind).one_class and labels is not None else ()
                )
            },
        )
        return replace(data, row_format=self._row_format(train, layout), notes=notes) if layout.features else data

    def _row_format(self, train: "TextTable", layout: "_Layout") -> RowFormat:
        return RowFormat(
            tuple(train.columns[position] for position, _ in layout.features),
            *(train.header, train.delimiter, tuple(one for _, one in layout.features)),
            missing=self.missing,
            labels=tuple(train.columns[position] for position in layout.labels),
            image=train.columns[layout.texts["image"]],
        )

    def _typed(self, train: "TextTable", layout: "_Layout") -> tuple["_Layout", tuple[str, ...]]:
        """Find what the columns of features are; and say it."""
        if not layout.features:
            return layout, ()
        positions = [position for position, _ in layout.features]
        kinds = self.column_kinds(train, positions)
        features, told = self.typed_features(train, positions, kinds, asked_for=True)
        return replace(layout, features=features), (told,)

    def other(
        self, path: Path, image_format: ImageFormat | None, row_format: RowFormat | None, classes: Sequence[str]
    ) -> Split | None:
        if path.is_dir() or image_format is None:
            return None
        folders = self._folders([path])
        table = self._table(path, folders)
        layout = self._layout(table, folders, is_other=True)
        if row_format is not None:
            from kerasrun.reading.columns import placed

            layout = replace(layout, features=placed(row_format, table))
        rows = {path.stem: self._read(table, layout)}
        for note in rows[path.stem].scanned.told_unknown:
            logger.warning("%s", note)
        if "split" in layout.texts:
            rows = _by_split(rows[path.stem])
        name = next((name for name in ("test", "validation", "train") if name in rows), path.stem)
        found = self.model_copy(update={"limit": None})._found({name: rows[name]}, classes, folders)
        return split_of(folders[path].path, name, found[name], image_format, self.on_bad_file)

    @classmethod
    def recognized_by_rows(cls, path: Path, label: str | None) -> Recognized | None:
        from kerasrun.reading.image_lists import ImageFolder, rows_of

        if path.is_dir():
            return cls._recognized_in(path, label)
        if not path.is_file() or path.suffix.lower() not in cls.suffixes:
            return None
        try:
            source = cls(train=path)
            table = source._table(path, source._folders([path]))
            rows = list(islice(rows_of(table), LOOKED_AT))
        except DataError:  # the other kinds of tables say what is wrong with it
            return None
        for folder in (path.parent, *list_folder(path.parent)[1]):
            images = ImageFolder(folder)
            for place, name in enumerate(rows[0][:_FIRST_COLUMNS] if rows else ()):
                if images.names_image(name):
                    files = [file for row in rows if (file := images.find_at_first_sight(row[place]))]
                    if 2 * len(set(files)) <= len(rows):  # values that are the names of a few files by chance
                        continue
                    keys, beside = _guessed_keys(table, rows, place, label)
                    paths = {"train": path} | ({} if folder == path.parent else {"folder": folder})
                    _, image_format, seen = image_keys(files)
                    keys, more = keys | image_format, f"; the images are {seen}{beside}"
                    try:
                        return cls.recognized(paths, keys, more)
                    except DataError:  # other faults than missing files are raised again
                        keys |= {"on_bad_file": "skip"}
                        return cls.recognized(paths, keys, f"{more}; listed images that are not there are left out")
        return None

    @classmethod
    def _recognized_in(cls, folder: Path, label: str | None) -> Recognized | None:
        """Recognize the list, or one for each split, beside a folder of images; class folders are other data."""
        files, folders = list_folder(folder)
        tables = [file for file in files if file.suffix.lower() in cls.suffixes]
        of_splits = all(split_called(one.name) and not list_folder(one)[1] for one in folders)
        if not tables or (len(folders) > 1 and not of_splits):
            return None
        lists = {}
        for table in tables:
            try:
                found = cls.recognized_by_rows(table, label)
            except DataError:
                if len(tables) == 1 or split_called(table.stem) == "train":
                    raise
                continue  # a list without labels is for predict
            if found:
                lists[table] = found
        named = by_split(folder, list(lists), "files")
        if len(lists) == 1 or "train" not in named:
            return next(iter(lists.values())) if len(lists) == 1 else None
        found = lists[named["train"]]
        if any(lists[table].paths.get("folder") != found.paths.get("folder") for table in named.values()):
            return found
        more = found.about[found.about.index("; the images") :]
        return cls.recognized({**found.paths, **named}, found.keys, more)

    def _folders(self, tables: Iterable[Path]) -> dict[Path, "ImageFolder"]:
        """Return the folder of the images of each table; what is one folder is listed once."""
        from kerasrun.reading.image_lists import ImageFolder

        paths = {table: self.folder or table.parent for table in tables}
        folders = {path: ImageFolder(path) for path in paths.values()}
        return {table: folders[path] for table, path in paths.items()}

    def _table(self, path: Path, folders: Mapping[Path, "ImageFolder"]) -> "TextTable":
        from kerasrun.reading.image_lists import has_header
        from kerasrun.reading.rows import open_table

        between = self.delimiter
        if between == "auto":
            try:
                line = next(iter(first_lines(path, "utf-8-sig", "replace")), "")
            except OSError as error:
                raise unreadable(path, error, "a text file that lists images") from error
            usual = ",\t;|".replace(self.separator, "") if self._has_names else ",\t;|"
            between = next((one for one in usual if one in line), WHITESPACE)
        delimiter = None if between == WHITESPACE else between
        if self.header != "auto":
            return open_table(path, delimiter, header=self.header)
        table = open_table(path, delimiter, header=False)
        return open_table(path, delimiter, header=True) if has_header(table, folders[path]) else table

    def _layout(
        self, table: "TextTable", folders: Mapping[Path, "ImageFolder"], *, is_other: bool = False
    ) -> "_Layout":
        """Find the columns that the experiment names; another table needs no column that says what trains."""
        from kerasrun.reading.image_lists import rows_of

        taken = {}
        for key in ("sample_weight", "split"):
            column = getattr(self, key)
            if column is not None and not (key == "split" and is_other and str(column) not in table.columns):
                taken[key] = table.position(column, key)
        taken |= {} if is_other else self.division_columns(table)
        given = getattr(self, self.label_key)
        wanted = given if isinstance(given, tuple) else () if given is None else (given,)
        labels = tuple(table.position(column, self.label_key) for column in wanted)
        if self.image is not None:
            taken["image"] = table.position(self.image, "image")
        else:
            free = [place for place in range(len(table.columns)) if place not in (*labels, *taken.values())]
            first, folder = next(rows_of(table), None), folders[table.path]
            named = [place for place in free if first and folder.names_image(first[place])]
            taken["image"] = next(iter(named or free), 0)
        if given is None and not self.of_inputs:
            labels = (_label_column(table, taken),)
        if self.label_key == "one_hot" and len(labels) < 2:
            raise DataError(f"{table.path}: `one_hot` is {table.name(labels[0])} alone; expected one for each class")
        features = () if self.features is None else distinct(table, self.features, FEATURES)
        roles: dict[int, str] = {}
        of_keys = {self.label_key: labels, FEATURES: features, **{key: (one,) for key, one in taken.items()}}
        for position, key in ((one, key) for key, positions in of_keys.items() for one in positions):
            if position in roles:
                raise DataError(f"{table.path}: {table.name(position)} is `{roles[position]}`, and `{key}` as well")
            roles[position] = key
        weight = taken.pop("sample_weight", None)
        texts = taken | ({"multi_label": labels[0]} if self._has_names else {})
        return _Layout(texts, labels, weight, tuple((position, Feature()) for position in features))

    def _read(self, table: "TextTable", layout: "_Layout") -> "ListedRows":
        from kerasrun.reading.image_lists import listed_rows

        return listed_rows(
            table,
            layout.texts,
            may_be_empty="multi_label",
            labels=() if self._has_names or self.label_key == "label" else layout.labels,
            text=layout.labels[0] if self.label_key == "label" and layout.labels else None,
            weight=layout.weight,
            features=layout.features,
            gaps=self.missing == "fill",
        )

    def _classes(self, train: "ListedRows", layout: "_Layout") -> tuple[str, ...]:
        """Return the names of the classes, or of the columns of other labels."""
        table = train.scanned.table
        if self.of_inputs:
            return self.channels
        if self.label_key == "label":
            found = found_classes(train.scanned, self.classes, layout.labels[0])
            if self.classes is None and len(found) > max(_MANY_CLASSES, len(train) // 2):
                raise DataError(
                    f"{table.path}: {table.name(layout.labels[0])} has {len(found):,} values in {len(train):,} rows, "
                    "each of which would be a class; expected the column of the class as `label`"
                )
            return found
        if self._has_names:
            return self.classes or self._found_names(train, layout)
        if self.classes is not None and len(self.classes) != len(layout.labels):
            raise DataError(
                f"{table.path}: {len(layout.labels)} columns of `{self.label_key}`, but {len(self.classes)} `classes`"
            )
        for place, position in enumerate(layout.labels if len(train) > 1 else ()):
            values = train.scanned.labels[:, place]
            if (values == values[0]).all():
                raise DataError(f"{table.path}: {table.name(position)} is {values[0]:g} in every row to train on")
        return self.classes or tuple(table.columns[position] for position in layout.labels)

    def _found_names(self, train: "ListedRows", layout: "_Layout") -> tuple[str, ...]:
        found: dict[str, int] = {}
        for row, names in enumerate(train.names("multi_label", self.separator)):
            for name in names:
                found.setdefault(name, row)
        for name, row in found.items():
            if name.lower() in MISSING:
                raise DataError(
                    f"{train.place(row, 'multi_label')}: the label {name!r} means a missing value; leave the value "
                    "empty where no label holds, or list `classes` if it is the name of one"
                )
        if not 2 <= len(found) <= _MOST_NAMES:
            table = train.scanned.table
            raise DataError(
                f"{table.path}: {table.name(layout.labels[0])} has {len(found):,} different labels, with "
                f"{self.separator!r} between two of them; expected 2 to {_MOST_NAMES:,}: say `separator`"
            )
        return distinct_classes(found)

    def _labels(self, rows: "ListedRows", classes: Sequence[str]) -> "NDArray[Any]":
        if self.of_inputs:
            import numpy as np

            return np.zeros(len(rows), np.int64)
        if self._has_names:
            return rows.zeros_and_ones("multi_label", self.separator, classes)
        return labels_of(rows.scanned, self.label_key, classes)

    def _found(
        self, rows: Mapping[str, "ListedRows"], classes: Sequence[str], folders: Mapping[Path, "ImageFolder"]
    ) -> dict[str, ListedImages]:
        """Find the files of every split, as far as `limit` goes.

        Raises:
            DataError: if one is not there, unless bad files are skipped; or is in two splits.
        """
        import numpy as np

        from kerasrun.reading.division import require_apart
        from kerasrun.reading.inputs import checked_weights, within_limit

        missing: list[tuple[Path, str, str]] = []
        found, marks = {}, {}
        for name, one in rows.items():
            folder = folders[one.scanned.table.path]
            labels, weights = self._labels(one, classes), one.scanned.weights
            if weights is not None:
                weights = checked_weights(weights, one.weight_at)
            features = one.scanned.inputs.take(np.arange(len(one))) if self.features else None
            chosen, paths, entries, skipped = [], [], [], []
            chosen_rows = within_limit(labels, self.limit).tolist()
            for row, (written, path) in zip(chosen_rows, one.named_files(folder, chosen_rows), strict=True):
                place = one.place(row)
                if path is None:
                    skipped.append(SkippedFile(folder.path / written, f"is not there, but listed in {place}"))
                    missing.append((folder.path, place, written))
                    continue
                label = ""
                if not self.of_inputs:
                    label = classes[labels[row]] if labels.ndim == 1 else " ".join(map(str, labels[row].tolist()))
                others = [one.texts[key][row] for key in ("group", "time") if key in one.texts]
                others += [] if weights is None else [str(weights[row])]
                others += [] if features is None else map(str, features[row].tolist())
                entries.append(" ".join([f"{name}/{written} {label}", *others]))
                paths.append(path)
                chosen.append(row)
            kept = None if weights is None else weights[chosen]
            marks[name] = one.marks(chosen, paths)
            beside = None if features is None else features[chosen]
            own = None if self.of_inputs else labels[chosen]
            found[name] = ListedImages(paths, own, entries, kept, tuple(skipped), marks[name], beside)
        require_apart(
            {name: [str(path) for path in one.paths] for name, one in found.items()},
            lambda name, index: marks[name].place(index),
            "image",
        )
        if missing and self.on_bad_file == "error":
            total = len(missing) + sum(len(one.paths) for one in found.values())
            lines = [f"  {place}: {written}" for _, place, written in missing]
            searched = list(dict.fromkeys(str(path) for path, _, _ in missing))
            raise DataError(
                f"{len(missing)} of {total} listed images are not in {listed(searched)}:\n"
                + listed(lines, separator="\n")
                + f"\n{_advice(missing[0][0], missing[0][2])}"
            )
        return found


@dataclass(frozen=True)
class _Layout:
    """The columns of a table by their numbers."""

    texts: Mapping[str, int]
    """Columns that are read as text, by their keys."""
    labels: tuple[int, ...]
    weight: int | None
    features: tuple[tuple[int, Feature], ...] = ()

    def in_other(self, train: "TextTable", table: "TextTable") -> "_Layout":
        """Find the same columns in another table, which need not have weights."""

        def there(position: int, key: str) -> int:
            return table.position(train.columns[position] if train.header and table.header else position, key)

        texts = {key: there(position, key) for key, position in self.texts.items()}
        features = tuple((there(position, FEATURES), one) for position, one in self.features)
        return _Layout(texts, tuple(there(position, "labels") for position in self.labels), None, features)


def listed_files(path: Path) -> list[Path]:
    """Return the image files that a table lists, of whatever other columns; one that is not there by its name.

    Raises:
        DataError: if there is no such column, or a name is missing or leads out of the folder.
    """
    from kerasrun.reading.image_lists import folder_of, listed_rows, rows_of

    source = ImageTable(train=path)
    table = source._table(path, source._folders([path]))
    for place, names in enumerate(zip(*islice(rows_of(table), LOOKED_AT), strict=True)):
        if folder := folder_of(path, names):
            return listed_rows(table, {"image": place}).files(folder)
    raise DataError(f"{path}: lists no image that is there; expected a column of the names of images, from its folder")


def _by_split(rows: "ListedRows", required: str | None = None) -> dict[str, "ListedRows"]:
    """Divide rows by their column `split`."""
    places: dict[str, list[int]] = {name: [] for name in SPELLINGS}
    for row, value in enumerate(rows.texts["split"]):
        if (name := split_called(value)) is None:
            raise DataError(f"{rows.place(row, 'split')}: {value!r}; expected {', '.join(SPLIT_NAMES)}")
        places[name].append(row)
    if required and not places[required]:
        raise DataError(f"{rows.scanned.table.path}: no row is for {required} in the column `split`")
    return {name: rows.only(chosen) for name, chosen in places.items() if chosen}


def _label_column(table: "TextTable", taken: Mapping[str, int]) -> int:
    """Return the column of the labels where the experiment does not name it."""
    free = [place for place in range(len(table.columns)) if place not in taken.values()]
    named = [place for place in free if table.columns[place].lower() in LABEL_NAMES]
    if len(found := named if len(named) == 1 else free) == 1:
        return found[0]
    there = f"there are the columns {listed(table.columns)}" if free else "there is none beside the names of the images"
    raise DataError(f"{table.path}: expected one of {', '.join(LABEL_KINDS)}, which says where the labels are; {there}")


def _advice(folder: Path, name: str) -> str:
    """Say what to do about images that are not there, of which one has this name."""
    from kerasrun.reading.image_lists import ImageFolder

    for below in list_folder(folder)[1] if folder.is_dir() else ():
        if ImageFolder(below).find(name):
            return f"Did you mean `folder: {below}`?"
    return "Say with `folder` where they are, take their rows out, or set `on_bad_file: skip` to leave them out."


def _guessed_keys(
    table: "TextTable", rows: Sequence[Sequence[str]], image: int, wanted: str | None
) -> tuple[dict[str, Any], str]:
    """Return the keys that say which columns are what, the label that is wanted if any, and what else was seen."""
    named: dict[int, int | str] = {
        place: table.columns[place] if table.header else place for place in range(len(table.columns))
    }
    keys: dict[str, Any] = {"image": named.pop(image)}
    values = {place: [row[place] for row in rows] for place in named}
    given = None
    if wanted is not None:
        given = table.position(int(wanted) if wanted.isdecimal() and len(wanted) < 10 else wanted, "--label")
    if given == image:
        raise DataError(f"{table.path}: column {wanted!r} for --label has the names of the images")
    split = next((one for one, there in values.items() if one != given and all(map(split_called, there))), None)
    if split is not None:
        keys["split"] = named.pop(split)
    if not named:
        raise DataError(f"{table.path}: lists images, but has no column beside them that could be a label")
    marks = [place for place in named if set(values[place]) <= {"0", "1"}]
    guessed = next((place for place in named if str(named[place]).lower() in LABEL_NAMES), next(reversed(named)))
    label = guessed if given is None else given
    if len(marks) > 1 and label in marks and given is None:
        single = all(sum(row[place] == "1" for place in marks) == 1 for row in rows)
        keys["one_hot" if single else "multi_label"] = [named[place] for place in marks]
        used = set(marks)
    else:
        there = set(values[label])
        several = any(";" in value for value in there)
        numbers = all(map(is_number, there)) and (len(there) > _FEW_NUMBERS or any("." in value for value in there))
        keys["multi_label" if several else "target" if numbers else "label"] = named[label]
        used = {label}
    others = [str(name) for place, name in named.items() if place not in used]
    unused = f"; not used: {listed(others)} (with `features` the network sees them beside the image)"
    return keys, unused if others else ""
