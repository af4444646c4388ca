"""`fit` on arrays with `steps_per_execution`, which runs many steps in one call: Keras's own fast path."""

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
