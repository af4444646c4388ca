"""The same by `image_dataset_from_directory`, which reads in threads: MODEL FOLDER"""

import sys

import keras

model = keras.models.load_model(sys.argv[1])
_, height, width, channels = model.input_shape
images = keras.utils.image_dataset_from_directory(
    sys.argv[2],
    labels=None,
    color_mode="grayscale" if channels == 1 else "rgb",
    image_size=(height, width),
    shuffle=False,
    verbose=False,
)
for file, y in zip(images.file_paths, model.predict(images, verbose=0), strict=True):
    print(file, y.argmax(), y.max())
