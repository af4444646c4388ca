"""The networks of the measurements, by hand; kerasrun builds the same from its experiment files."""

from typing import Any

import keras


def build(network: str, keras: Any = keras) -> Any:
    """`lenet` or `mlp` for MNIST, compiled as in benchmarks/experiments/, by Keras or by tf_keras."""
    model, optimizer = {
        "lenet": lambda: (_lenet(keras), keras.optimizers.SGD(0.01)),
        "mlp": lambda: (_mlp(keras), keras.optimizers.RMSprop(1e-3)),
    }[network]()
    model.compile(optimizer=optimizer, loss="categorical_crossentropy", metrics=["accuracy"])
    return model


def _lenet(keras: Any) -> Any:
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(6, 5, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(16, 5, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(120, activation="relu"),
            layers.Dense(84, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )


def _mlp(keras: Any) -> Any:
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Flatten(),
            layers.Dense(512, activation="relu"),
            layers.Dense(512, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )
