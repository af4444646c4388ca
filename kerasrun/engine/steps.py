"""Many training steps in one call: the loop over steps is inside the graph."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from kerasrun.pipeline.batches import BatchesInMemory, PaddedInMemory

NEVER = -1


class Graph:
    """The graph of a `tf.function` for the arguments of the last call, which TensorFlow takes 0.4 ms to find again."""

    def __init__(self, function: Any) -> None:
        self._function = function
        self._arguments: tuple[Any, ...] | None = None
        self._found: Any = None

    def of(self, *arguments: Any) -> Any:
        """Return the concrete function, traced where there is none; arguments as of `get_concrete_function`."""
        if arguments != self._arguments:
            self._arguments, self._found = arguments, self._function.get_concrete_function(*arguments)
        return self._found


def metrics_of(model: Any) -> list[Any]:
    """Return a model's metrics one by one, where Keras lists those of `compile` as one."""
    return [each for metric in model.metrics for each in getattr(metric, "metrics", [metric])]


class Metrics:
    """A model's metrics, loss included: each call is one graph, where Keras's own call runs an operator at a time."""

    def __init__(self, model: Any) -> None:
        """
        Args:
            model: built, its metrics too.
        """
        # One of a plugin may keep more than variables, and a graph would not change that.
        of_plugins = any(not type(metric).__module__.startswith("keras.") for metric in metrics_of(model))
        self._reset = None if of_plugins else Graph(tf.function(model.reset_metrics, autograph=False))
        self._values = Graph(tf.function(model.get_metrics_result, autograph=False))
        self._model = model

    def reset(self) -> None:
        """Forget what they have counted."""
        (self._reset.of() if self._reset else self._model.reset_metrics)()

    def values(self) -> dict[str, float]:
        """Return what they have counted, by name."""
        return {name: float(value) for name, value in self._values.of()().items()}


class FusedSteps:
    """Runs steps of `model.train_step` in one `tf.function`, and reports where the loss stopped being finite."""

    def __init__(self, model: Any) -> None:
        self.model = model
        # Of all that is in the loop, XLA compiles the step alone, as Keras does.
        self.train_step = tf.function(model.train_step, jit_compile=True) if model.jit_compile else model.train_step
        # The loop is written by hand, here and below: to have AutoGraph write it takes longer than some small networks
        # take to train. Keras keeps it from its steps as well.
        self.function = tf.function(self._run, autograph=False)
        self._graph = Graph(self.function)

    def __call__(self, batches: Any, steps: int) -> int | None:
        """Train on the next `steps` batches.

        Args:
            batches: an iterator over a `tf.data` pipeline, or `BatchesInMemory`.

        Returns:
            how many of these steps were taken when the loss (its mean over the epoch) was first not finite, counted
            from zero, or None.
        """
        count = tf.constant(steps, tf.int64)
        if isinstance(batches, BatchesInMemory):
            # Of this shape from the first call on, or the graph would be made a second time for the next one.
            graph = self._graph.of(batches.spec, tf.TensorSpec([], tf.int64), batches)
            first = int(graph(batches.next(steps), count, batches))
        else:
            first = int(self.function(batches, count))
        return None if first == NEVER else first

    def _run(self, source: Any, steps: tf.Tensor, in_memory: BatchesInMemory | None = None) -> tf.Tensor:
        def take(step: tf.Tensor, first_bad: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            loss = self._step(in_memory.batch(source, step) if in_memory else next(source))
            bad = tf.logical_and(first_bad == NEVER, tf.logical_not(tf.math.is_finite(loss)))
            return step + 1, tf.where(bad, step, first_bad)

        begin = (tf.constant(0, tf.int64), tf.constant(NEVER, tf.int64))
        return tf.while_loop(lambda step, _: step < steps, take, begin)[1]

    def _step(self, batch: Any) -> tf.Tensor:
        """Take a step on float32, as the network needs it; bytes are moved as bytes, a quarter as large."""
        x, *others = batch
        return self.train_step((tf.nest.map_structure(lambda one: tf.cast(one, tf.float32), x), *others))["loss"]


@contextlib.contextmanager
def gradients_forgotten() -> Iterator[None]:
    """Forget the gradients that TensorFlow registers for graphs made within: they would keep these for ever.

    Keras's optimizers have one registered with every graph (tf.distribute's `all_reduce`), and nothing public takes it
    back. Forgotten, a process that trains 100 models stays as small as it was after the first.
    """
    from tensorflow.python.framework import ops

    registered = ops.gradient_registry._registry
    before = set(registered)
    try:
        yield
    finally:
        for name in [name for name in registered if name.startswith("CustomGradient-") and name not in before]:
            del registered[name]


class Inference:
    """Computes the network's outputs for padded batches, in evaluation and in prediction.

    The graph is the same for both, so an example's output has the same bits in both.
    """

    def __init__(self, model: Any, batch_size: int) -> None:
        self.model = model
        self.batch_size = batch_size
        self.mask_shape = _look(model, lambda output: getattr(_mask(output), "shape", None))
        self._graph = Graph(tf.function(self._run, autograph=False))

    def __call__(self, iterator: Any, batches: int) -> tuple[NDArray[Any], ...]:
        """Return the outputs for the iterator's next `batches`, and their logits (or else the outputs again).

        Where the network leaves out steps (`mask_zero`, `Masking`), the steps that count follow, bool (rows, steps).

        Args:
            iterator: over a pipeline of padded batches, or `PaddedInMemory`.
        """
        in_memory = iterator if isinstance(iterator, PaddedInMemory) else None
        source = in_memory.next(batches) if in_memory else iterator
        spec = in_memory.spec if in_memory else tf.data.IteratorSpec(_input_specs(self.model, self.batch_size))
        graph = self._graph.of(spec, tf.TensorSpec([], tf.int32), in_memory)
        return tuple(one.numpy() for one in graph(source, tf.constant(batches), in_memory))

    def _run(self, source: Any, batches: tf.Tensor, in_memory: PaddedInMemory | None = None) -> tuple[tf.Tensor, ...]:
        shape = [self.batch_size, *self.model.output.shape[1:]]

        def add_batch(number: tf.Tensor, *arrays: tf.TensorArray) -> tuple[Any, ...]:
            output = self.model(in_memory.batch(source, number) if in_memory else next(source), training=False)
            # Activity regularizers leave their loss on the layers; it belongs to this graph, not to that of Scoring.
            self.model._clear_losses()
            found = [tf.cast(output, tf.float32), tf.cast(logits_of(output), tf.float32)]
            found += [] if self.mask_shape is None else [_mask(output)]
            return number + 1, *(array.write(number, one) for array, one in zip(arrays, found, strict=True))

        empty = [tf.TensorArray(tf.float32, size=batches, element_shape=shape) for _ in range(2)]
        if self.mask_shape is not None:
            empty.append(tf.TensorArray(tf.bool, size=batches, element_shape=[self.batch_size, *self.mask_shape[1:]]))
        _, *arrays = tf.while_loop(lambda number, *_: number < batches, add_batch, (0, *empty))
        return tuple(array.concat() for array in arrays)


class Scoring:
    """Computes loss and metrics from given outputs, batch by batch as `Model.evaluate` does."""

    def __init__(self, model: Any, batch_size: int) -> None:
        self.model = model
        self.batch_size = batch_size
        self.has_logits = _look(model, lambda output: hasattr(output, "_keras_logits"))
        self.metrics = Metrics(model)
        self._graph = Graph(tf.function(self._run, autograph=False))

    def add(self, y: Any, y_pred: NDArray[np.float32], logits: NDArray[np.float32], *mask: NDArray[np.bool_]) -> None:
        """Count whole batches, of which the very last may be smaller; each argument has a row for each example."""
        tensors = [tf.constant(array) for array in (y, y_pred, logits, *mask)]
        any_rows = [tf.TensorSpec([None, *tensor.shape[1:]], tensor.dtype) for tensor in tensors]
        self._graph.of(*any_rows)(*tensors)  # one graph, however many rows a call has

    def _run(self, y: tf.Tensor, *others: tf.Tensor) -> None:
        def add_batch(begin: tf.Tensor) -> tf.Tensor:
            end = begin + self.batch_size
            self._batch(y[begin:end], *(one[begin:end] for one in others))
            return end

        tf.while_loop(lambda begin: begin < tf.shape(y)[0], add_batch, (0,))

    def _batch(self, y: tf.Tensor, y_pred: tf.Tensor, logits: tf.Tensor, mask: tf.Tensor | None = None) -> None:
        if self.has_logits:
            y_pred._keras_logits = logits
        if mask is not None:
            y_pred._keras_mask = mask
        loss = self.model.compute_loss(x=None, y=y, y_pred=y_pred, training=False)
        tracker = next(metric for metric in self.model.metrics if metric.name == "loss")
        tracker.update_state(loss, sample_weight=tf.shape(y)[0])
        self.model.compute_metrics(x=None, y=y, y_pred=y_pred)


def logits_of(output: tf.Tensor) -> tf.Tensor:
    """Return what softmax or sigmoid was applied to: Keras's activations leave it on the tensor for its losses."""
    return getattr(output, "_keras_logits", output)


def _mask(output: tf.Tensor) -> tf.Tensor | None:
    """Return which steps count in losses and metrics: Keras's layers leave it on the tensor."""
    return getattr(output, "_keras_mask", None)


def _look(model: Any, look: Callable[[tf.Tensor], Any]) -> Any:
    """Return what `look` says of the network's symbolic output."""
    found: list[Any] = []
    traced = tf.function(lambda x: found.append(look(model(x, training=False))))
    traced.get_concrete_function(_input_specs(model, 1))
    return found[0]


def _input_specs(model: Any, batch_size: int) -> Any:
    """Return what a batch of the network's inputs looks like: a tensor, or a tuple where there are several."""
    specs = tuple(tf.TensorSpec((batch_size, *one.shape[1:])) for one in model.inputs)
    return specs if len(specs) > 1 else specs[0]
