"""Files in the format of MNIST."""

import math
import struct
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

from pydantic import model_validator

from kerasrun.components import ExperimentPath
from kerasrun.errors import DataError
from kerasrun.reading.data import Data, LabelKind, Shape
from kerasrun.reading.files import list_folder, listed, unreadable
from kerasrun.reading.memory import too_large, too_packed
from kerasrun.regular_files import open_regular
from kerasrun.sources._array_source import ArraySource
from kerasrun.sources.base import ClassLabels, Recognized

if TYPE_CHECKING:
    from numpy.typing import NDArray

PREFIXES: Mapping[str, tuple[str, ...]] = {
    "train": ("train",),
    "validation": ("validation",),
    "test": ("t10k", "test"),
}
"""How the files of a split begin."""

DIMENSIONS = {"images": 3, "labels": 1}
_AT_ONCE = 2**20
_PACKED = 2**15
"""How many bytes of a gzip file are read at once: what follows a stream is copied once for each that ends."""
_MORE = 2**16
"""How many trailing bytes are counted."""


class Idx(ArraySource):
    """Images and labels in IDX files, as MNIST comes: 8-bit greyscale images, a byte for each label.

    In the folder `path` the files are `train-images-idx3-ubyte` and `train-labels-idx1-ubyte`, and for testing the same
    with `t10k` or `test`, for validation with `validation`; `.idx3` and `.idx1` serve as well, and each file may be
    gzipped (`.gz`); where both are there, the one that is not gzipped is read. Images are used as they are unless
    `image_size` is given. The format is the one that Yann LeCun describes beside MNIST (a big-endian header of magic
    number and dimensions, then the values).
    """

    kind: ClassVar[str] = "idx"
    form: ClassVar[str] = "a folder with MNIST's IDX files"
    generality: ClassVar[int] = 1

    labels: ClassLabels = "classes"
    """`classes`, from the files of labels; or `input`: the images themselves, for an autoencoder."""
    path: ExperimentPath | None = None
    """The folder with the files of MNIST's names; not needed where the files are named one by one."""
    train_images: ExperimentPath | None = None
    """The file of training images, whatever its name."""
    train_labels: ExperimentPath | None = None
    """The file of their labels."""
    validation_images: ExperimentPath | None = None
    """The file of validation images."""
    validation_labels: ExperimentPath | None = None
    """The file of their labels."""
    test_images: ExperimentPath | None = None
    """The file of test images."""
    test_labels: ExperimentPath | None = None
    """The file of their labels."""

    @model_validator(mode="after")
    def _names_whole_splits(self) -> Self:
        for split in () if self.of_inputs else PREFIXES:
            images, labels = getattr(self, f"{split}_images"), getattr(self, f"{split}_labels")
            if (images is None) != (labels is None):
                given, lacking = ("images", "labels") if images else ("labels", "images")
                raise ValueError(f"expected {split}_{lacking} beside {split}_{given}")
        if self.path is None and self.train_images is None:
            raise ValueError("expected path (a folder with MNIST's file names), or train_images and train_labels")
        return self

    @property
    def label_kind(self) -> LabelKind:
        return "arrays" if self.of_inputs else self.labels

    @property
    def example_shape(self) -> Shape:
        return (*(self.image_size or (None, None)), 1)

    def open(self) -> Data:
        from kerasrun.reading.labelled_arrays import LabelledArrays

        arrays = {}
        for split in PREFIXES:
            images = self._file(split, "images")
            labels = None if self.of_inputs else self._file(split, "labels")
            if images and self.of_inputs:
                pixels = read_idx(images, "images")
                arrays[split] = LabelledArrays(pixels, pixels, str(images), str(images))
            elif images and labels:
                arrays[split] = LabelledArrays(
                    read_idx(images, "images"), read_idx(labels, "labels"), str(images), str(labels)
                )
            elif images or labels:
                lacking = "labels" if images else "images"
                raise DataError(f"{images or labels}: no file of {split} {lacking} beside it")
        if "train" not in arrays and self.path:
            there = listed([file.name for file in list_folder(self.path)[0]]) or "no files"
            raise DataError(f"{self.path}: no train-images-idx3-ubyte[.gz] here; there are {there}")
        return self.data_from(arrays)

    @classmethod
    def recognize(cls, path: Path) -> Recognized | None:
        if not path.is_dir() or not any(file.name.startswith("train-images") for file in list_folder(path)[0]):
            return None
        return cls.recognized({"path": path}, {})

    def _file(self, split: str, content: str) -> Path | None:
        """Return the file that is named in the experiment, or else the one in the folder; None if there is neither."""
        given: Path | None = getattr(self, f"{split}_{content}")
        if given or self.path is None:
            return given
        files = {file.name: file for file in list_folder(self.path)[0]}
        endings = [f"{mark}idx{DIMENSIONS[content]}-ubyte{gz}" for gz in ("", ".gz") for mark in "-."]
        found = []
        for prefix in PREFIXES[split]:
            names = (f"{prefix}-{content}{ending}" for ending in endings)
            found += [files[name] for name in names if name in files][:1]
        if len(found) > 1:
            raise DataError(f"{self.path}: {listed([file.name for file in found])} both name {split} {content}")
        return found[0] if found else None


def read_idx(path: Path, content: str) -> "NDArray[Any]":
    """Return the array in an IDX file of unsigned bytes, gzipped or not: `images` have 3 dimensions, `labels` 1.

    Raises:
        DataError: if the file is missing, is of another kind, or has not the length that its header says.
    """
    import numpy as np

    dimensions = DIMENSIONS[content]
    magic, size = 0x800 + dimensions, 4 + 4 * dimensions
    with _opened(path) as file:
        header = file.read(size)
        if len(header) < 4:
            raise DataError(f"{path}: has {len(header)} bytes; expected an IDX file of {content}")
        (found,) = struct.unpack_from(">I", header)
        if found != magic:
            other = {0x800 + count: f", that of {name}" for name, count in DIMENSIONS.items()}.get(found, "")
            raise DataError(
                f"{path}: wrong magic number {found}{other}; expected {magic} ({content} of unsigned bytes)"
            )
        if len(header) < size:
            raise DataError(f"{path}: is truncated in its header: {len(header)} bytes; expected {size}")
        shape = struct.unpack_from(f">{dimensions}I", header, 4)
        count = math.prod(shape)
        if not count:
            raise DataError(f"{path}: holds no {content}: {' × '.join(map(str, shape))}")
        if why := too_packed(count, path) or too_large(count):
            raise DataError(f"{path}: {why}")
        data = file.read(count)
        more = len(file.read(_MORE))
    if len(data) + more != count:
        problem = "has trailing bytes" if more else "is truncated"
        there = f"{size + len(data) + more} bytes" + (" or more" if more == _MORE else "")
        raise DataError(
            f"{path}: {problem}: {there}; expected {size + count} for {' × '.join(map(str, shape))} {content}"
        )
    return np.frombuffer(data, np.uint8).reshape(shape)


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class _Unpacked:
    """A gzip file. Python's own goes through zeros behind the end one by one, for hours where a file has a hole."""

    def __init__(self, file: _Readable) -> None:
        self._chunks = _members(file)
        self._rest = bytearray()

    def read(self, size: int, /) -> bytes:
        while len(self._rest) < size and (chunk := next(self._chunks, None)) is not None:
            self._rest += chunk
        found = bytes(self._rest[:size])
        del self._rest[:size]
        return found


def _members(file: _Readable) -> Iterator[bytes]:
    """Give what a gzip file holds, which may be several streams, with zeros behind each."""
    packed = file.read(_PACKED)
    while packed:
        stream = zlib.decompressobj(wbits=31)
        while not stream.eof:
            chunk = stream.decompress(packed, _AT_ONCE)
            if not (chunk or packed or stream.eof):
                raise EOFError("it ends within a stream")
            yield chunk
            packed = stream.unconsumed_tail or (b"" if stream.eof else file.read(_PACKED))
        packed, zeros = (stream.unused_data or file.read(_PACKED)), 0
        while packed and not (rest := packed.lstrip(b"\0")):
            zeros += len(packed)
            if zeros > _AT_ONCE:
                raise EOFError(f"more than {_AT_ONCE:,} zeros follow")
            packed = file.read(_PACKED)
        packed = rest if packed else b""


@contextmanager
def _opened(path: Path) -> Iterator[_Readable]:
    """Open a file, unpacked as it is read if it is gzipped."""
    try:
        with open_regular(path) as file:
            if file.peek(2)[:2] != b"\x1f\x8b":
                yield file
            else:
                yield _Unpacked(file)
    except (EOFError, zlib.error) as error:
        raise DataError(f"{path}: its gzip stream is damaged or truncated: {error}") from error
    except OSError as error:
        raise unreadable(path, error, "an IDX file") from error
