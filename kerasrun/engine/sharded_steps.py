"""A training step on a batch that is cut into shards, which several processes may share.

Every process computes the network's outputs of its own shards. They are gathered, and the loss and the metrics are
computed of the whole batch, by each process: so whatever a loss divides by, masks and weights count as in one process.
Its gradient by the outputs of a shard goes back through the network, and what comes of it for the weights is added in
the order of the shards. So the bits depend on the number of shards, and not on who computes which.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from kerasrun.engine.shard_pass import ShardPass
from kerasrun.engine.steps import FusedSteps
from kerasrun.workers.collectives import Collectives
from kerasrun.workers.shares import Cut, Share

_BUCKET = 2**20
"""How many numbers are added up at once: some MB, while the gradients of earlier layers are still computed."""


class ShardedSteps(FusedSteps):
    """`FusedSteps` on the shards of a process."""

    def __init__(
        self,
        network: Any,
        model: Any,
        share: Share,
        collectives: Collectives,
        batch_size: int,
        sent_as: str = "float32",
    ) -> None:
        """
        Args:
            network: what computes outputs of the inputs: the model, or the rest of it behind its frozen layers.
            model: the compiled model.
            sent_as: what gradients are rounded to before they are added, and their sum after that.
        """
        super().__init__(model)
        self.network = network
        self.share = share
        self.collectives = collectives
        self.sent_as = sent_as
        self.largest = -(-batch_size // share.shards)
        """The number of examples in the largest shard."""

    def _step(self, batch: Any) -> tf.Tensor:
        total, parts = batch
        model, optimizer = self.model, self.model.optimizer
        weights = model.trainable_weights
        cuts = self.share.cuts(total)
        way = ShardPass(self.network, model, cuts, self.share, self.collectives)
        with tf.GradientTape() as there:
            there.watch(way.copies)
            outputs = way.outputs([_as_floats(x) for x, *_ in parts])
            added = [
                tf.fill([tf.cast(cut.size, tf.int32)], one) for cut, one in zip(cuts, way.added_losses(), strict=True)
            ]
            forms = [
                _Form.of(y_pred, one, *labels) for y_pred, one, (_, *labels) in zip(outputs, added, parts, strict=True)
            ]
            columns = [form.packed() for form in forms]
        self._move(way.moved(), cuts)  # what the loss adds for a weight is of the weight as a layer has assigned it
        rows = self._gathered(columns, total)
        with tf.GradientTape() as back:
            back.watch(rows)
            y_pred, y, sample_weight, penalties = forms[0].unpacked(rows)
            model._clear_losses()
            loss = model.compute_loss(x=None, y=y, y_pred=y_pred, sample_weight=sample_weight, training=True)
            loss += tf.reduce_mean(penalties)
            model._loss_tracker.update_state(loss, sample_weight=tf.cast(total, tf.float32))
            scaled = optimizer.scale_loss(loss)
        of_rows, *of_weights = back.gradient(scaled, [rows, *weights])
        # As in one process it goes back to a weight as SpectralNormalization has assigned it, and no further.
        found = there.gradient(columns, way.learned(), output_gradients=[cut.of(of_rows) for cut in cuts])
        # A loop over the steps of a sequence does not tell their shape.
        of_shards = [
            [
                None if one is None else tf.ensure_shape(tf.convert_to_tensor(one), weight.shape)
                for one, weight in zip(shard, weights, strict=True)
            ]
            for shard in found
        ]
        gradients = self._added(of_shards, of_weights)
        optimizer.apply_gradients(zip(gradients, weights, strict=True))
        return model.compute_metrics(x=None, y=y, y_pred=y_pred, sample_weight=sample_weight)["loss"]

    def _gathered(self, columns: Sequence[tf.Tensor], total: tf.Tensor) -> tf.Tensor:
        """Return a row for each example of the batch, of those of each own shard."""
        # TensorFlow gathers tensors of one shape only, in all steps.
        width = columns[0].shape[1]
        padded = [
            tf.ensure_shape(tf.pad(one, [[0, self.largest - tf.shape(one)[0]], [0, 0]]), [self.largest, width])
            for one in columns
        ]
        of_all = self.collectives.gather(tf.stack(padded))
        whole = Share(self.share.shards)
        sizes = tf.stack([cut.size for cut in whole.cuts(total)])
        rows = tf.boolean_mask(of_all, tf.sequence_mask(sizes, self.largest))
        return tf.ensure_shape(rows, [None, width])

    def _added(self, of_shards: Sequence[Sequence[Any]], of_penalties: Sequence[Any]) -> list[Any]:
        """Return the gradient by each weight: the sum over the shards, and what penalties on weights add."""
        summed = self._sums(of_shards, self.sent_as)
        return [
            one if penalty is None else tf.convert_to_tensor(penalty) if one is None else one + penalty
            for one, penalty in zip(summed, of_penalties, strict=True)
        ]

    def _sums(self, of_shards: Sequence[Sequence[Any]], sent_as: str = "float32") -> list[Any]:
        """Return the sum of each tensor over all shards, None where it is None; the last ones first, in buckets."""
        summed: list[Any] = [None] * len(of_shards[0])
        bucket: list[int] = []
        for place in reversed([place for place, one in enumerate(of_shards[0]) if one is not None]):
            bucket.append(place)
            if sum(of_shards[0][one].shape.num_elements() for one in bucket) >= _BUCKET:
                self._sum_bucket(of_shards, bucket, summed, sent_as)
                bucket = []
        if bucket:
            self._sum_bucket(of_shards, bucket, summed, sent_as)
        return summed

    def _sum_bucket(
        self, of_shards: Sequence[Sequence[Any]], bucket: Sequence[int], summed: list[Any], sent_as: str
    ) -> None:
        flat = tf.stack(
            [tf.concat([tf.cast(tf.reshape(one[place], [-1]), tf.float32) for place in bucket], 0) for one in of_shards]
        )
        like = [of_shards[0][place] for place in bucket]
        parts = tf.split(self.collectives.sum_in_order(flat, sent_as), [one.shape.num_elements() for one in like])
        for place, one, part in zip(bucket, like, parts, strict=True):
            summed[place] = tf.cast(tf.reshape(part, one.shape), one.dtype)

    def _move(self, moved: Sequence[tuple[Any, Sequence[tf.Tensor]]], cuts: Sequence[Cut]) -> None:
        """Give what layers assign in each step (averages, counters) the mean of what the shards made of it."""
        floats = [(variable, values) for variable, values in moved if values[0].dtype.is_floating]
        parts = [tf.cast(cut.size, tf.float32) / tf.cast(cut.total, tf.float32) for cut in cuts]
        changes = [
            [(values[number] - variable.value) * tf.cast(part, values[number].dtype) for variable, values in floats]
            for number, part in enumerate(parts)
        ]
        for (variable, _), change in zip(floats, self._sums(changes), strict=True):
            variable.assign_add(change)
        for variable, values in moved:
            if not values[0].dtype.is_floating:
                variable.assign(values[0])


@dataclass(frozen=True)
class _Form:
    """The columns of a shard's rows: what loss and metrics take, side by side."""

    tensors: Sequence[tf.Tensor | None]
    """Outputs, their logits, which steps count, labels, their weights, what layers add to the loss."""

    @classmethod
    def of(cls, y_pred: tf.Tensor, added: tf.Tensor, y: tf.Tensor, sample_weight: tf.Tensor | None = None) -> "_Form":
        # Keras's activations and layers leave these on the tensor, for its losses.
        logits, mask = (getattr(y_pred, name, None) for name in ("_keras_logits", "_keras_mask"))
        return cls([y_pred, logits, mask, y, sample_weight, added])

    def packed(self) -> tf.Tensor:
        given = [one for one in self.tensors if one is not None]
        return tf.concat([tf.cast(tf.reshape(one, [-1, _width(one)]), tf.float32) for one in given], 1)

    def unpacked(self, rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor | None, tf.Tensor]:
        """Return outputs, labels, weights of examples, and what layers add to the loss, for each row."""
        given = [one for one in self.tensors if one is not None]
        columns = iter(tf.split(rows, [_width(one) for one in given], axis=1))
        y_pred, logits, mask, y, sample_weight, added = (
            None if one is None else tf.cast(tf.reshape(next(columns), [-1, *one.shape[1:]]), _kept(one))
            for one in self.tensors
        )
        assert y_pred is not None
        if logits is not None:
            y_pred._keras_logits = logits
        if mask is not None:
            y_pred._keras_mask = mask
        return y_pred, y, sample_weight, added


def _as_floats(x: Any) -> Any:
    """Return examples as the network takes them; bytes are moved as bytes, a quarter as large."""
    return tf.nest.map_structure(lambda one: tf.cast(one, tf.float32), x)


def _width(tensor: tf.Tensor) -> int:
    return int(tensor.shape[1:].num_elements())


def _kept(tensor: tf.Tensor) -> Any:
    """Return the dtype that a tensor has behind the network: that of losses, which round nothing to 16 bits."""
    return tf.float32 if tensor.dtype.is_floating else tensor.dtype
