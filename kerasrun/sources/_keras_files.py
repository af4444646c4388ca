"""The files that `keras.datasets` downloads, read as `load_data()` reads them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from kerasrun.errors import DataError
from kerasrun.reading import pickles
from kerasrun.reading.files import unreadable
from kerasrun.reading.labelled_arrays import LabelledArrays
from kerasrun.regular_files import read_bytes
from kerasrun.sources.idx import PREFIXES, read_idx
from kerasrun.sources.npz import open_archive, read_array

Splits = dict[str, LabelledArrays]

_CLOTHES = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)
_CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_CIFAR10_FOLDER = Path("cifar-10-batches-py-target", "cifar-10-batches-py")
_CIFAR100_FOLDER = Path("cifar-100-python-target", "cifar-100-python")
_TEST_SHARE, _SEED = 0.2, 113
"""How Keras divides a table, by default."""

_LARGEST_CIFAR = 2**28
"""CIFAR-100's largest file has 148 MiB."""


@dataclass(frozen=True)
class KerasFiles:
    """The files of a data set in the folder of Keras's downloads."""

    last: Path
    """A file that is there once everything was downloaded."""
    read: Callable[[Path], Splits]
    """From the folder to the arrays."""
    classes: Callable[[Path], tuple[str, ...] | None] = lambda folder: None
    """From the folder to the names of the classes, where they have any."""


def _mnist(folder: Path) -> Splits:
    path, arrays = folder / "mnist.npz", {}
    with open_archive(path) as archive:
        for split in ("train", "test"):
            x, y = (read_array(archive, f"{axis}_{split}", path) for axis in "xy")
            arrays[split] = LabelledArrays(x, y, f"{path}: x_{split}", f"{path}: y_{split}")
    return arrays


def _fashion_mnist(folder: Path) -> Splits:
    arrays = {}
    for split in ("train", "test"):
        prefix = folder / "fashion-mnist" / PREFIXES[split][0]
        images, labels = Path(f"{prefix}-images-idx3-ubyte.gz"), Path(f"{prefix}-labels-idx1-ubyte.gz")
        arrays[split] = LabelledArrays(read_idx(images, "images"), read_idx(labels, "labels"), str(images), str(labels))
    return arrays


def _cifar10(folder: Path) -> Splits:
    inner = folder / _CIFAR10_FOLDER
    batches = [inner / f"data_batch_{number}" for number in range(1, 6)]
    return _from_pickles({"train": batches, "test": [inner / "test_batch"]}, "labels")


def _cifar100(folder: Path) -> Splits:
    files = {split: [folder / _CIFAR100_FOLDER / split] for split in ("train", "test")}
    return _from_pickles(files, "fine_labels")


def _cifar100_classes(folder: Path) -> tuple[str, ...]:
    path = folder / _CIFAR100_FOLDER / "meta"
    names = _unpickled(path).get(b"fine_label_names")
    if not isinstance(names, list) or not all(isinstance(name, bytes) for name in names):
        raise DataError(f"{path}: has no fine_label_names; expected the file that Keras downloads")
    return tuple(name.decode("utf-8", "replace") for name in names)


def _housing(file: str, folder: Path) -> Splits:
    """Read a table in the order and with the division of Keras's `load_data()`."""
    path = folder / file
    with open_archive(path) as archive:
        x, y = read_array(archive, "x", path), read_array(archive, "y", path)
    if not x.ndim or x.shape[:1] != y.shape[:1]:
        raise DataError(f"{path}: x has shape {x.shape} and y {y.shape}; expected rows and a number for each")
    order = np.arange(len(x))
    np.random.RandomState(_SEED).shuffle(order)
    end = int(len(order) * (1 - _TEST_SHARE))
    return {
        split: LabelledArrays(x[rows], y[rows], f"{path}: x", f"{path}: y")
        for split, rows in (("train", order[:end]), ("test", order[end:]))
    }


FILES: Mapping[str, KerasFiles] = {
    "mnist": KerasFiles(Path("mnist.npz"), _mnist),
    "fashion_mnist": KerasFiles(
        Path("fashion-mnist", "t10k-images-idx3-ubyte.gz"), _fashion_mnist, lambda folder: _CLOTHES
    ),
    "cifar10": KerasFiles(_CIFAR10_FOLDER / "test_batch", _cifar10, lambda folder: _CIFAR10),
    "cifar100": KerasFiles(_CIFAR100_FOLDER / "train", _cifar100, _cifar100_classes),
    "california_housing": KerasFiles(Path("california_housing.npz"), partial(_housing, "california_housing.npz")),
    "boston_housing": KerasFiles(Path("boston_housing.npz"), partial(_housing, "boston_housing.npz")),
}
"""By the data set's name in `keras.datasets`."""


def _from_pickles(files: Mapping[str, Sequence[Path]], labels: str) -> Splits:
    """Read CIFAR: rows of 3,072 bytes, the three channels one after the other."""
    arrays = {}
    for split, paths in files.items():
        images, numbers = [], []
        for path in paths:
            content = _unpickled(path)
            rows, given = getattr(content.get(b"data"), "value", None), content.get(labels.encode())
            if not isinstance(rows, np.ndarray) or rows.dtype != np.uint8 or rows.shape[1:] != (3 * 32 * 32,):
                raise DataError(f"{path}: 'data' must hold rows of 3072 bytes; expected the file that Keras downloads")
            if not isinstance(given, list) or len(given) != len(rows) or any(type(one) is not int for one in given):
                raise DataError(f"{path}: has not {len(rows)} {labels!r}, one for each image")
            images.append(rows.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
            numbers.append(np.array(given))
        names = (f"{paths[0]}: data", f"{paths[0]}: {labels}")
        arrays[split] = LabelledArrays(np.concatenate(images), np.concatenate(numbers), *names)
    return arrays


def _unpickled(path: Path) -> dict[bytes, Any]:
    """Return the arrays, lists and names in a file of CIFAR."""
    try:
        content = pickles.read(read_bytes(path, _LARGEST_CIFAR))
    except OSError as error:
        raise unreadable(path, error, "a file of CIFAR") from error
    except ValueError as error:
        raise DataError(f"{path}: is damaged, or not a file of CIFAR: {error}") from error
    if not isinstance(content, dict):
        raise DataError(f"{path}: is not a file of CIFAR")
    return content
