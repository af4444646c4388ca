"""Batches as `tf.data` pipelines: training can begin at any step, evaluation pads every batch to one size."""

import functools
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from kerasrun.errors import DataError
from kerasrun.pipeline.augmentation import Augmentation
from kerasrun.pipeline.order import epoch_order, steps_in_epoch
from kerasrun.pipeline.selection import SelectedInputs
from kerasrun.reading.data import Inputs
from kerasrun.reading.inputs import aligned
from kerasrun.tasks.base import ClassNumbers, Masks
from kerasrun.workers.draws import as_in_the_whole_batch
from kerasrun.workers.shares import Share

Weights = NDArray[np.float32] | Callable[[tf.Tensor], tf.Tensor] | None
"""How much each example counts, (examples,); or what follows from the labels of a batch that is mixed."""


def training_batches(
    inputs: Inputs,
    labels: NDArray[Any] | ClassNumbers | Masks,
    *,
    batch_size: int,
    seed: int,
    first_step: int,
    epochs: int,
    steps_per_epoch: int | None = None,
    augmentation: Augmentation | None = None,
    sample_weight: Weights = None,
    others: Sequence[Inputs] = (),
    share: Share | None = None,
) -> tf.data.Dataset:
    """Every batch from global step `first_step` to the end of the last epoch.

    The stream is one pass over the examples after the other, each in an order of its own, and an epoch takes so many
    batches of it. What a batch holds depends on its global step and the seed alone, so the pipeline begins anywhere at
    no cost.

    Args:
        inputs: the training examples, (examples, …).
        labels: as the loss takes them, (examples, …); or what is encoded batch by batch.
        epochs: the number of the last epoch, counted from one.
        steps_per_epoch: batches in an epoch; by default an epoch is one pass.
        sample_weight: how much each example counts in the loss.
        others: further inputs of the network, each (examples, …), which are not augmented.
        share: the shards of each batch that this process computes; without it a batch is whole.

    Returns:
        batches of ((batch, …), labels (batch, …)), and (batch,) of `sample_weight` where it is given; the last one of a
        pass may be smaller. Examples are float32, or uint8 where they are kept so and nothing changes them; with
        `others` they are a tuple, a tensor for each input. With a `share` it is (examples of the batch, int64; such a
        batch of each own shard).
    """
    examples, steps = len(inputs), steps_in_epoch(len(inputs), batch_size)
    end_step = epochs * (steps_per_epoch or steps)

    def order(number: NDArray[np.int64]) -> NDArray[np.int64]:
        return epoch_order(seed, int(number), examples)

    def batches_of_pass(number: tf.Tensor) -> tf.data.Dataset:
        indices = tf.ensure_shape(tf.numpy_function(order, [number], tf.int64, stateful=False), [examples])
        before = number * steps
        begin = tf.maximum(tf.constant(first_step, tf.int64) - before, 0)
        end = tf.minimum(tf.constant(end_step, tf.int64) - before, steps)
        places = tf.data.Dataset.range(begin, end)
        return places.map(lambda place: (before + place, indices[place * batch_size : (place + 1) * batch_size]))

    passes = tf.data.Dataset.range(first_step // steps, -(-end_step // steps))
    load = _loader((inputs, *others), labels, batch_size, augmentation, sample_weight, share)
    return _loaded(passes.flat_map(batches_of_pass), load)


class BatchesInMemory:
    """The batches of `training_batches` without augmentation, of examples that TensorFlow has in its memory.

    The training step takes them for itself: to gather a batch of small images takes some microseconds, to have a
    pipeline hand it over takes a tenth of a step of LeNet from the step's threads.
    """

    spec = (tf.TensorSpec([None], tf.int64), tf.TensorSpec([None], tf.int64))
    """The values that `next` gives."""

    def __init__(
        self,
        inputs: Inputs,
        labels: NDArray[Any] | ClassNumbers,
        *,
        batch_size: int,
        seed: int,
        first_step: int,
        sample_weight: Weights = None,
        others: Sequence[Inputs] = (),
        share: Share | None = None,
    ) -> None:
        """Arguments as of `training_batches`; inputs such that `is_copied` says so."""
        self._order = functools.lru_cache(maxsize=1)(lambda number: epoch_order(seed, number, len(inputs)))
        self._load = _loader((inputs, *others), labels, batch_size, None, sample_weight, share)
        self._batch_size = batch_size
        self._steps_in_pass = steps_in_epoch(len(inputs), batch_size)
        self._step = first_step

    def next(self, steps: int) -> tuple[tf.Tensor, tf.Tensor]:
        """The next so many batches: the indices of their examples, and where each batch begins and ends in these."""
        chosen = [self._indices(step) for step in range(self._step, self._step + steps)]
        self._step += steps
        ends = np.cumsum([0, *map(len, chosen)])
        return tf.constant(np.concatenate(chosen)), tf.constant(ends)

    def batch(self, planned: tuple[tf.Tensor, tf.Tensor], number: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """Within a graph: a batch of those that `next` gave, counted from zero."""
        indices, ends = planned
        with tf.name_scope("next_batch"):
            return self._load(number, indices[ends[number] : ends[number + 1]])

    def _indices(self, step: int) -> NDArray[np.int64]:
        number, place = divmod(step, self._steps_in_pass)
        return self._order(number)[place * self._batch_size : (place + 1) * self._batch_size]


def is_copied(inputs: Inputs) -> bool:
    """Whether pipelines read these examples from a copy in TensorFlow's memory."""
    if isinstance(inputs, SelectedInputs):
        return is_copied(inputs.inputs)
    array = getattr(inputs, "array", None)
    return array is not None and array.nbytes <= _COPIED


def _loader(
    inputs: Sequence[Inputs],
    labels: NDArray[Any] | ClassNumbers | Masks,
    batch_size: int,
    augmentation: Augmentation | None,
    sample_weight: Weights,
    share: Share | None,
) -> Callable[[tf.Tensor, tf.Tensor], tuple[Any, ...]]:
    """Make a batch, in a graph, of its global step and the indices of its examples.

    With a share it is the number of its examples, and a batch of each shard that is this process's.
    """
    read, *read_others = map(_reader, inputs)
    masks = labels if isinstance(labels, Masks) else None
    read_masks = _reader(masks.inputs) if masks and masks.inputs is not inputs[0] else None
    # What goes with an example, beside the example itself.
    numbers = labels.numbers if isinstance(labels, ClassNumbers) else labels
    weigh = sample_weight if callable(sample_weight) else None
    arrays = (numbers if masks is None else None, None if weigh else sample_weight)
    along = [tf.constant(array) for array in arrays if array is not None]
    # Where the graph knows how large a batch is, a step of LeNet has 239 operators less 23.
    size = batch_size if share is None and len(inputs[0]) % batch_size == 0 else None

    def load(step: tf.Tensor, indices: tf.Tensor) -> tuple[tf.Tensor, ...]:
        indices = tf.ensure_shape(indices, [size])
        x = read(indices)
        others = tuple(tf.gather(array, indices) for array in along)
        if isinstance(labels, ClassNumbers):
            others = (labels.encode(others[0]), *others[1:])
        mask = None if masks is None else read_masks(indices) if read_masks else x
        if augmentation and augmentation.mixes:
            x, mixed = augmentation(tf.cast(x, tf.float32), step, others[0])
            others = (mixed, weigh(mixed)) if weigh else (mixed,)
        elif augmentation:
            x, mask = augmentation(tf.cast(x, tf.float32), step, mask)
        if read_others:
            x = (x, *(other(indices) for other in read_others))
        return (x, *others) if masks is None else (x, masks.encode(mask), *others)

    def load_shards(step: tf.Tensor, indices: tf.Tensor) -> tuple[Any, ...]:
        total, shards = tf.size(indices, tf.int64), []
        cuts = share.cuts(total) if share else []
        if augmentation and augmentation.mixes:  # with examples of other shards
            whole = load(step, indices)
            return total, tuple(tf.nest.map_structure(cut.of, whole) for cut in cuts)
        for cut in cuts:
            with as_in_the_whole_batch(cut):
                shards.append(load(step, cut.of(indices)))
        return total, tuple(shards)

    return load_shards if share else load


def padded_batches(
    inputs: Inputs, *, batch_size: int, others: Sequence[Inputs] = (), first: int = 0, step: int = 1
) -> tf.data.Dataset:
    """The examples in order, in batches that all have `batch_size` rows: the last one is filled up with zeros.

    Matrix products of other sizes round differently on a CPU; with one size, an example gives the same bits whether
    it comes alone or among others. With `others`, further inputs of the network, a batch is a tuple.

    Args:
        first: the number of the first batch.
        step: how many batches further the next one is; there are as many for each `first`, if need be all zeros.
    """
    batches = steps_in_epoch(len(inputs), batch_size)
    numbers = tf.data.Dataset.range(first, batches + -batches % step, step)
    return _loaded(numbers, _padded_loader(inputs, batch_size, others))


class PaddedInMemory:
    """The batches of `padded_batches`, of examples that TensorFlow has in its memory.

    The graph that computes on them takes them for itself: a pipeline takes milliseconds to begin, in each validation.
    """

    spec = tf.TensorSpec([], tf.int64)
    """The value that `next` gives."""

    def __init__(
        self, inputs: Inputs, *, batch_size: int, others: Sequence[Inputs] = (), first: int = 0, step: int = 1
    ) -> None:
        """Arguments as of `padded_batches`; inputs such that `is_copied` says so."""
        self._load = _padded_loader(inputs, batch_size, others)
        self._first, self._step = first, step
        self._next = first

    def from_the_first(self) -> "PaddedInMemory":
        """Begin again."""
        self._next = self._first
        return self

    def next(self, batches: int) -> tf.Tensor:
        """The next so many batches: the number of the first one."""
        begin = self._next
        self._next += batches * self._step
        return tf.constant(begin, tf.int64)

    def batch(self, begin: tf.Tensor, number: tf.Tensor) -> tf.Tensor | tuple[tf.Tensor, ...]:
        """Within a graph: a batch of those that `next` gave, counted from zero."""
        return self._load(begin + tf.cast(number, tf.int64) * self._step)


def _padded_loader(
    inputs: Inputs, batch_size: int, others: Sequence[Inputs]
) -> Callable[[tf.Tensor], tf.Tensor | tuple[tf.Tensor, ...]]:
    """Make a padded batch, in a graph, of its number."""
    examples = len(inputs)
    readers = [(_reader(one), one.example_shape) for one in (inputs, *others)]

    def load(number: tf.Tensor) -> tf.Tensor | tuple[tf.Tensor, ...]:
        begin = tf.minimum(number * batch_size, examples)
        indices = tf.range(begin, tf.minimum(begin + batch_size, examples))
        parts = []
        for read, shape in readers:
            x = tf.cast(read(indices), tf.float32)
            missing = batch_size - tf.shape(x)[0]
            x = tf.pad(x, [[0, missing], *([[0, 0]] * (x.shape.rank - 1))])
            parts.append(tf.ensure_shape(x, [batch_size, *shape]))
        return tuple(parts) if others else parts[0]

    return load


def _reader(inputs: Inputs) -> Callable[[tf.Tensor], tf.Tensor]:
    """Read examples by index within the graph: from TensorFlow's copy of them, or from where they are."""
    if isinstance(inputs, SelectedInputs):
        read, chosen = _reader(inputs.inputs), tf.constant(inputs.indices)
        return lambda indices: read(tf.gather(chosen, indices))
    if is_copied(inputs):
        kept = _in_memory(inputs)
        return lambda indices: tf.gather(kept, indices)

    def take(indices: NDArray[np.int64]) -> NDArray[Any]:
        array = getattr(inputs, "array", None)  # which may be complete by now
        if array is not None:
            rows = aligned((len(indices), *array.shape[1:]), array.dtype)
            return np.take(array, indices, axis=0, out=rows, mode="clip")  # others than "clip" make a copy for `out`
        try:
            return inputs.take(indices)
        except DataError as error:
            _read_errors.append(error)
            raise

    def from_files(indices: tf.Tensor) -> tf.Tensor:
        x = tf.numpy_function(take, [indices], tf.as_dtype(inputs.dtype), stateful=False)
        return tf.ensure_shape(x, [*indices.shape, *inputs.example_shape])

    return from_files


# TensorFlow has no arrays of NumPy but copies. To take rows out of one there costs a call into Python for each batch,
# which many small examples feel and few large ones do not, but not a second time the memory.
_COPIED = 2**26
# Training and validation may be shares of one array; TensorFlow then keeps one copy of it.
_kept: weakref.WeakKeyDictionary[Inputs, tf.Tensor] = weakref.WeakKeyDictionary()


def _in_memory(inputs: Any) -> tf.Tensor:
    if inputs not in _kept:
        _kept[inputs] = tf.constant(inputs.array)
    return _kept[inputs]


# Batches are read ahead, so an error may wait here for several calls until training comes to its batch.
_read_errors: list[DataError] = []


@contextmanager
def read_errors_as_they_were() -> Iterator[None]:
    """Raise the `DataError` of a file that went bad while it was read, in place of TensorFlow's wrapping of it."""
    try:
        yield
    except tf.errors.OpError as error:
        if not _read_errors:
            raise
        first = _read_errors[0]
        _read_errors.clear()
        raise first from error


def _loaded(numbers: tf.data.Dataset, load: Callable[..., Any]) -> tf.data.Dataset:
    """Load batches ahead of time, in order."""
    _read_errors.clear()  # of a pipeline that is given up
    # AutoGraph would find nothing to convert, and takes longer to look than to load a few images.
    load = tf.autograph.experimental.do_not_convert(load)
    batches = numbers.map(load, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    options = tf.data.Options()
    # The training step has the intra-op threads; an operator of the pipeline is too small to gain from them.
    options.threading.max_intra_op_parallelism = 1
    return batches.with_options(options).prefetch(tf.data.AUTOTUNE)
