"""What the processes of a run compute together, in TensorFlow's collective operations.

`MultiWorkerMirroredStrategy` begins TensorFlow's cluster: its servers, and the service that notices who is lost. The
strategy itself is not used: under it Keras 3 clips before the sum, draws the same mask in each process, and averages
metrics of batches that are not equally large.

Not run on a GPU yet.
"""

import signal
import threading
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any, Protocol

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from kerasrun.workers.arrival import hear_this_machine_alone
from kerasrun.workers.cluster import Place

_SECONDS_TO_JOIN = 60
_GROUP = 1
_ALLOWED_SECONDS = 0.0
_keys = count(1)
"""One for each operation of each graph of this process: they are traced in the same order in every process."""


def join(place: Place) -> None:
    """Begin TensorFlow's cluster, before anything was computed, when all have come (`kerasrun/workers/arrival.py`).

    It takes a moment, in which Python stands still. If another process is lost in this moment, TensorFlow would wait
    for ever, deaf to every signal that Python handles; so the system ends this process after a minute, by SIGALRM.

    The handlers of signals are those of before: TensorFlow would take SIGTERM for itself, and do nothing about it.
    """
    cluster = tf.train.ClusterSpec({"worker": list(place.addresses)})
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(cluster, task_type="worker", task_id=place.rank)
    signal.alarm(_SECONDS_TO_JOIN)
    try:
        tf.distribute.MultiWorkerMirroredStrategy(resolver)
    finally:
        signal.alarm(0)
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGTERM))  # set in C again
    if place.is_on_one_machine:
        hear_this_machine_alone(int(place.addresses[place.rank].rpartition(":")[2]))


def is_loss(error: BaseException) -> bool:
    """Return whether an error may come of another process that is lost."""
    return isinstance(error, _OF_A_LOSS)


_OF_A_LOSS = (
    *(tf.errors.AbortedError, tf.errors.CancelledError, tf.errors.DeadlineExceededError),
    *(tf.errors.InternalError, tf.errors.UnavailableError),
)


class Collectives(Protocol):
    """What several shards of a batch have in common, wherever they are computed."""

    def gather(self, rows: tf.Tensor) -> tf.Tensor:
        """Return the rows of all processes in the order of ranks; the tensor of each has the same shape."""

    def sum_in_order(self, rows: tf.Tensor, sent_as: str = "float32") -> tf.Tensor:
        """Return the sum of the rows of all processes, (numbers,) of (shards of this process, numbers).

        They are added in the order of the shards, so that the bits do not depend on who has which.

        Args:
            rows: float32, as which they are added.
            sent_as: what rows and sum are rounded to, also where nothing is sent.
        """


class Alone:
    """One process that computes all shards."""

    def gather(self, rows: tf.Tensor) -> tf.Tensor:
        return rows

    def sum_in_order(self, rows: tf.Tensor, sent_as: str = "float32") -> tf.Tensor:
        added = tf.add_n(tf.unstack(_received(tf.cast(rows, sent_as))))
        return _received(tf.cast(added, sent_as))


class Processes:
    """The processes of TensorFlow's cluster, one of which is this."""

    def __init__(self, rank: int, workers: int, device: str) -> None:
        self.rank = rank
        self.workers = workers
        self.device = f"/job:worker/replica:0/task:{rank}/device:{device}"
        self._functions: dict[Any, Any] = {}

    def gather(self, rows: tf.Tensor) -> tf.Tensor:
        # TensorFlow gathers no bfloat16.
        sent = tf.bitcast(rows, tf.float16) if rows.dtype == tf.bfloat16 else rows
        with tf.device(self.device):
            of_all = tf.raw_ops.CollectiveGatherV2(input=sent, **self._arguments())
        return tf.bitcast(tf.ensure_shape(of_all, [self.workers * rows.shape[0], *rows.shape[1:]]), rows.dtype)

    def sum_in_order(self, rows: tf.Tensor, sent_as: str = "float32") -> tf.Tensor:
        # Each process adds up a part of the numbers of all shards, and tells the others: as many bytes as a ring.
        own, numbers = rows.shape
        each = -(-numbers // self.workers)
        padded = tf.pad(tf.cast(rows, sent_as), [[0, 0], [0, each * self.workers - numbers]])
        parts = tf.transpose(tf.reshape(padded, [own, self.workers, each]), [1, 0, 2])
        with tf.device(self.device):
            of_all = tf.raw_ops.CollectiveAllToAllV2(input=parts, **self._arguments())
        added = tf.add_n(tf.unstack(_received(tf.reshape(of_all, [self.workers * own, each]))))
        return _received(self.gather(tf.cast(added, sent_as)))[:numbers]

    def largest(self, numbers: Sequence[float]) -> NDArray[np.float64]:
        """Return the largest of each number among all processes, now; all of them ask."""
        return self._now(self._reduced_by("Max"), np.asarray(numbers, np.float64))

    def sums(self, words: NDArray[np.int32]) -> NDArray[np.int32]:
        """Return the sum of each number over all processes, now."""
        return self._now(self._reduced_by("Add"), words)

    def arrays_of_all(self, array: NDArray[Any]) -> NDArray[Any]:
        """Return the arrays of all processes, now, (workers, …)."""
        return self._now(self.gather, array[None])

    def _now(self, operation: Callable[[tf.Tensor], tf.Tensor], array: NDArray[Any]) -> NDArray[Any]:
        name = getattr(operation, "__name__", "")
        key = (name, array.shape, array.dtype.str)
        if key not in self._functions:
            spec = tf.TensorSpec(array.shape, array.dtype)
            self._functions[key] = tf.function(operation, autograph=False).get_concrete_function(spec)
        result: NDArray[Any] = self._functions[key](tf.constant(array)).numpy()
        return result

    def _reduced_by(self, merge: str) -> Callable[[tf.Tensor], tf.Tensor]:
        def reduced(numbers: tf.Tensor) -> tf.Tensor:
            with tf.device(self.device):
                return tf.raw_ops.CollectiveReduceV2(input=numbers, merge_op=merge, final_op="Id", **self._arguments())

        reduced.__name__ = merge
        return reduced

    def _arguments(self) -> dict[str, Any]:
        return {
            "group_size": self.workers,
            "group_key": _GROUP,
            "instance_key": next(_keys),
            "ordering_token": [],
            "communication_hint": "auto",
            "timeout_seconds": _ALLOWED_SECONDS,
        }


def _received(numbers: tf.Tensor) -> tf.Tensor:
    return tf.cast(numbers, tf.float32)
