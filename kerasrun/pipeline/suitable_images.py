"""Check that examples are images that an `ImageDataGenerator` can change, before TensorFlow loads."""

import math

import numpy as np

from kerasrun.errors import DataError
from kerasrun.experiment.image_data_generator import ImageDataGenerator
from kerasrun.reading.data import Inputs

_LARGEST_MATRIX = 2**30
"""Bytes of the largest whitening matrix."""


def require_suitable_images(generator: ImageDataGenerator, train: Inputs) -> None:
    """
    Raises:
        DataError: if the examples are not images, or not such as an argument of the generator needs.
    """
    shape = train.example_shape
    if len(shape) != 3:
        raise DataError(f"augmentation: ImageDataGenerator changes images, but an example has the shape {shape}")
    height, width, channels = shape
    if generator.brightness_range is not None:
        if train.dtype != np.uint8:
            raise DataError("augmentation: brightness_range works on pixels of 8 bits, but these examples are numbers")
        if channels not in (1, 3, 4):
            raise DataError(
                f"augmentation: brightness_range changes images of 1, 3 or 4 channels, but these have {channels}"
            )
    size = math.prod(shape)
    if generator.zca_whitening and 4 * size**2 > _LARGEST_MATRIX:
        raise DataError(
            f"augmentation: zca_whitening of images of {height}×{width}×{channels} takes a matrix of {size}×{size} "
            f"numbers, {4 * size**2 / 2**30:.0f} GiB; set a smaller image_size in the data section, or leave it out"
        )
