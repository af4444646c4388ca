"""The shortest script that names the class of one image: MODEL IMAGE [call]."""

import sys

import keras

model = keras.models.load_model(sys.argv[1])
_, height, width, channels = model.input_shape
image = keras.utils.load_img(
    sys.argv[2], color_mode="grayscale" if channels == 1 else "rgb", target_size=(height, width)
)
x = keras.utils.img_to_array(image)[None]
# Calling the model is quicker for one image; `predict` is what tutorials write.
y = model(x).numpy() if sys.argv[3:] == ["call"] else model.predict(x, verbose=0)
print(y[0].argmax(), y[0].max())
