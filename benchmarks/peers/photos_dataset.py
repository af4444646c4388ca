"""Today's tutorials without changes: `image_dataset_from_directory`, read ahead; with `--cache` decoded once."""

import keras
import tensorflow as tf

from benchmarks.peers._passes import arguments, take_turns

if __name__ == "__main__":
    given = arguments(__doc__)
    photos = keras.utils.image_dataset_from_directory(
        given.data, label_mode="binary", image_size=(224, 224), batch_size=given.batch_size, seed=1, verbose=False
    )
    batches = (photos.cache() if given.cache else photos).prefetch(tf.data.AUTOTUNE)
    take_turns(given.passes, lambda: batches)
