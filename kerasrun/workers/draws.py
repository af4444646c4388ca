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
_drawing: ContextVar[bool] = ContextVar("drawing", default=False)


@contextmanager
def as_in_the_whole_batch(cut: Cut) -> Iterator[None]:
    """Have Keras's layers, as they are traced in the block, draw for a shard what they would for its whole batch."""
    before = _cut.set(cut)
    try:
        with ExitStack() as stack:
            made = {**dict.fromkeys(_OF_A_SHAPE, _of_shape), "categorical": _categorical, "dropout": _dropout}
            for name, make in {**made, "shuffle": _shuffle}.items():
                stack.enter_context(patch.object(keras_draws, name, make(getattr(keras_draws, name))))
            yield
    finally:
        _cut.reset(before)


def is_drawing() -> bool:
    """Return whether what is traced now is a draw of Keras that is the same for a shard as for its whole batch."""
    return _drawing.get()


def own_rows(draw: Callable[[Any], tf.Tensor], rows: Any) -> tf.Tensor:
    """Draw for `rows` rows: those of the shard at hand, of what `draw` gives for all rows of its batch.

    Several rows may belong to an example, where a layer has joined the axis of the batch and the next.
    """
    cut = _cut.get()
    if cut is None:
        return draw(rows)
    begin, total = _place(cut, rows)
    return draw(tf.cast(total, tf.int32))[begin : begin + tf.cast(rows, tf.int64)]


def _place(cut: Cut, rows: Any) -> tuple[tf.Tensor, tf.Tensor]:
    """Return where the rows of a shard begin among those of its batch, and how many those are."""
    of_example = tf.cast(rows, tf.int64) // cut.size
    return cut.begin * of_example, cut.total * of_example


def _in_its_place(rows: Any, rank: int) -> Any:
    """Return what a draw takes for each row of a shard as one for each row of its batch; of the others nothing is used.

    What is the same for all rows stays as it is: a draw has `rank` dimensions, the first of which are the rows.
    """
    cut = _cut.get()
    if cut is None or not tf.is_tensor(rows) or rows.shape.rank != rank or rows.shape[0] is not None:
        return rows
    own = tf.shape(rows, tf.int64)[0]
    begin, total = _place(cut, own)
    # One is a number that every distribution takes.
    return tf.pad(rows, [[begin, total - begin - own], *[[0, 0]] * (rank - 1)], constant_values=1)


def _drawn(draw: Callable[..., tf.Tensor], *args: Any, **arguments: Any) -> tf.Tensor:
    before = _drawing.set(True)
    try:
        return draw(*args, **arguments)
    finally:
        _drawing.reset(before)


def _is_of_examples(rows: Any) -> bool:
    """Return whether the first number of a shape is that of the examples, which no graph of a shard knows."""
    return tf.is_tensor(rows) and tf.get_static_value(rows) is None


def _of_shape(draw: Callable[..., tf.Tensor]) -> Callable[..., tf.Tensor]:
    @wraps(draw)
    def drawn(shape: Any, *args: Any, **arguments: Any) -> tf.Tensor:
        sizes = tf.unstack(shape) if tf.is_tensor(shape) else list(shape)
        if not sizes or not _is_of_examples(sizes[0]):
            return _drawn(draw, shape, *args, **arguments)
        args = tuple(_in_its_place(one, len(sizes)) for one in args)
        arguments = {name: _in_its_place(one, len(sizes)) for name, one in arguments.items()}
        return own_rows(lambda rows: _drawn(draw, (rows, *sizes[1:]), *args, **arguments), sizes[0])

    return drawn


def _categorical(draw: Callable[..., tf.Tensor]) -> Callable[..., tf.Tensor]:
    @wraps(draw)
    def drawn(logits: tf.Tensor, *args: Any, **arguments: Any) -> tf.Tensor:
        if logits.shape[0] is not None:
            return _drawn(draw, logits, *args, **arguments)
        whole = _in_its_place(logits, 2)
        return own_rows(lambda rows: _drawn(draw, whole, *args, **arguments), tf.shape(logits)[0])

    return drawn


def _dropout(draw: Callable[..., tf.Tensor]) -> Callable[..., tf.Tensor]:
    @wraps(draw)
    def dropped(inputs: tf.Tensor, rate: float, noise_shape: Any = None, seed: Any = None) -> tf.Tensor:
        shape = tf.unstack(tf.shape(inputs))
        if noise_shape is not None:
            shape = [size if asked is None else asked for size, asked in zip(shape, noise_shape, strict=True)]
        if not _is_of_examples(shape[0]):
            return _drawn(draw, inputs, rate, noise_shape=noise_shape, seed=seed)

        def kept(rows: Any) -> tf.Tensor:
            return _drawn(draw, tf.ones((rows, *shape[1:]), inputs.dtype), rate, seed=seed)

        return inputs * own_rows(kept, shape[0])

    return dropped


def _shuffle(draw: Callable[..., tf.Tensor]) -> Callable[..., tf.Tensor]:
    @wraps(draw)
    def shuffled(x: tf.Tensor, axis: int = 0, seed: Any = None) -> tf.Tensor:
        # Along another axis it is one order for all examples; examples of other shards are not here.
        return draw(x, axis, seed) if x.shape[axis] is None else _drawn(draw, x, axis, seed)

    return shuffled
