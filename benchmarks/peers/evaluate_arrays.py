"""`model.evaluate` on MNIST's test images as an array, once a turn: MODEL FOLDER TIMES"""

import sys
import time
from pathlib import Path

import keras

from benchmarks import _turn
from benchmarks._mnist import read_mnist

images, labels = read_mnist(Path(sys.argv[2]), "test")
x, y = images[..., None].astype("float32"), keras.utils.to_categorical(labels, 10)
model = keras.models.load_model(sys.argv[1])
for _ in range(int(sys.argv[3])):
    _turn.wait()
    begin = time.perf_counter()
    model.evaluate(x, y, verbose=0)
    _turn.report(seconds=time.perf_counter() - begin, images=len(x))
