"""The examples of which the samples of the sources are made."""

import numpy as np


def pixels(seed):
    """A small grey image, or the first row of it as features."""
    return np.random.default_rng(seed).integers(0, 256, (6, 8), dtype=np.uint8)


def changed(array):
    """The same with one bit changed."""
    array = array.copy()
    array.flat[0] ^= 1
    return array
