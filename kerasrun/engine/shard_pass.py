"""The way of a process's own shards through the network, and back."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import keras
import tensorflow as tf
from keras.src.models.functional import Functional

from kerasrun import plugins
from kerasrun.errors import ModelError
from kerasrun.experiment.image_data_generator import ImageDataGenerator
from kerasrun.experiment.schema import Experiment
from kerasrun.workers.collectives import Collectives
from kerasrun.workers.draws import as_in_the_whole_batch
from kerasrun.workers.shares import Cut, Share


def differences(model: Any, experiment: Experiment) -> list[str]:
    """Return a line for each reason why shards train otherwise than a whole batch, by more than rounding of 32 bits."""
    found = []
    plain = [one for one in _normalizations(model) if not one.synchronized]
    if any(one.trainable for one in plain) or (plain and experiment.stages):
        found.append(
            "BatchNormalization that learns normalizes each shard by itself, as with synchronized: false in Keras; "
            "set synchronized: true for statistics of the whole batch"
        )
    if experiment.precision != "float32":
        found.append(f"precision: {experiment.precision} rounds the gradient of each shard before they are added")
    if experiment.compress:
        found.append(f"compress: {experiment.compress} rounds the gradient of each shard, and their sum")
    equalizing = [one for one in _augmenting(experiment) if one in ("Equalization", "RandAugment")]
    if equalizing and not experiment.mixing:  # for which each process changes the whole batch
        found.append(
            f"augmentation: {equalizing[0]} evens out the pixels of each shard by itself, and without shards those of "
            "the whole batch"
        )
    found += [
        f"{plugin.path.name}: what add_loss adds is averaged over examples, as is right for a mean over the batch, but "
        "not for a sum"
        for plugin in plugins.in_use()
        if b"add_loss" in plugin.content
    ]
    return found


def cannot_synchronize(network: Any, experiment: Experiment) -> Any:
    """Return the first layer within which a synchronized BatchNormalization is out of reach; None if there is none.

    The code of another layer computes a shard from its input to its output, and does not wait in between.
    """

    def fails(layer: Any) -> bool:
        within = [one for one in layer._flatten_layers(include_self=False) if _asks_for_it(one)]
        if not any(one.trainable or experiment.stages for one in within):
            return False
        if isinstance(layer, keras.layers.TimeDistributed):
            return fails(layer.layer)
        graph = graph_of(layer)
        return graph is None or any(map(fails, graph.layers))

    return next(filter(fails, network.layers), None)


class ShardPass:
    """The outputs of shards, and the gradient by a copy of the weights for each."""

    def __init__(self, network: Any, model: Any, cuts: Sequence[Cut], share: Share, collectives: Collectives) -> None:
        """
        Args:
            network: what computes outputs of the inputs: the model, or the rest of it behind its frozen layers.
            model: the compiled model, whose weights learn.
            cuts: the places of the shards in their batch.
        """
        self.network = network
        self.model = model
        self.cuts = cuts
        self.share = share
        self.collectives = collectives
        self.copies = [[tf.identity(one.value) for one in model.trainable_weights] for _ in cuts]
        # Nothing that a shard changes is seen by the next: each draws with the seeds of the whole batch.
        self.scopes = [
            keras.StatelessScope(list(zip(model.trainable_weights, copies, strict=True)), collect_losses=True)
            for copies in self.copies
        ]

    def outputs(self, inputs: Sequence[Any]) -> list[tf.Tensor]:
        """Compute the outputs of each shard."""
        if _synchronizes(self.network):
            return self._together(self.network, inputs)
        return [self._of_one(number, self.network, x, training=True) for number, x in enumerate(inputs)]

    def added_losses(self) -> list[tf.Tensor]:
        """Return for each shard what its layers have added to the loss."""
        return [
            tf.add_n([tf.cast(one, tf.float32) for one in scope.losses]) if scope.losses else tf.zeros(())
            for scope in self.scopes
        ]

    def learned(self) -> list[list[tf.Tensor]]:
        """Return for each shard what it computed with of each weight: its copy, or what a layer has made of that."""
        return [[scope.get_current_value(one) for one in self.model.trainable_weights] for scope in self.scopes]

    def moved(self) -> list[tuple[Any, list[tf.Tensor]]]:
        """Return every variable that was assigned to, with its value by each shard."""
        given = dict(zip(map(id, self.model.trainable_weights), self.copies[0], strict=True))
        found = self.scopes[0].state_mapping
        return [
            (one, [scope.get_current_value(one) for scope in self.scopes])
            for one in self.model.variables
            if found.get(id(one)) is not given.get(id(one))
        ]

    def _of_one(self, number: int, operation: Any, *args: Any, **kwargs: Any) -> Any:
        with self.scopes[number], as_in_the_whole_batch(self.cuts[number]):
            return operation(*args, **kwargs)

    def _together(self, network: Any, inputs: Sequence[Any]) -> list[tf.Tensor]:
        """Go through the layers one by one, each on all shards: normalization needs the means of all."""
        each = [_Each(values) for values in zip(*map(tf.nest.flatten, inputs), strict=True)]
        found = network._run_through_graph(each, operation_fn=self._on_each)
        return list(keras.tree.flatten(found)[0].values)

    def _on_each(self, operation: Any) -> Callable[..., Any]:
        synchronizes = _synchronizes(operation)

        def apply(*args: Any, **kwargs: Any) -> Any:
            if synchronizes and isinstance(kwargs.get("mask"), _Each):
                for x, mask in zip(args[0].values, kwargs["mask"].values, strict=True):
                    _leave_out(x, mask)
            if synchronizes and not _is_synchronized(operation):
                graph = graph_of(operation)
                if graph is None:
                    return self._step_by_step(operation.layer, args[0])
                return graph._run_through_graph(args[0], operation_fn=self._on_each)
            if getattr(operation, "_call_has_training_arg", False):
                kwargs["training"] = True
            shards = [_picked((args, kwargs), number) for number in range(len(self.cuts))]
            moments = self._moments(operation, [args[0] for args, _ in shards]) if synchronizes else None
            found = []
            for number, (own_args, own_kwargs) in enumerate(shards):
                with _normalized_by(operation, moments[number] if moments else None):
                    found.append(self._of_one(number, operation, *own_args, **own_kwargs))
            flat = zip(*map(keras.tree.flatten, found), strict=True)
            return keras.tree.pack_sequence_as(found[0], [_Each(values) for values in flat])

        return apply

    def _step_by_step(self, layer: Any, x: "_Each") -> "_Each":
        """Apply a layer to each step of sequences by itself, as `TimeDistributed` does."""
        apply, masks = self._on_each(layer), [_mask(one) for one in x.values]
        found = []
        steps = x.values[0].shape[1]
        if steps is None:
            raise ModelError("TimeDistributed: synchronized: true within it needs sequences of a length that is known")
        for number in range(steps):
            step = _Each([one[:, number] for one in x.values])
            for one, mask in zip(step.values, masks, strict=True):
                _leave_out(one, None if mask is None else mask[:, number])
            found.append(apply(step).values)
        joined = [tf.stack(values, 1) for values in zip(*found, strict=True)]
        for one, mask in zip(joined, masks, strict=True):
            _leave_out(one, mask)
        return _Each(joined)

    def _moments(self, layer: Any, shards: Sequence[tf.Tensor]) -> list[tuple[tf.Tensor, tf.Tensor]]:
        """Return mean and variance over the whole batch, for each shard those that its gradient goes back through.

        Each shard has its count, its mean and its sum of squares about it, which are joined as in T. F. Chan et al.,
        Updating Formulae and a Pairwise Algorithm for Computing Sample Variances, 1979.
        """
        rows = []
        for x in shards:
            mask, x, axes = _mask(x), tf.cast(x, tf.float32), layer._reduction_axes
            channels = x.shape[layer.axis]
            if mask is None:
                count = tf.fill([channels], tf.cast(tf.size(x) // channels, tf.float32))
                mean = tf.reduce_mean(x, axes, keepdims=True)
            else:
                counts = tf.broadcast_to(tf.cast(mask, tf.bool)[..., None], tf.shape(x))
                count = tf.reduce_sum(tf.cast(counts, tf.float32), axes)
                mean = tf.math.divide_no_nan(tf.reduce_sum(tf.where(counts, x, 0), axes, keepdims=True), count)
                x = tf.where(counts, x, mean)
            squares = tf.reduce_sum(tf.math.squared_difference(x, tf.stop_gradient(mean)), axes)
            rows.append(tf.stack([count, tf.reshape(mean, [channels]), squares]))
        found = []
        for of_all in self._known_to_all(tf.stack(rows)):
            count, mean, squares = tf.unstack(of_all, axis=1)
            total = tf.add_n(tf.unstack(count))
            whole = tf.math.divide_no_nan(tf.add_n(tf.unstack(count * mean)), total)
            parts = squares + count * tf.math.squared_difference(mean, whole)
            found.append((whole, tf.math.divide_no_nan(tf.add_n(tf.unstack(parts)), total)))
        return found

    def _known_to_all(self, rows: tf.Tensor) -> list[tf.Tensor]:
        """Return the rows of all shards, once for each own shard; the gradient by a row is the sum of all shards'."""

        @tf.custom_gradient  # type: ignore[untyped-decorator]
        def known(own: tf.Tensor) -> Any:
            of_all = self.collectives.gather(own)

            def gradient(*upstream: tf.Tensor) -> tf.Tensor:
                summed = self.collectives.sum_in_order(tf.stack([tf.reshape(one, [-1]) for one in upstream]))
                own_shards = self.share.own
                return tf.reshape(summed, of_all.shape)[own_shards.start : own_shards.stop]

            return [tf.identity(of_all) for _ in self.cuts], gradient

        return list(known(rows))


class _Each:
    """A value for each shard, which goes through Keras's graph as one."""

    def __init__(self, values: Sequence[Any]) -> None:
        self.values = values


def _picked(arguments: Any, number: int) -> Any:
    return keras.tree.map_structure(lambda one: one.values[number] if isinstance(one, _Each) else one, arguments)


def _augmenting(experiment: Experiment) -> list[str]:
    """Return the names of Keras's layers that augment."""
    listed = experiment.augmentation
    return [] if listed is None or isinstance(listed, ImageDataGenerator) else [one.name for one in listed]


def _normalizations(network: Any) -> list[Any]:
    return [one for one in network._flatten_layers() if isinstance(one, keras.layers.BatchNormalization)]


def _synchronizes(operation: Any) -> bool:
    """Return whether it is a layer that needs the means of all shards, or has one within it."""
    return isinstance(operation, keras.layers.Layer) and any(map(_is_synchronized, operation._flatten_layers()))


def _is_synchronized(layer: Any) -> bool:
    return _asks_for_it(layer) and layer.trainable


def _asks_for_it(layer: Any) -> bool:
    return isinstance(layer, keras.layers.BatchNormalization) and layer.synchronized


def graph_of(layer: Any) -> Any:
    """Return the graph of a network that is a layer of another; None of any other layer."""
    return layer._functional if type(layer) is keras.Sequential else layer if type(layer) is Functional else None


def _mask(x: tf.Tensor) -> tf.Tensor | None:
    """Return which steps count: Keras's layers leave it on the tensor."""
    return getattr(x, "_keras_mask", None)


def _leave_out(x: tf.Tensor, mask: tf.Tensor | None) -> None:
    if mask is not None:
        x._keras_mask = mask


@contextmanager
def _normalized_by(layer: Any, moments: tuple[tf.Tensor, tf.Tensor] | None) -> Iterator[None]:
    if moments is None:
        yield
        return
    with patch.object(layer, "_moments", lambda inputs, mask: moments):
        yield
