"""The small data sets that Keras downloads: images and tables of `keras.datasets`."""

import ast
import logging
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, Literal

from kerasrun.components import ExperimentPath
from kerasrun.errors import DataError
from kerasrun.keras_source import source_of
from kerasrun.reading.data import Data, LabelKind, Shape
from kerasrun.reading.files import missing, sha256_of_content
from kerasrun.sources._array_source import ArraySource
from kerasrun.sources.base import ClassNames
from kerasrun.user_folders import keras_home

logger = logging.getLogger("kerasrun")

NUMBERS = ("california_housing", "boston_housing")
"""Those whose labels are numbers."""

_PROGRAM = "import keras; keras.datasets.{name}.load_data()"


class KerasDataset(ArraySource):
    """A data set of `keras.datasets`, from Keras's own cache; what is not there is downloaded with Keras.

    The splits are those of `load_data()` in Keras: `train` and `test`. Of the tables a fifth is for testing. The files
    are looked for where Keras keeps them, in `datasets` of the folder `~/.keras`, or of the one that the environment
    variable `KERAS_HOME` names. A file there must have the checksum that Keras gives for it; for `fashion_mnist` it
    gives none, and for CIFAR that of the archive alone. `boston_housing` has a column that assumes people to segregate
    themselves by race; Keras advises against it.
    """

    kind: ClassVar[str] = "keras_dataset"

    name: Literal["mnist", "fashion_mnist", "cifar10", "cifar100", "california_housing", "boston_housing"]
    """The data set."""
    labels: Literal["own", "input"] = "own"
    """`own`: those of the data set, classes or prices; or `input`: the examples themselves, for an autoencoder."""
    path: ExperimentPath | None = None
    """The folder with the files, instead of Keras's own; then nothing is downloaded."""
    classes: ClassNames | None = None
    """Names of the classes, in the order of the class numbers; by default those of the data set."""

    @property
    def label_kind(self) -> LabelKind:
        if self.of_inputs:
            return "arrays"
        return "numbers" if self.name in NUMBERS else "classes"

    @property
    def example_shape(self) -> Shape:
        if self.name in NUMBERS:
            return (None,)
        size, channels = (32, 3) if self.name.startswith("cifar") else (28, 1)
        return (*(self.image_size or (size, size)), channels)

    @property
    def what_is_read(self) -> str:
        return super().what_is_read or f"{self.name} of keras.datasets"

    def open(self) -> Data:
        from kerasrun.sources._keras_files import FILES

        files = FILES[self.name]
        folder = self._folder(files.last)
        arrays = files.read(folder)
        if self.of_inputs:
            return self.data_from({name: replace(one, labels=one.inputs) for name, one in arrays.items()})
        return self.data_from(arrays, files.classes(folder))

    def _folder(self, file: Path) -> Path:
        """Return the folder that has the files, after a download where they are not there yet."""
        if self.path is not None:
            if not (self.path / file).exists():
                raise missing(self.path / file, f"the file of {self.name}, as Keras downloads it")
            return self.path
        found = [folder for folder in _caches() if os.access(folder / file, os.F_OK)]
        if not found:
            _download(self.name, _caches()[0] / file)
            found = [folder for folder in _caches() if os.access(folder / file, os.F_OK)]
        if not found:
            raise DataError(f"{_caches()[0] / file}: is not there, although Keras has downloaded {self.name}")
        wanted = pinned_sha256(self.name)
        if wanted and sha256_of_content(found[0] / file) != wanted:
            raise DataError(
                f"{found[0] / file}: is not the file that Keras downloads: its sha256 is another one than Keras gives "
                f"for {self.name}; remove it, or name its folder with `path` if you know that it is right"
            )
        return found[0]


def pinned_sha256(name: str) -> str | None:
    """Return the checksum of the file of a data set, from Keras's source; None where it gives none, or of an archive.

    What is in an archive was extracted, and is read as it is.
    """
    tree = source_of(f"keras.src.datasets.{name}")
    for node in ast.walk(tree) if tree else ():
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "get_file":
            given = {one.arg: one.value for one in node.keywords}
            found = given.get("file_hash")
            if isinstance(found, ast.Constant) and "extract" not in given:
                return str(found.value)
    return None


def _caches() -> list[Path]:
    """Return the folders of Keras's downloads: the second serves where the first cannot be written."""
    return [keras_home() / "datasets", Path("/tmp/.keras/datasets")]


def _download(name: str, file: Path) -> None:
    """Let Keras download, in a process of its own: it loads TensorFlow, which is too early before the device is known.

    Raises:
        DataError: if that fails.
    """
    logger.info("downloading %s with Keras: %s is not there", name, file)
    command = [sys.executable, "-P", "-c", _PROGRAM.format(name=name)]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["for no reason that it gives"])[-1]
        raise DataError(
            f"{file}: is not there, and Keras cannot download it: {reason}; put it there, or name the folder that has "
            "it with `path`"
        )
