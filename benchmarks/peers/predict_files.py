"""The shortest script that names the classes of all images in a folder: MODEL FOLDER"""

import sys
from pathlib import Path

import keras
import numpy as np

model = keras.models.load_model(sys.argv[1])
_, height, width, channels = model.input_shape
color_mode = "grayscale" if channels == 1 else "rgb"
files = sorted(path for path in Path(sys.argv[2]).rglob("*") if path.is_file())
images = [
    keras.utils.img_to_array(keras.utils.load_img(file, color_mode=color_mode, target_size=(height, width)))
    for file in files
]
for file, y in zip(files, model.predict(np.stack(images), verbose=0), strict=True):
    print(file, y.argmax(), y.max())
