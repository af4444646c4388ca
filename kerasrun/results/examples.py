"""The examples to predict: image files, rows of text files, or NumPy arrays; checked before TensorFlow is loaded."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kerasrun.errors import DataError, ModelFileError, UnreadableImageError
from kerasrun.model_file import ModelInfo, read_input_shape
from kerasrun.reading.columns import placed
from kerasrun.reading.data import FEATURES, ImageFormat, Inputs, RowFormat
from kerasrun.reading.files import IMAGE_SUFFIXES, image_files
from kerasrun.reading.image_files import read_images
from kerasrun.reading.image_lists import ImageFolder, folder_of, listed_rows
from kerasrun.reading.inputs import ArrayInputs
from kerasrun.reading.memory import too_large
from kerasrun.reading.rows import ScannedRows, TextTable, open_table, scan_rows
from kerasrun.sources.image_table import ImageTable, listed_files
from kerasrun.sources.npy import mapped

logger = logging.getLogger("kerasrun")


_NO_TABLES = (*IMAGE_SUFFIXES, ".npy")


@dataclass(frozen=True)
class Examples:
    """Examples without labels, as the network takes them."""

    paths: Sequence[str]
    """The name of each."""
    inputs: Inputs
    images: Sequence[Path] = ()
    """Their files, where they are images."""
    sizes: Sequence[tuple[int, int]] = ()
    """Width and height of each image in its file."""
    unreadable: Mapping[int, UnreadableImageError] = field(default_factory=dict)
    """The errors of image files, by their places among all that were named."""
    others: Mapping[str, Inputs] = field(default_factory=dict)
    """Further inputs of the network, as in `Split`."""


def read_examples(arguments: Sequence[str | Path], info: ModelInfo, model: Path) -> Examples:
    """Read what the command line names, as the model wants it.

    Args:
        arguments: `.npy` files for any model of one input; else image files, folders, globs and tables that list images
            for a model of images, text files of rows for a model of rows, tables that list images for one of both.

    Raises:
        DataError: if something is missing, damaged, or of another shape.
        ModelFileError: if the model takes nothing of the kind.
    """
    arrays = [Path(argument) for argument in arguments if Path(argument).suffix.lower() == ".npy"]
    if arrays and len(arrays) < len(arguments):
        raise DataError(f"{arrays[0]} is an array, and others are not; predict them one after the other")
    if info.image_format and info.row_format:
        files = [Path(argument) for argument in arguments]
        if other := next((file for file in files if file.is_dir() or file.suffix.lower() in _NO_TABLES), None):
            raise DataError(f"{other}: {model} takes columns beside each image; name a table that lists both")
        return _from_lists(files, info.image_format, info.row_format)
    if arrays:
        return _from_arrays(arrays, read_input_shape(model), info.image_format)
    if info.row_format:
        return _from_rows([Path(argument) for argument in arguments], info.row_format)
    if info.image_format is None or info.image_format.shape[2:] != read_input_shape(model)[2:]:
        raise ModelFileError(
            f"{model} was not trained on images in grey or colour, so it cannot predict image files; name .npy files "
            f"whose examples have the shape {read_input_shape(model)}"
        )
    files = [
        file
        for argument in arguments
        for file in (listed_files(Path(argument)) if _is_list(Path(argument)) else image_files([argument]))
    ]
    return _from_images(files, info.image_format)


def _is_list(path: Path) -> bool:
    return path.suffix.lower() in ImageTable.suffixes and path.is_file()


def _from_images(files: Sequence[Path], image_format: ImageFormat) -> Examples:
    images = read_images(files, image_format, resize=True)
    usable = [place for place in range(len(files)) if place not in images.errors]
    if not usable:
        images.require_all_usable("Name other files.")
    sizes = [(width, height) for width, height in images.sizes[usable].tolist()]
    kept = [files[place] for place in usable]
    return Examples([str(file) for file in kept], images.inputs(usable), kept, sizes, images.errors)


def _from_rows(files: Sequence[Path], row_format: RowFormat) -> Examples:
    """Read the columns that were features in training; without a header the file may have them alone."""
    tables = [_table(file, row_format) for file in files]
    scanned = [scan_rows(one, placed(row_format, one), gaps=row_format.missing == "fill") for one in tables]
    names = [f"{rows.table.path}:{line}" for rows in scanned for line in rows.lines.tolist()]
    return Examples(names, ArrayInputs(np.concatenate([_features(rows) for rows in scanned])))


def _from_lists(files: Sequence[Path], image_format: ImageFormat, row_format: RowFormat) -> Examples:
    """Read images that tables list, with the columns beside them.

    They are below the folder of their table, or below a folder in it.
    """
    assert row_format.image is not None, "what was read with a model's file names it"
    paths: list[Path] = []
    features = []
    for file in files:
        table = _table(file, row_format)
        columns = placed(row_format, table)
        image = {"image": table.position(row_format.image, "image")}
        rows = listed_rows(table, image, features=columns, gaps=row_format.missing == "fill")
        paths += rows.files(folder_of(file, rows.texts["image"]) or ImageFolder(file.parent))
        features.append(_features(rows.scanned))
    images = _from_images(paths, image_format)
    usable = [place for place in range(len(paths)) if place not in images.unreadable]
    return replace(images, others={FEATURES: ArrayInputs(np.concatenate(features)[usable])})


def _table(file: Path, row_format: RowFormat) -> TextTable:
    return open_table(
        *(file, row_format.delimiter),
        header=row_format.header,
        encoding=row_format.encoding,
        decimal=row_format.decimal,
        thousands=row_format.thousands,
    )


def _features(rows: ScannedRows) -> NDArray[np.float32]:
    """Return the features of every row, and say which categories are unknown."""
    for note in rows.told_unknown:
        logger.warning("%s", note)
    return rows.inputs.take(np.arange(len(rows.lines)))


def _from_arrays(files: Sequence[Path], shape: tuple[int, ...], image_format: ImageFormat | None) -> Examples:
    arrays = [checked_array(str(file), mapped(file), shape, image_format) for file in files]
    names = [f"{file}[{index}]" for file, array in zip(files, arrays, strict=True) for index in range(len(array))]
    return Examples(names, ArrayInputs(np.concatenate(arrays)))


def checked_array(
    path: str, array: NDArray[Any], shape: tuple[int, ...], image_format: ImageFormat | None
) -> NDArray[np.float32]:
    """Return float32 of shape (examples, *shape); pixels where the network was trained on images.

    Args:
        path: the name of the array in errors.

    Raises:
        DataError: if it has another shape, holds no numbers, or such as are no pixels.
    """
    expected = f"numbers of shape {('examples', *shape)}".replace("'", "")
    if array.dtype.kind not in "buif":
        raise DataError(f"{path}: holds no numbers; expected {expected}")
    without_channel = shape[:-1] if shape[-1:] == (1,) else None
    if array.shape == shape or without_channel in (array.shape, array.shape[1:]):
        array = array.reshape(-1, *shape)
    if array.shape[1:] != shape or not len(array):
        raise DataError(f"{path}: has shape {array.shape}; expected {expected}")
    if why := too_large(array.size * np.dtype(np.float32).itemsize):
        raise DataError(f"{path}: {why}; predict it in several files")
    with np.errstate(over="ignore"):  # what is too large for float32 becomes infinite, and is found below
        numbers: NDArray[np.float32] = array.astype(np.float32)
    wrong = np.flatnonzero(~np.isfinite(numbers).reshape(len(numbers), -1).all(axis=1))
    if len(wrong):
        raise DataError(f"{path}: the example at index {wrong[0]} holds NaN or infinity; expected finite numbers")
    return numbers if image_format is None else _pixels(path, numbers, array.dtype, image_format)


def _pixels(
    path: str, numbers: NDArray[np.float32], dtype: np.dtype[Any], image_format: ImageFormat
) -> NDArray[np.float32]:
    """Return numbers from 0 to 255; of 16 bits the high byte."""
    smallest, largest = float(numbers.min()), float(numbers.max())
    signs = (image_format.bits == 16, dtype == np.uint16, largest > 255)
    is_16_bit = sum(signs) > 1  # two of the three
    if is_16_bit and smallest >= 0 and largest < 2**16:
        return np.floor(numbers / 256)
    if smallest < 0 or largest > 255 or (largest <= 1 and (numbers != np.floor(numbers)).any()):
        raise DataError(
            f"{path}: has numbers from {smallest:g} to {largest:g}, but the model was trained on pixels of 0 to 255; "
            "bring them to that range"
        )
    return numbers
