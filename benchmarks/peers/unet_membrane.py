"""A hand-written Keras script: a U-Net on cell membranes, the same as `benchmarks/experiments/unet_membrane.yaml`.

Images and masks are changed by two ImageDataGenerators with one seed, as tutorials do it (SciPy is needed). It prints
the Dice coefficient of the membranes in the images that validate as JSON; with `--model` that of a trained model.
For `benchmarks.unet` it waits for its turn before each epoch.
"""

import argparse
import json
from pathlib import Path

import keras
import numpy as np
from keras import layers
from keras.src.legacy.preprocessing.image import ImageDataGenerator
from PIL import Image

from benchmarks.peers._paced import Paced
from kerasrun.pipeline.order import stratified_split

SIDE = 128
CHANGES = {
    **{"rotation_range": 0.2, "width_shift_range": 0.05, "height_shift_range": 0.05, "shear_range": 0.05},
    **{"zoom_range": 0.05, "horizontal_flip": True, "fill_mode": "nearest"},
}


def read(folder: Path, resampling: Image.Resampling) -> np.ndarray:
    """Sorted as kerasrun sorts them, (images, side, side, 1)."""
    images = [Image.open(path).resize((SIDE, SIDE), resampling) for path in sorted(folder.glob("*.png"))]
    return np.stack([np.asarray(image, np.float32) for image in images])[..., None]


def unet() -> keras.Model:
    def twice(x, filters):
        for _ in range(2):
            x = layers.Conv2D(filters, 3, padding="same", activation="relu", kernel_initializer="he_normal")(x)
        return x

    inputs = keras.Input((SIDE, SIDE, 1))
    whole = twice(layers.Rescaling(1 / 255)(inputs), 16)
    half = twice(layers.MaxPooling2D()(whole), 32)
    x = layers.Dropout(0.5)(twice(layers.MaxPooling2D()(half), 64))
    x = twice(layers.Concatenate()([half, layers.UpSampling2D()(x)]), 32)
    x = twice(layers.Concatenate()([whole, layers.UpSampling2D()(x)]), 16)
    return keras.Model(inputs, layers.Conv2D(1, 1, activation="sigmoid")(x))


def changed(x: np.ndarray, y: np.ndarray, batch_size: int, seed: int):
    """Batches of images and of masks, moved by the same draws; a moved mask is 0 or 1 again."""
    pairs = (ImageDataGenerator(**CHANGES).flow(array, batch_size=batch_size, seed=seed) for array in (x, y))
    for images, masks in zip(*pairs, strict=True):
        yield images, (masks > 0.5).astype(np.float32)


def dice(model: keras.Model, x: np.ndarray, y: np.ndarray) -> float:
    predicted = model.predict(x, verbose=0) > 0.5
    return float(2 * (predicted & (y == 1)).sum() / (predicted.sum() + (y == 1).sum()))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--batch-size", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--save", type=Path, default=Path("unet_membrane.keras"), help="where the best model is saved")
    parser.add_argument("--paced", action="store_true", help="one epoch a turn")
    given = parser.parse_args()
    keras.utils.set_random_seed(given.seed)
    x = read(given.data / "image", Image.Resampling.BILINEAR)
    y = (read(given.data / "label", Image.Resampling.NEAREST) == 0).astype(np.float32)
    trains, validates = stratified_split(np.zeros(len(x), np.int64), 0.1667, given.seed)
    if given.model:
        model = keras.models.load_model(given.model)
    else:
        model = unet()
        model.compile(optimizer=keras.optimizers.Adam(0.001), loss="binary_crossentropy", metrics=["accuracy"])
        best = keras.callbacks.ModelCheckpoint(given.save, save_best_only=True)
        model.fit(
            changed(x[trains], y[trains], given.batch_size, given.seed),
            steps_per_epoch=-(-len(trains) // given.batch_size),
            validation_data=(x[validates], y[validates]),
            epochs=given.epochs,
            callbacks=[best, *([Paced(len(trains))] if given.paced else [])],
            verbose=0,
        )
        model = keras.models.load_model(given.save)
    print(json.dumps({"dice": dice(model, x[validates], y[validates]), "validates": validates.tolist()}))
