"""Colours of classes in pictures and masks."""

import numpy as np
from numpy.typing import NDArray


def class_colors(classes: int) -> NDArray[np.uint8]:
    """Return the colour map of PASCAL VOC: the first class black, neighbours far apart; uint8 (classes, 3).

    The bits of a class number are dealt in turn to red, green and blue, the lowest to the highest bit.
    """
    numbers = np.arange(classes)[:, np.newaxis]
    colors = np.zeros((classes, 3), np.int64)
    for place in range(8):
        colors |= ((numbers >> (3 * place + np.arange(3))) & 1) << (7 - place)
    return colors.astype(np.uint8)
