"""A hand-written Keras script: train on MNIST, print the accuracy on its test images as JSON."""

import argparse
import json
from pathlib import Path

import keras

from benchmarks._mnist import read_mnist
from benchmarks.peers._networks import build

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", choices=["lenet", "mlp"], required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--batch-size", type=int, required=True)
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    given = parser.parse_args()
    keras.utils.set_random_seed(given.seed)
    (x_train, y_train), (x_test, y_test) = (
        (images[..., None].astype("float32") / 255, keras.utils.to_categorical(labels, 10))
        for images, labels in (read_mnist(given.data, "train"), read_mnist(given.data, "test"))
    )
    model = build(given.network)
    model.fit(x_train, y_train, batch_size=given.batch_size, epochs=given.epochs, verbose=0)
    loss, accuracy = model.evaluate(x_test, y_test, verbose=0)
    print(json.dumps({"loss": loss, "accuracy": accuracy}))
