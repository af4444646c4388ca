"""The train step alone: Keras's own, on one batch that lies in memory, many times in one call.

No input, no callback, nothing saved: what any loop around this step can reach. By oneDNN, as in kerasrun, which
TensorFlow does not choose everywhere.
"""

import os
import time

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

import keras
import tensorflow as tf

from benchmarks import _turn
from benchmarks._mnist import read_mnist
from benchmarks.peers._arguments import arguments
from benchmarks.peers._networks import build

if __name__ == "__main__":
    given = arguments(__doc__)
    keras.utils.set_random_seed(1)
    images, labels = read_mnist(given.data, "train")
    x = tf.constant(images[: given.batch_size, :, :, None], tf.float32) / 255
    y = tf.one_hot(labels[: given.batch_size], 10)
    steps = -(-len(images) // given.batch_size)
    model = build(given.network)

    @tf.function
    def epoch(steps):
        for _ in tf.range(steps):
            model.train_step((x, y))

    model.train_step((x, y))  # makes the variables of optimizer and metrics, which a tf.function may not
    for _ in range(given.epochs):
        _turn.wait()
        begin = time.perf_counter()
        epoch(tf.constant(steps))
        _turn.report(seconds=time.perf_counter() - begin, images=steps * given.batch_size)
