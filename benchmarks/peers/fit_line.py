"""configs/linear_regression.yaml as a script: `fit` on the shipped points, the best model kept.

Example: python -m benchmarks.peers.fit_line 1500 best.keras
"""

import sys
from pathlib import Path

import keras
import numpy as np

LINE = Path(__file__).parents[2] / "data" / "line.csv"

if __name__ == "__main__":
    epochs, best = sys.argv[1:]
    keras.utils.set_random_seed(1)
    x, y = np.loadtxt(LINE, delimiter=",", skiprows=1, dtype=np.float32, unpack=True)
    order = np.random.default_rng(1).permutation(len(x))
    x, y = x[order, np.newaxis], y[order]
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(optimizer=keras.optimizers.SGD(0.1), loss="mean_squared_error")
    keep = keras.callbacks.ModelCheckpoint(best, save_best_only=True)
    model.fit(x, y, batch_size=32, epochs=int(epochs), validation_split=0.2, verbose=0, callbacks=[keep])
