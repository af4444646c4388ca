"""Random numbers of a shard that are those of its examples in the whole batch.

What a layer draws depends on the shape that it asks for. So each process draws for the whole batch, and takes the rows
of its own examples: they are masked, moved and blurred as in one process.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any
from unittest.mock import patch

import tensorflow as tf
from keras.src.backend.tensorflow import random as keras_draws

from kerasrun.workers.shares import Cut

_OF_A_SHAPE = ("beta", "binomial", "gamma", "normal", "randint", "truncated_normal", "uniform")

_cut: ContextVar[Cut | None] = ContextVar("cut", default=None)


@contextmanager
def as_in_the_whole_batch(cut: Cut) -> Iterator[None]:
    """Have Keras's layers, as they are traced in the block, draw for a shard what they would for its whole batch."""
    before = _cut.set(cut)
    try:
        with ExitStack() as stack:
            for name in _OF_A_SHAPE:
                stack.enter_context(patch.object(keras_draws, name, _of_shape(getattr(keras_draws, name))))
            stack.enter_context(patch.object(keras_draws, "dropout", _dropout(keras_draws.dropout)))
            yield
    finally:
        _cut.reset(before)


def own_rows(draw: Callable[[Any], tf.Tensor], rows: Any) -> tf.Tensor:
    """Draw for `rows` rows: those of the shard at hand, of what `draw` gives for all rows of its batch.

    Several rows may belong to an example, where a layer has joined the axis of the batch and the next.
    """
    cut = _cut.get()
    if cut is None:
        return draw(rows)
    of_example = tf.cast(rows, tf.int64) // cut.size
    begin = cut.begin * of_example
    return draw(tf.cast(cut.total * of_example, tf.int32))[begin : begin + tf.cast(rows, tf.int64)]


def _is_of_examples(rows: Any) -> bool:
    """Return whether the first number of a shape is that of the examples, which no graph of a shard knows."""
    return tf.is_tensor(rows) and tf.get_static_value(rows) is None


def _of_shape(draw: Callable[..., tf.Tensor]) -> Callable[..., tf.Tensor]:
    @wraps(draw)
    def drawn(shape: Any, *args: Any, **arguments: Any) -> tf.Tensor:
        sizes = tf.unstack(shape) if tf.is_tensor(shape) else list(shape)
        if not sizes or not _is_of_examples(sizes[0]):
            return draw(shape, *args, **arguments)
        return own_rows(lambda rows: draw((rows, *sizes[1:]), *args, **arguments), sizes[0])

    return drawn


def _dropout(draw: Callable[..., tf.Tensor]) -> Callable[..., tf.Tensor]:
    @wraps(draw)
    def dropped(inputs: tf.Tensor, rate: float, noise_shape: Any = None, seed: Any = None) -> tf.Tensor:
        shape = tf.unstack(tf.shape(inputs))
        if noise_shape is not None:
            shape = [size if asked is None else asked for size, asked in zip(shape, noise_shape, strict=True)]
        if not _is_of_examples(shape[0]):
            return draw(inputs, rate, noise_shape=noise_shape, seed=seed)
        kept = own_rows(lambda rows: draw(tf.ones((rows, *shape[1:]), inputs.dtype), rate, seed=seed), shape[0])
        return inputs * kept

    return dropped
