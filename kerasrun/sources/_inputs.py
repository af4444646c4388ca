"""Examples in memory, and image files that are decoded as they are asked for."""

import hashlib
import math
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from kerasrun.errors import DataError
from kerasrun.sources._contract import ImageFormat, Inputs
from kerasrun.sources._files import listed
from kerasrun.sources._images import (
    UnreadableImageError,
    as_array,
    decode_image,
    fit,
    read_bytes,
    read_image,
    read_unchanged,
    resize_array,
)
from kerasrun.sources._memory import memory_budget

_AT_ONCE = 256
_TOGETHER = 32

Result = TypeVar("Result")


class ArrayInputs:
    """Examples in one array, `.array`, which is read-only."""

    def __init__(self, array: NDArray[Any]) -> None:
        self.array = array.view()
        self.array.flags.writeable = False

    @property
    def example_shape(self) -> tuple[int, ...]:
        return self.array.shape[1:]

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.array.dtype

    def __len__(self) -> int:
        return len(self.array)

    def take(self, indices: NDArray[np.int64]) -> NDArray[Any]:
        return self.array[indices]


class ResizedArray:
    """Images of one array that are resized as they are asked for, because all of them would not fit into memory."""

    def __init__(self, images: NDArray[Any], image_format: ImageFormat) -> None:
        self._images = images
        self._format = image_format
        self.dtype = images.dtype
        self.example_shape = (image_format.height, image_format.width, images.shape[3])

    def __len__(self) -> int:
        return len(self._images)

    def take(self, indices: NDArray[np.int64]) -> NDArray[Any]:
        return resize_array(self._images[indices], self._format)


@dataclass(frozen=True)
class ImageFiles:
    """Image files that are decoded as they are asked for, to the same bytes that an array of them would hold."""

    paths: Sequence[Path]
    image_format: ImageFormat
    digests: Sequence[str]
    """sha256 of each file's bytes, which must be those of the fingerprint whenever it is read."""

    @property
    def example_shape(self) -> tuple[int, ...]:
        return self.image_format.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(np.uint8)

    def __len__(self) -> int:
        return len(self.paths)

    def take(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        images = np.empty((len(indices), *self.example_shape), np.uint8)

        def decode(place: int) -> None:
            path, digest = self.paths[indices[place]], self.digests[indices[place]]
            images[place] = decode_image(read_unchanged(path, digest), self.image_format)

        for _ in in_threads(decode, len(indices)):
            pass
        return images


@dataclass(frozen=True)
class Scan:
    """What reading and decoding every file once has shown."""

    paths: Sequence[Path]
    image_format: ImageFormat
    digests: Sequence[str]
    """sha256 of each file's bytes, as hexadecimal text."""
    errors: Sequence[UnreadableImageError | None]
    """What is wrong with each file."""
    array: NDArray[np.uint8] | None
    """Every image, if all of them fit into memory; rows of unreadable files mean nothing."""
    sizes: Sequence[tuple[int, int]]
    """Width and height of each image in its file; of unreadable files they mean nothing."""

    def require_all_readable(self, remedy: str) -> None:
        """
        Raises:
            DataError: if a file cannot be read; lists the first ones, and says what to do.
        """
        bad = [error for error in self.errors if error]
        if bad:
            raise DataError(
                f"{len(bad)} of {len(self.paths)} image files cannot be used:\n"
                + listed([f"  {error}" for error in bad], separator="\n")
                + f"\n{remedy}"
            )

    def inputs(self, indices: Sequence[int]) -> Inputs:
        if self.array is None:
            paths, digests = [self.paths[index] for index in indices], [self.digests[index] for index in indices]
            return ImageFiles(paths, self.image_format, digests)
        return ArrayInputs(_rows(self.array, indices))


def scan_images(paths: Sequence[Path], image_format: ImageFormat, *, resize: bool) -> Scan:
    """Read, check and hash every file, and keep the images if they fit into `memory_budget()`.

    Args:
        paths: image files.
        image_format: the size and colour mode to decode to.
        resize: whether images of another size are resized; otherwise they are an error.

    Raises:
        DataError: if `resize` is false and an image has another size; the message names two files.
    """
    needed = len(paths) * math.prod(image_format.shape)
    array = np.empty((len(paths), *image_format.shape), np.uint8) if needed <= memory_budget() else None
    expected = (image_format.width, image_format.height)

    def scan(index: int) -> tuple[str, UnreadableImageError | None, tuple[int, int]]:
        digest = ""
        try:
            content = read_bytes(paths[index])
            digest = hashlib.sha256(content).hexdigest()
            image = read_image(content, image_format.color_mode, paths[index])
        except UnreadableImageError as error:
            return digest, error, expected
        if array is not None and (resize or image.size == expected):
            array[index] = as_array(fit(image, image_format))
        return digest, None, image.size

    results = list(in_threads(scan, len(paths)))
    if not resize:
        sizes = [size for _, error, size in results if error is None]
        _check_sizes([path for path, result in zip(paths, results, strict=True) if result[1] is None], sizes)
    digests, errors, own_sizes = zip(*results, strict=True) if results else ((), (), ())
    return Scan(paths, image_format, digests, errors, array, own_sizes)


def first_size(paths: Sequence[Path]) -> tuple[int, int]:
    """Height and width of the first image that can be read; (1, 1) if there is none, which a scan then tells."""
    for path in paths:
        try:
            image = read_image(read_bytes(path), "rgb", path)
        except UnreadableImageError:  # the scan lists it
            continue
        return image.height, image.width
    return 1, 1


def _check_sizes(paths: Sequence[Path], sizes: Sequence[tuple[int, int]]) -> None:
    for path, (width, height) in zip(paths, sizes, strict=True):
        if (width, height) != sizes[0]:
            raise DataError(
                f"the images differ in size: {paths[0]} is {sizes[0][1]}×{sizes[0][0]}, {path} is {height}×{width} "
                "(height × width); set `image_size: [height, width]` to bring all of them to one size"
            )


def _rows(array: NDArray[Any], indices: Sequence[int]) -> NDArray[Any]:
    """A view where the rows lie together, which is so unless files were skipped."""
    if len(indices) and indices[-1] - indices[0] + 1 == len(indices):
        return array[indices[0] : indices[-1] + 1]
    return array[list(indices)]


def in_threads(function: Callable[[int], Result], count: int) -> Iterator[Result]:
    """`function(0)`, `function(1)`, … in order."""
    threads = os.cpu_count() or 1
    # Handing over a small image takes longer than decoding it, so a thread gets several at once.
    group = max(1, min(_TOGETHER, count // (4 * threads)))
    starts = range(0, count, group)

    def run(start: int) -> list[Result]:
        return [function(index) for index in range(start, min(start + group, count))]

    for first in range(0, len(starts), _AT_ONCE):  # a million waiting calls would take a gigabyte
        for results in _decoders().map(run, starts[first : first + _AT_ONCE]):
            yield from results


@cache
def _decoders() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=os.cpu_count(), thread_name_prefix="decode")
