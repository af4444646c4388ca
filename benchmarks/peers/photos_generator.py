"""The tutorials' `ImageDataGenerator` on class folders of photos; SciPy is needed."""

from keras.src.legacy.preprocessing.image import ImageDataGenerator

from benchmarks.peers._passes import arguments, take_turns

if __name__ == "__main__":
    given = arguments(__doc__)
    batches = ImageDataGenerator(
        rescale=1 / 255,
        rotation_range=40,
        width_shift_range=0.2,
        height_shift_range=0.2,
        shear_range=0.2,
        zoom_range=0.2,
        horizontal_flip=True,
    ).flow_from_directory(given.data, target_size=(224, 224), class_mode="binary", batch_size=given.batch_size, seed=1)

    def one_pass():
        """As `fit` asks for them."""
        for number in range(len(batches)):
            yield batches[number]
        batches.on_epoch_end()

    take_turns(given.passes, one_pass)
