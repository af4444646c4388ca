"""Class folders: which folder is which split, and which file is of which class."""

import difflib
import logging
import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from kerasrun.errors import DataError
from kerasrun.reading.data import SPELLINGS
from kerasrun.reading.files import IMAGE_SUFFIXES, files_below, is_image, list_folder, listed, passed_over

logger = logging.getLogger("kerasrun")

SPLIT_NAMES = {spelling: split for split, spellings in SPELLINGS.items() for spelling in spellings}
"""The split by the name of its folder or file, as far as `split_called` does not take more for the same."""
_OF_IMAGES = re.compile(r"(dataset|set|data|images|imgs|photos)$")


def split_called(name: str) -> str | None:
    """Return the split that a name stands for in any spelling, such as `training_set` or `Test images`."""
    letters = re.sub(r"[\W_]", "", name.lower())
    return SPLIT_NAMES.get(_OF_IMAGES.sub("", letters))


def split_folders(path: Path) -> dict[str, Path]:
    """Return the folders of the splits below `path` by the split's name; none if `path` holds the data itself.

    Raises:
        DataError: if `path` is not a folder, or has a split twice.
    """
    folders = list_folder(path)[1]
    splits = [folder for folder in folders if split_called(folder.name)]
    # A class may be called `train` (beside `plane`); a split's folder is known by the class folders in it.
    if len(splits) < len(folders) and not any(list_folder(folder)[1] for folder in splits):
        return {}
    return by_split(path, splits)


def by_split(path: Path, entries: Sequence[Path], what: str = "folders") -> dict[str, Path]:
    """Return those of the folders (or the `files`) in `path` that are named as a split, by the split's name.

    Raises:
        DataError: if a split is there twice.
    """
    found: dict[str, Path] = {}
    for entry in entries:
        name = split_called(entry.stem if what == "files" else entry.name)
        if name in found:
            raise DataError(f"{path}: two {what} for {name}: {found[name].name} and {entry.name}; keep one of them")
        if name:
            found[name] = entry
    return {name: found[name] for name in SPELLINGS if name in found}


def folder_within(path: Path) -> Path:
    """Return the folder of the data: the only one in `path`, and in that, as archives are unpacked; else `path`."""
    for _ in range(3):
        files, folders = list_folder(path)
        if len(folders) != 1 or any(map(is_image, files)) or split_called(folders[0].name):
            break
        if not list_folder(folders[0])[1]:
            break
        path = folders[0]
    return path


def class_folders(folder: Path) -> dict[str, Path]:
    """Return the class folders of a split, by name: those in its only folder, if that is named like it or `images`.

    Raises:
        DataError: if there is none, or one holds the folders of splits, whose images would be mixed.
    """
    files, folders = list_folder(folder)
    if len(folders) == 1 and (folders[0].name == folder.name or _OF_IMAGES.match(folders[0].name.lower())):
        files, folders = within if (within := list_folder(folders[0]))[1] else (files, folders)
    for sub in folders:
        _check_one_class(sub)
    if not folders:
        images = sum(map(is_image, files))
        raise DataError(f"{folder}: no class folders here, but {images} images; expected {folder.name}/<class>/<image>")
    return {sub.name: sub for sub in folders}


def _check_one_class(folder: Path) -> None:
    splits = [sub for sub in list_folder(folder)[1] if split_called(sub.name)]
    names = listed([split.name for split in splits])
    said = f"{folder}: holds folders of splits ({names}), so it is not the folder of one class"
    if any(list_folder(split)[1] for split in splits):
        raise DataError(f"{said} but data of its own; give it as the path")
    if len({split_called(split.name) for split in splits}) > 1:
        raise DataError(f"{said}; expected the splits above the classes: {splits[0].name}/{folder.name}/<image>")


def match_classes(found: Mapping[str, Mapping[str, Path]], wanted: Sequence[str] | None) -> tuple[str, ...]:
    """Return the classes, in the order of their numbers: those that are `wanted`, or all of `train`, sorted.

    Raises:
        DataError: if `train` lacks a class that is wanted or that another split has, or has a single class.
    """
    trained = found["train"]
    folder = next(iter(trained.values())).parent
    for name in wanted or ():
        if name not in trained:
            near = difflib.get_close_matches(name, trained, n=1)
            raise DataError(
                f"{folder}: no folder for the class {name!r} of `classes`; there are {listed(list(trained))}"
                + (f"; did you mean {near[0]!r}?" if near else "")
            )
    for split in found:
        check_classes(found[split], list(trained), f"train ({folder})")
    if len(trained) < 2:
        raise DataError(f"{folder}: a single class, {next(iter(trained))!r}; expected a folder for each class")
    return tuple(wanted or trained)


def check_classes(found: Mapping[str, Path], known: Sequence[str], origin: str) -> None:
    """Refuse a class folder that is not `known`; `origin` says who knows them."""
    unknown = [folder for name, folder in found.items() if name not in set(known)]
    if unknown:
        names = ("class " if len(unknown) == 1 else "classes ") + listed([repr(folder.name) for folder in unknown])
        raise DataError(f"{unknown[0].parent}: {names}, which {origin} does not have; it has {listed(list(known))}")


def labelled_files(folder: Path, found: Mapping[str, Path], classes: Sequence[str]) -> list[tuple[Path, int]]:
    """Return every image of the split `folder` with its class number, by class and name.

    Folders in a class folder are of that class.

    Raises:
        DataError: if there is no image, or a class folder holds files but no image.
    """
    below = {name: files_below(found[name]) for name in classes if name in found}
    images = {name: _images(found[name], files) for name, files in below.items()}
    files = [(image, number) for number, name in enumerate(classes) for image in images.get(name, ())]
    if others := passed_over(file for one in below.values() for file in one):
        _say_passed_over(folder, others)
    if not files:
        raise DataError(f"{folder}: no images in this split; expected {folder.name}/<class>/<image>")
    return files


@cache
def _say_passed_over(folder: Path, others: str) -> None:
    logger.warning("%s: files that are not images are passed over: %s", folder, others)


def _images(folder: Path, files: Sequence[Path]) -> list[Path]:
    images = [file for file in files if is_image(file)]
    if files and not images:
        raise DataError(
            f"{folder}: no image in this class folder; expected files ending in {listed(sorted(IMAGE_SUFFIXES), 14)}; "
            f"there are {passed_over(files)}, such as {files[0].name}"
        )
    return images
