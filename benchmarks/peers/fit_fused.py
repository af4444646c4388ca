"""`fit` on arrays as fast as Keras goes: many steps a call, by oneDNN, which TensorFlow does not choose everywhere."""

import os

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

import keras

from benchmarks._mnist import read_mnist
from benchmarks.peers._arguments import arguments
from benchmarks.peers._networks import build
from benchmarks.peers._paced import Paced

if __name__ == "__main__":
    given = arguments(__doc__)
    keras.utils.set_random_seed(1)
    images, labels = read_mnist(given.data, "train")
    x = images[..., None].astype("float32") / 255
    y = keras.utils.to_categorical(labels, 10)
    model = build(given.network)
    model.steps_per_execution = 100
    model.fit(x, y, batch_size=given.batch_size, epochs=given.epochs, verbose=0, callbacks=[Paced(len(x))])
