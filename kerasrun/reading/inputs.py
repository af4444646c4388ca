"""Examples in memory: which of them are taken, how much each counts, and the threads that read them."""

import logging
import math
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from kerasrun.errors import DataError
from kerasrun.reading.data import Inputs

logger = logging.getLogger("kerasrun")

_AT_ONCE = 256
_TOGETHER = 32

Result = TypeVar("Result")


class ArrayInputs:
    """Examples in one array, `.array`, which is read-only."""

    def __init__(self, array: NDArray[Any]) -> None:
        self.array = array.view()
        self.array.flags.writeable = False
        self.is_kept = True
        """Whether the examples stay in memory."""
        self.example_shape: tuple[int, ...] = array.shape[1:]
        self.dtype = array.dtype

    def __len__(self) -> int:
        return len(self.array)

    def take(self, indices: NDArray[np.int64]) -> NDArray[Any]:
        return self.array[indices]


# What the operators of TensorFlow expect of an address; an array of NumPy that has such a one is not copied.
_ALIGNMENT = 64


def aligned(shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return an array without values that TensorFlow takes as it is."""
    size = math.prod(shape) * dtype.itemsize
    memory = np.empty(size + _ALIGNMENT, np.uint8)
    begin = -memory.ctypes.data % _ALIGNMENT
    return memory[begin : begin + size].view(dtype).reshape(shape)


def in_batches(inputs: Inputs, size: int) -> Iterator[NDArray[Any]]:
    """Give all examples in their order, (batch, …); the last batch may be smaller."""
    for start in range(0, len(inputs), size):
        yield inputs.take(np.arange(start, min(start + size, len(inputs))))


def within_limit(labels: NDArray[Any], limit: int | None) -> NDArray[np.int64]:
    """Return which examples stay, in their order: all, or `limit` of them, evenly spaced, because some data are sorted.

    Labels are class numbers (examples,), of which every class keeps its share; or other labels (examples, …).
    """
    examples = len(labels)
    if limit is None or limit >= examples:
        return np.arange(examples)
    have_classes = labels.ndim == 1 and labels.dtype.kind in "iu"
    order = np.argsort(labels, kind="stable") if have_classes else np.arange(examples)
    return np.sort(order[np.arange(limit) * examples // limit])


def note_rounded(values: NDArray[Any], name: str) -> None:
    """Say once of what is called `name` that float32 rounds its numbers by 1 and more, as it does from 2**24 on."""
    if values.dtype.kind not in "iuf" or values.dtype.itemsize < 4 or values.dtype == np.float32:
        return
    large = values[are_large(values)]
    rounded = large[np.abs(large - large.astype(np.float32).astype(np.float64)) >= 1]
    if len(rounded):
        _say_rounded(name, int(rounded[0]), int(np.float32(rounded[0])))


def are_large(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which numbers float32 may round by 1 and more; beyond 2**64 nobody counts in ones."""
    found: NDArray[np.bool_] = (np.abs(values) > 2**24) & (np.abs(values) < 2**64)
    return found


@cache
def _say_rounded(name: str, value: int, rounded: int) -> None:
    logger.warning(
        "%s: %d becomes %d as float32, so examples that differ may become equal; subtract an offset, or divide, first",
        *(name, value, rounded),
    )


def checked_weights(weights: NDArray[Any], named: Callable[[int], str]) -> NDArray[np.float32]:
    """Return weights (examples,) as float32; `named` gives what a message calls the weight at an index.

    Raises:
        DataError: if one is negative or not finite, or all are 0.
    """
    with np.errstate(over="ignore"):  # what is too large for float32 becomes infinite
        found = weights.astype(np.float32)
    for index in np.flatnonzero(~np.isfinite(found) | (found < 0)):
        raise DataError(f"{named(int(index))} is {weights[index]}; expected a finite number of at least 0")
    if not found.any():
        raise DataError(f"{named(0)} and all others are 0; expected some examples to count")
    return found


def in_threads(function: Callable[[int], Result], count: int) -> Iterator[Result]:
    """Give `function(0)`, `function(1)`, … in order."""
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
    """Return the number of the processor's cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)


@cache
def _decoders() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=usable_cores(), thread_name_prefix="decode")
