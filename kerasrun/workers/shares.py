"""The shards of a batch, and those that a process computes.

A batch of n examples is cut into S shards, the first of which have one example more where n is no multiple of S. What
is computed of a shard depends on nothing but its examples; so whoever computes it, the result has the same bits.
"""

from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from kerasrun.errors import DeviceError


@dataclass(frozen=True)
class Cut:
    """A shard's place in its batch: int64 scalars of a graph."""

    total: tf.Tensor
    """The number of examples in the batch."""
    begin: tf.Tensor
    size: tf.Tensor

    def of(self, rows: Any) -> Any:
        """Return the rows of the shard, of a tensor with a row for each example of the batch."""
        return rows[self.begin : self.begin + self.size]


@dataclass(frozen=True)
class Share:
    """The shards of each batch that one of several processes computes, all of them where there is one process."""

    shards: int
    rank: int = 0
    workers: int = 1

    @property
    def own(self) -> range:
        """The numbers of its shards, counted from zero."""
        each = self.shards // self.workers
        return range(self.rank * each, (self.rank + 1) * each)

    def cuts(self, total: tf.Tensor) -> list[Cut]:
        """Return the places of its own shards in a batch of `total` examples."""
        total = tf.cast(total, tf.int64)
        each, more = total // self.shards, total % self.shards
        return [
            Cut(
                total,
                number * each + tf.minimum(tf.constant(number, tf.int64), more),
                each + tf.cast(number < more, tf.int64),
            )
            for number in self.own
        ]

    def check(self, examples: int, batch_size: int) -> None:
        """
        Raises:
            DeviceError: if the smallest batch would leave a shard without an example, which TensorFlow cannot compute.
        """
        smallest = examples % batch_size or min(batch_size, examples)
        if smallest < self.shards:
            raise DeviceError(
                f"the last batch of {examples} examples in batches of {batch_size} has {smallest}, fewer than the "
                f"{self.shards} parts that workers share: set another fit.batch_size"
            )
