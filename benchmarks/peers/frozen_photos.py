"""The usual fine-tuning script: a frozen network of `keras.applications` and a new head on photos of two classes.

MobileNet of a quarter of the width at 224×224, or VGG16 at 64×64; `fit` runs the frozen layers in each epoch.
"""

import argparse
from pathlib import Path

import keras
from keras import layers

from benchmarks.peers._paced import Paced


def mobilenet(weights: str | None) -> keras.Model:
    base = keras.applications.MobileNet(
        input_shape=(224, 224, 3), alpha=0.25, include_top=False, weights=weights, pooling="avg"
    )
    base.trainable = False
    inputs = keras.Input((224, 224, 3))
    x = base(keras.applications.mobilenet.preprocess_input(inputs), training=False)
    x = layers.Dropout(0.2)(x)
    return keras.Model(inputs, layers.Dense(1, activation="sigmoid")(x))


def vgg16(weights: str | None) -> keras.Model:
    base = keras.applications.VGG16(input_shape=(64, 64, 3), include_top=False, weights=weights)
    base.trainable = False
    inputs = keras.Input((64, 64, 3))
    x = base(keras.applications.vgg16.preprocess_input(inputs), training=False)
    x = layers.Dense(256, activation="relu")(layers.Flatten()(x))
    x = layers.Dropout(0.5)(x)
    return keras.Model(inputs, layers.Dense(1, activation="sigmoid")(x))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network", choices=["mobilenet", "vgg16"])
    parser.add_argument("--data", type=Path, required=True, help="train/ and val/, each with a folder for each class")
    parser.add_argument("--weights", help="of the network without its top; by default random")
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    keras.utils.set_random_seed(given.seed)
    model = {"mobilenet": mobilenet, "vgg16": vgg16}[given.network](given.weights)
    train, validation = (
        keras.utils.image_dataset_from_directory(
            given.data / folder,
            label_mode="binary",
            image_size=model.input_shape[1:3],
            batch_size=32,
            seed=given.seed,
            verbose=False,
        )
        for folder in ("train", "val")
    )
    images = len(train.file_paths)
    model.compile(keras.optimizers.Adam(1e-3), "binary_crossentropy", metrics=["accuracy"])
    model.fit(
        train.prefetch(2),
        validation_data=validation.prefetch(2),
        epochs=given.epochs,
        verbose=0,
        callbacks=[Paced(images)],
    )
