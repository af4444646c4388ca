"""The shortest script that evaluates a model on MNIST's test images: MODEL FOLDER"""

import sys
from pathlib import Path

import keras

from benchmarks._mnist import read_mnist

images, labels = read_mnist(Path(sys.argv[2]), "test")
model = keras.models.load_model(sys.argv[1])
print(model.evaluate(images[..., None], keras.utils.to_categorical(labels, 10), verbose=0))
