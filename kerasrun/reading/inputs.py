"""Examples in memory, and what reads others in threads."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from kerasrun.reading.data import ImageFormat
from kerasrun.reading.images import (
    resize_array,
)

_AT_ONCE = 256
_TOGETHER = 32

Result = TypeVar("Result")


class ArrayInputs:
    """Examples in one array, `.array`, which is read-only."""

    def __init__(self, array: NDArray[Any]) -> None:
        self.array = array.view()
        self.array.flags.writeable = False

    @property
    def is_kept(self) -> bool:
        """Whether the examples stay in memory."""
        return True

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


def in_threads(function: Callable[[int], Result], count: int) -> Iterator[Result]:
    """`function(0)`, `function(1)`, … in order."""
    threads = usable_cores()
    # Handing over a small image takes longer than decoding it, so a thread gets several at once.
    group = max(1, min(_TOGETHER, count // (4 * threads)))
    starts = range(0, count, group)

    def run(start: int) -> list[Result]:
        return [function(index) for index in range(start, min(start + group, count))]

    for first in range(0, len(starts), _AT_ONCE):  # a million waiting calls would take a gigabyte
        for results in _decoders().map(run, starts[first : first + _AT_ONCE]):
            yield from results


def usable_cores() -> int:
    """How many of the processor's cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)


@cache
def _decoders() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=usable_cores(), thread_name_prefix="decode")
