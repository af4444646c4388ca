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
            shape = " × ".join(f"{side:,}" for side in variable.shape)
            raise ValueError(f"with {shape} its layers have {count:,} weights, but {most:,} numbers are in the file")
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
    """Return how many numbers of an example a layer gives at most, and the layer's name."""
    import keras

    return max(
        (math.prod(size or 1 for size in one.shape[1:]), layer.name)
        for layer in model.layers
        for one in keras.tree.flatten(layer.output)
    )


def has_gpu() -> bool:
    """Return whether a GPU computes, whose memory is another, and which says when it is full."""
    import tensorflow as tf

    return bool(tf.config.get_visible_devices("GPU"))
