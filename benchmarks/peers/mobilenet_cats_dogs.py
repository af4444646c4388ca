"""A hand-written Keras script: a frozen MobileNet with one sigmoid unit on photos of cats and dogs; prints JSON."""

import argparse
import json
import time
from pathlib import Path

import keras

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="train/ and val/, each with a folder for each class")
    parser.add_argument("--weights", type=Path, required=True, help="of MobileNet, alpha 0.25, without its top")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    keras.utils.set_random_seed(given.seed)
    train, validation = (
        keras.utils.image_dataset_from_directory(
            given.data / folder, label_mode="binary", image_size=(224, 224), batch_size=32, seed=given.seed
        ).prefetch(2)
        for folder in ("train", "val")
    )
    base = keras.applications.MobileNet(
        input_shape=(224, 224, 3), alpha=0.25, include_top=False, weights=str(given.weights), pooling="avg"
    )
    base.trainable = False
    inputs = keras.Input((224, 224, 3))
    x = base(keras.applications.mobilenet.preprocess_input(inputs), training=False)
    x = keras.layers.Dropout(0.2)(x)
    model = keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid")(x))
    model.compile(keras.optimizers.Adam(1e-3), "binary_crossentropy", metrics=["accuracy"])
    begun = time.monotonic()
    history = model.fit(train, validation_data=validation, epochs=given.epochs, verbose=2).history
    print(json.dumps({"val_accuracy": history["val_accuracy"], "seconds": round(time.monotonic() - begun, 1)}))
