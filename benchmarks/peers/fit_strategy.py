"""`fit` of TensorFlow 2's Keras (tf_keras) on a batch that is shared by a strategy of TensorFlow.

MirroredStrategy is one process, with several devices of its CPU; MultiWorkerMirroredStrategy is several processes,
which share out the cores.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from typing import Any

from benchmarks import _turn
from benchmarks._mnist import read_mnist
from benchmarks.peers._arguments import parser_of_sharing

STRATEGIES = ("mirrored", "multi_worker")


def train(given: argparse.Namespace) -> None:
    """Train, and tell of each epoch."""
    import tensorflow as tf
    import tf_keras

    from benchmarks.peers._networks import build

    class Told(tf_keras.callbacks.Callback):  # type: ignore[misc]
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.begin = time.perf_counter()

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            _turn.report(seconds=time.perf_counter() - self.begin, images=len(images), **(logs or {}))

    if given.strategy == "mirrored":
        cpu, *_ = tf.config.list_physical_devices("CPU")
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * given.workers)
        strategy = tf.distribute.MirroredStrategy([f"CPU:{number}" for number in range(given.workers)])
    else:
        tf.config.threading.set_intra_op_parallelism_threads(max(1, len(os.sched_getaffinity(0)) // given.workers))
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
    tf_keras.utils.set_random_seed(1)
    images, labels = read_mnist(given.data, "train")
    x = images[..., None].astype("float32") / 255
    batches = tf.data.Dataset.from_tensor_slices((x, tf.one_hot(labels, 10)))
    batches = batches.shuffle(len(x), seed=1).batch(given.batch_size)
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    with strategy.scope():
        model = build(given.network, tf_keras)
    model.fit(batches.with_options(options), epochs=given.epochs, verbose=0, callbacks=[Told()])


def start_each(workers: int) -> None:
    """Do this command in several processes, of which the first one tells.

    Raises:
        SystemExit: if one of them fails.
    """
    with ExitStack() as stack:
        listening = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(workers)]
        addresses = [f"127.0.0.1:{one.getsockname()[1]}" for one in listening]
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "benchmarks.peers.fit_strategy", *sys.argv[1:]],
            env={
                **os.environ,
                "TF_CONFIG": json.dumps({"cluster": {"worker": addresses}, "task": {"type": "worker", "index": rank}}),
            },
            stdout=subprocess.DEVNULL if rank else None,
        )
        for rank in range(workers)
    ]
    codes = [process.wait() for process in processes]
    if any(codes):
        raise SystemExit(1)


if __name__ == "__main__":
    parser = parser_of_sharing(__doc__)
    parser.add_argument("--strategy", choices=STRATEGIES, required=True)
    given = parser.parse_args()
    if given.strategy == "multi_worker" and "TF_CONFIG" not in os.environ:
        start_each(given.workers)
    else:
        train(given)
