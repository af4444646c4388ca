"""Today's tutorials: `image_dataset_from_directory`, then Keras's layers, one after the other, in the pipeline."""

import keras
import tensorflow as tf
from keras import layers

from benchmarks.peers._passes import arguments, take_turns

if __name__ == "__main__":
    given = arguments(__doc__)
    keras.utils.set_random_seed(1)
    change = keras.Sequential(
        [
            layers.Rescaling(1 / 255),
            layers.RandomRotation(40 / 360, fill_mode="nearest"),
            layers.RandomTranslation(0.2, 0.2, fill_mode="nearest"),
            layers.RandomShear(0.2, fill_mode="nearest"),
            layers.RandomZoom(0.2, 0.2, fill_mode="nearest"),
            layers.RandomFlip("horizontal"),
        ]
    )
    photos = keras.utils.image_dataset_from_directory(
        given.data, label_mode="binary", image_size=(224, 224), batch_size=given.batch_size, seed=1, verbose=False
    )
    changed = photos.map(lambda x, y: (change(x, training=True), y), num_parallel_calls=tf.data.AUTOTUNE)
    batches = changed.prefetch(tf.data.AUTOTUNE)
    take_turns(given.passes, lambda: batches)
