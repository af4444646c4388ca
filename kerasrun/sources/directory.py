"""Images in class folders."""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import field_validator, model_validator

from kerasrun.components import ExperimentPath
from kerasrun.errors import DataError
from kerasrun.reading.data import Data, ImageFormat, LabelKind, RowFormat, Split
from kerasrun.reading.files import image_files, list_folder, listed
from kerasrun.reading.folders import (
    check_classes,
    class_folders,
    folder_within,
    labelled_files,
    match_classes,
    split_folders,
)
from kerasrun.sources._image_source import ImageSource, ListedImages, split_of
from kerasrun.sources.base import ClassLabels, ClassNames, OnBadFile, Recognized

if TYPE_CHECKING:
    from kerasrun.reading.division import Marks

_LONGEST_PATTERN = 1000
_LARGEST_PATTERN = 2**18
"""Bytes of what RE2 makes of a pattern: how long a name takes grows with them."""
_OF_ASCII = re.compile(r"\\[wWbB]")
"""What RE2, unlike Python, knows of ASCII's letters alone."""

LabelledFiles = Sequence[tuple[Path, int]]


class Directory(ImageSource):
    """Image files in one folder per class: `<path>/{train,validation,test}/<class>/*`, or `<path>/<class>/*`.

    `train` may be spelt `training`, `validation` `valid` or `val`, and `test` `testing`, in capitals or not, and with
    `set`, `data` or `images` behind: `Training_Set`. Without such folders every image is for training. The class of an
    image is the name of its class folder, however deep below it is; a split may lack classes, but every class must be
    in `train`. Hidden files are passed over. Files that are not images by their extension (.jpg .jpeg .jpe .jfif .png
    .bmp .ppm .pgm .pbm .pnm .gif .webp .tif .tiff), or without one by how they begin, are counted and passed over. The
    order of the examples is by class and name. Rotation by EXIF data is applied; of an animation the first frame is
    read; samples of 16 bits keep their high byte; an alpha channel is dropped unless `color_mode` is `rgba`.
    """

    kind: ClassVar[str] = "directory"
    form: ClassVar[str] = "class folders of images"
    generality: ClassVar[int] = 3

    path: ExperimentPath
    """The folder that holds the class folders, or the folders of the splits."""
    labels: ClassLabels = "classes"
    """`classes`, by class folders; or `input`: the images themselves, for an autoencoder. Then every image below the
    folder of a split is taken, in class folders or not."""
    classes: ClassNames | None = None
    """The class folders to use, in the order of the class numbers; by default all, sorted by name."""
    group: str | None = None
    """A regular expression as [RE2](https://github.com/google/re2/wiki/Syntax) has them, searched in each file's path
    below its class folder: images for which it finds the same (in its first group, if it has one) belong together, such
    as those of a patient. `patient(\\d+)`, for example. `fit.validation_split` and `fit.test_split` do not divide them,
    and folders of splits must not."""

    @field_validator("group")
    @classmethod
    def _is_pattern(cls, value: str | None) -> str | None:
        if value is not None:
            _pattern(value)
        return value

    @model_validator(mode="after")
    def _has_classes(self) -> Self:
        if self.classes is not None and self.of_inputs:
            raise ValueError("expected no classes beside labels: input")
        return self

    @property
    def label_kind(self) -> LabelKind:
        return "arrays" if self.of_inputs else self.labels

    @property
    def listed_classes(self) -> tuple[str, ...] | None:
        return self.channels if self.of_inputs else self.classes

    def open(self) -> Data:
        folders = _folders(self.path)
        if self.of_inputs:
            listed = {name: self._images_below(name, folder) for name, folder in folders.items()}
            return self.data_of(self.path, listed, self.channels, self.label_kind)
        found = {name: class_folders(folder) for name, folder in folders.items()}
        classes = match_classes(found, self.classes)
        every = {name: labelled_files(folder, found[name], classes) for name, folder in folders.items()}
        files = {name: _within_limit(split, self.limit) for name, split in every.items()}
        left_out = _numbers(every["train"]) - _numbers(files["train"])
        folder_of = {number: found["train"][name] for number, name in enumerate(classes) if number not in left_out}
        return self.data_of(
            self.path,
            {
                name: _listed(name, split, classes, self._marks(split, [found[name].get(one) for one in classes]))
                for name, split in files.items()
            },
            classes,
            needed={n: f"{folder}: no image to train on in this class folder" for n, folder in folder_of.items()},
        )

    def other(
        self, path: Path, image_format: ImageFormat | None, row_format: RowFormat | None, classes: Sequence[str]
    ) -> Split | None:
        if not self.of_inputs or image_format is None:
            return None
        folders = split_folders(path)
        name = next((name for name in ("test", "validation", "train") if name in folders), path.resolve().name)
        every = self.model_copy(update={"limit": None, "group": None})
        return split_of(path, name, every._images_below(name, folders.get(name, path)), image_format, self.on_bad_file)

    def _images_below(self, split: str, folder: Path) -> ListedImages:
        files = _within_limit([(file, 0) for file in image_files([folder])], self.limit)
        marks = self._marks(files, [folder])
        entries = [f"{split}/{file.relative_to(folder).as_posix()}" for file, _ in files]
        if marks and marks.groups:
            entries = [f"{entry} {group}" for entry, group in zip(entries, marks.groups, strict=True)]
        return ListedImages([file for file, _ in files], None, entries, marks=marks)

    def _marks(self, files: LabelledFiles, folders: Sequence[Path | None]) -> "Marks | None":
        """Find to which groups files belong, whose class numbers are places in `folders`."""
        from kerasrun.reading.division import Marks

        if self.group is None:
            return None
        groups, without, pattern = [], [], _pattern(self.group)
        for path, number in files:
            name = str(path).removeprefix(f"{folders[number]}{os.sep}")
            if not name.isascii() and (of_ascii := _OF_ASCII.search(self.group)):
                raise DataError(
                    f"{path}: {self.group!r}, the `group`, has {of_ascii[0]}, which knows letters of ASCII alone; this "
                    "name has others: [\\pL\\pN_] is a letter, number or _ of any writing"
                )
            if found := pattern.search(os.fsencode(name)):
                groups.append(os.fsdecode(found[pattern.groups and 1] or b""))
            else:
                without.append(path)
        if without:
            raise DataError(
                f"{without[0]}: {self.group!r}, the `group`, finds nothing in this name"
                + (f", nor in {len(without) - 1} others of {len(files)}" if without[1:] else "")
            )
        return Marks(lambda index: str(files[index][0]), groups)

    @classmethod
    def recognize(cls, path: Path) -> Recognized | None:
        if not path.is_dir() or not list_folder(path)[1]:
            return None
        from kerasrun.sources._first_look import image_keys

        path = folder_within(path)
        folders = _folders(path)
        found = {name: class_folders(folder) for name, folder in folders.items()}
        classes = match_classes(found, None)
        files = [file for file, _ in labelled_files(folders["train"], found["train"], classes)]
        size, keys, seen = image_keys(files)
        return Recognized(
            cls.kind,
            {"path": path},
            f"{len(files):,} training images of {len(classes)} classes, {seen}",
            len(files),
            (*size, 1 if keys.get("color_mode") == "grayscale" else 3),
            len(classes),
            validates="validation" in folders,
            tests="test" in folders,
            keys=keys,
        )


def _pattern(text: str) -> Any:
    """Return RE2's pattern, for bytes: of a stranger's, Python's own may take longer than anybody waits.

    Raises:
        ValueError: if it is none.
    """
    import re2

    options = re2.Options()
    options.log_errors, options.max_mem = False, _LARGEST_PATTERN
    try:
        if len(text) > _LONGEST_PATTERN:
            raise re2.error(f"it has more than {_LONGEST_PATTERN:,} characters".encode())
        return re2.compile(os.fsencode(text), options)
    except re2.error as error:
        raise ValueError(f"expected a regular expression; {os.fsdecode(error.args[0])}") from error


def open_folder_with(
    image_format: ImageFormat, classes: Sequence[str], folder: Path, on_bad_file: OnBadFile = "error"
) -> Split:
    """Read a folder of class folders, by a trained model's classes and image format.

    Of folders of splits `test` is read, else `validation`, else `train`. `on_bad_file` is as in the experiment file.

    Raises:
        DataError: as `Directory.open` does, and if there is a class that is not in `classes`.
    """
    folders = split_folders(folder)
    name = next((name for name in ("test", "validation", "train") if name in folders), folder.resolve().name)
    root = folders.get(name, folder)
    found = class_folders(root)
    check_classes(found, classes, "the model")
    files = labelled_files(root, found, classes)
    return split_of(folder, name, _listed(name, files, classes), image_format, on_bad_file)


def _folders(path: Path) -> dict[str, Path]:
    """Return the folders of the splits by their names."""
    folders = split_folders(path) or {"train": path}
    if "train" not in folders:
        raise DataError(f"{path}: no folder train beside {listed([folder.name for folder in folders.values()])}")
    return folders


def _within_limit(files: LabelledFiles, limit: int | None) -> LabelledFiles:
    import numpy as np

    from kerasrun.reading.inputs import within_limit

    return [files[index] for index in within_limit(np.array([number for _, number in files]), limit)]


def _numbers(files: LabelledFiles) -> set[int]:
    return {number for _, number in files}


def _listed(split: str, files: LabelledFiles, classes: Sequence[str], marks: "Marks | None" = None) -> ListedImages:
    import numpy as np

    entries = [f"{split}/{classes[number]}/{path.name}" for path, number in files]
    if marks and marks.groups:
        entries = [f"{entry} {group}" for entry, group in zip(entries, marks.groups, strict=True)]
    labels = np.array([number for _, number in files], np.int64)
    return ListedImages([path for path, _ in files], labels, entries, marks=marks)
