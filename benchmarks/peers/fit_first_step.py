"""The shortest script that trains LeNet on the shipped digits with `fit`; it ends with the first step."""

from pathlib import Path

import keras
import numpy as np
from keras import layers

DIGITS = Path(__file__).parents[2] / "data" / "digits" / "digits.npz"


class FirstStep(keras.callbacks.Callback):  # type: ignore[misc]
    """End the process with the first step."""

    def on_train_batch_end(self, batch: int, logs: object = None) -> None:
        raise SystemExit


with np.load(DIGITS) as digits:
    x, y = digits["x_train"][..., None].astype("float32") / 255, digits["y_train"]
model = keras.Sequential(
    [
        keras.Input((32, 32, 1)),
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
model.compile(keras.optimizers.SGD(0.02, momentum=0.9), "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(x, y, batch_size=32, epochs=20, validation_split=0.1, verbose=0, callbacks=[FirstStep()])
