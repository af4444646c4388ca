"""How large a network is, before TensorFlow makes or computes it: where there is no room, that would crash."""

import contextlib
import math
from collections.abc import Iterator
from typing import Any

from kerasrun.reading.memory import addresses_left, available_memory

_SMALL = 2**26
"""How many bytes are not looked for before they are taken."""


@contextlib.contextmanager
def weights_within(most: float = math.inf) -> Iterator[None]:
    """Refuse weights that do not fit into memory with what their random numbers are made of.

    Args:
        most: how many numbers the file holds that the weights are then read from.

    Raises:
        MemoryError: with the shape, as TensorFlow says it.
        ValueError: if there are more than `most`.
    """
    import keras

    begin = keras.Variable._initialize_with_initializer
    count, on_gpu = 0, has_gpu()

    def begin_within(variable: Any, initializer: Any) -> None:
        nonlocal count
        own = 4 * math.prod(variable.shape)
        count += own // 4
        if count > max(most, _SMALL / 4):
            shape = " × ".join(map(counted, variable.shape))
            raise ValueError(f"with {shape} its layers have {counted(count)} weights, but its file {most:,} numbers")
        # As measured: the random numbers are there three times, and TensorFlow reserves as many addresses again.
        if not on_gpu and own > _SMALL and (3 * own > available_memory() or 7 * own > addresses_left()):
            raise MemoryError(f"allocating tensor with shape[{','.join(map(str, variable.shape))}]")
        begin(variable, initializer)

    keras.Variable._initialize_with_initializer = begin_within
    try:
        yield
    finally:
        keras.Variable._initialize_with_initializer = begin


def largest_output(model: Any) -> tuple[int, str]:
    """Return how many numbers a layer computes at most of an example, however deep it is, and the layer's name."""
    layers = [layer for layer in model._flatten_layers(include_self=False) if layer._inbound_nodes]
    return max((_numbers(layer), layer.name) for layer in layers)


def _numbers(layer: Any) -> int:
    import keras

    count: int = max(math.prod(size or 1 for size in one.shape[1:]) for one in keras.tree.flatten(layer.output))
    rates = getattr(layer, "dilation_rate", ())
    if isinstance(rates, tuple) and max(rates, default=1) > 1:
        # TensorFlow pads each side to a multiple of the rate.
        count = max(count, math.prod(rates) * (layer.input.shape[-1] or 1))
    return count


def counted(number: int) -> str:
    """Return a number as text; Python has no text of thousands of digits, and no float of hundreds."""
    return f"{number:,}" if number < 10**24 else "more than 10^24"


def gigabytes(count: int) -> str:
    """Return the memory that this many numbers take as float32."""
    return f"{counted((4 * count + 10**9 // 2) // 10**9)} GB"


def has_gpu() -> bool:
    """Return whether a GPU computes, whose memory is another, and which says when it is full."""
    import tensorflow as tf

    return bool(tf.config.get_visible_devices("GPU"))
