"""The script of many a course: class folders of PNG and `ImageDataGenerator.flow_from_directory`."""

import tensorflow as tf

from benchmarks.peers._arguments import arguments
from benchmarks.peers._networks import build
from benchmarks.peers._paced import Paced

if __name__ == "__main__":
    given = arguments(__doc__)
    tf.keras.utils.set_random_seed(1)
    batches = tf.keras.preprocessing.image.ImageDataGenerator(rescale=1 / 255).flow_from_directory(
        given.data,
        target_size=(28, 28),
        color_mode="grayscale",
        class_mode="categorical",
        batch_size=given.batch_size,
    )
    build(given.network).fit(batches, epochs=given.epochs, verbose=0, callbacks=[Paced(batches.samples)])
