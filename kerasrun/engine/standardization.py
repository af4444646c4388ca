"""Standardize images as `ImageDataGenerator` does, by Keras layers in front of the network.

The statistics are those of the examples that train, not augmented, and travel in the model: as a layer's configuration
where they are a few numbers, which a resumed run measures again; as weights where they are a matrix, which it has from
its checkpoint.
"""

import importlib
import math
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from kerasrun.components import Component
from kerasrun.errors import ModelError
from kerasrun.experiment.image_data_generator import ImageDataGenerator
from kerasrun.keras_catalogue import canonical
from kerasrun.reading.data import Inputs
from kerasrun.reading.inputs import in_batches

# What the original adds to a standard deviation before it divides.
_EPSILON = 1e-6
_AT_ONCE = 2**22
"""How many numbers are read at once."""


def standardize(generator: ImageDataGenerator, x: Any, train: Inputs) -> Any:
    """Apply to the model's input what the original applies in `standardize`, in its order.

    Args:
        x: symbolic, (batch, height, width, channels).
        train: the examples that train.

    Raises:
        ModelError: if the images have other channels than the preprocessing of a network takes.
    """
    if generator.preprocessing_function:
        x = _preprocess_input(generator.preprocessing_function, x)
    if generator.rescale is not None:
        x = keras.layers.Rescaling(generator.rescale, name="rescaling")(x)
    if generator.centers_samples:
        x = x - keras.ops.mean(x, axis=(1, 2, 3), keepdims=True)
    if generator.samplewise_std_normalization:
        x = x / (keras.ops.std(x, axis=(1, 2, 3), keepdims=True) + _EPSILON)
    if generator.centers_features:
        x = _normalize_features(generator, x, train)
    if generator.zca_whitening:
        x = _whiten(generator, x, train)
    return x


def _preprocess_input(network: str, x: Any) -> Any:
    module = importlib.import_module(f"keras.applications.{network}")
    try:
        return module.preprocess_input(x)
    except (ValueError, IndexError) as error:
        raise ModelError(
            f"augmentation: preprocess_input of {network} does not take images of {x.shape[-1]} "
            f"channel{'s' * (x.shape[-1] > 1)}; set color_mode: rgb in the data section"
        ) from error


def _normalize_features(generator: ImageDataGenerator, x: Any, train: Inputs) -> Any:
    mean, deviation = _statistics(train)
    scale = 1.0 if generator.rescale is None else generator.rescale
    # The layer divides by the root of the variance; the original by the deviation and a little more.
    divisor = deviation * abs(scale) + _EPSILON if generator.scales_features else np.ones_like(deviation)
    layer = keras.layers.Normalization(
        axis=-1, mean=(mean * scale).tolist(), variance=(divisor**2).tolist(), name="featurewise"
    )
    return layer(x)


def _whiten(generator: ImageDataGenerator, x: Any, train: Inputs) -> Any:
    shape = train.example_shape
    size = math.prod(shape)
    # Not a layer of our own: the model file then loads in plain Keras.
    layer = keras.layers.Dense(size, use_bias=False, trainable=False, dtype="float32", name="zca_whitening")
    x = layer(keras.layers.Flatten(name="zca_flatten")(x))
    layer.kernel.assign(_whitening_matrix(generator, train))
    return keras.layers.Reshape(shape, name="zca_reshape")(x)


def _whitening_matrix(generator: ImageDataGenerator, train: Inputs) -> NDArray[np.float64]:
    """Return the original's `u · √n / (s + ε) · uᵀ`, from covariances, which fit into memory where examples do not."""
    scale = 1.0 if generator.rescale is None else generator.rescale
    mean = _statistics(train)[0]
    size = math.prod(train.example_shape)
    squares = np.zeros((size, size))
    for examples in chunks(train):
        rows = ((examples - mean) * scale).reshape(len(examples), -1)
        squares += rows.T @ rows
    values, vectors = np.linalg.eigh(squares)
    values, vectors = values[-len(train) :], vectors[:, -len(train) :]  # fewer examples than pixels span no more
    inverse = np.sqrt(len(train)) / (np.sqrt(np.maximum(values, 0)) + generator.zca_epsilon)
    matrix: NDArray[np.float64] = (vectors * inverse) @ vectors.T
    return matrix


def _statistics(train: Inputs) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Compute mean and standard deviation of each channel.

    Of 8-bit images the sums are whole numbers, so that they are the same on every machine.
    """
    channels = train.example_shape[-1]
    kind = np.int64 if train.dtype == np.uint8 else np.float64
    total, squares = np.zeros(channels, kind), np.zeros(channels, kind)
    for examples in chunks(train):
        rows = examples.reshape(-1, channels).astype(kind)
        total += rows.sum(axis=0)
        squares += (rows**2).sum(axis=0)
    pixels = len(train) * math.prod(train.example_shape[:-1])
    mean = np.asarray(total / pixels, np.float64)
    deviation = np.sqrt(np.maximum(squares / pixels - mean**2, 0))
    return mean, deviation


def are_pixels(train: Inputs) -> bool:
    """Return whether numbers are an image's from 0 to 255, such as resizing as float leaves, and not from 0 to 1."""
    if len(train.example_shape) != 3:
        return False
    largest = 0.0
    for examples in chunks(train):
        largest = max(largest, float(examples.max()))
        if examples.min() < 0 or largest > 255:
            return False
    return largest > 1


def is_adapted(layer: Component) -> bool:
    """Return whether a layer needs statistics of the training examples, as Keras's `adapt` measures them."""
    return canonical("layers", layer.name) == "Normalization" and layer.arguments.get("mean") is None


def statistics(before: Any, train: Inputs, axis: int | Sequence[int] | None) -> dict[str, Any]:
    """Measure what `Normalization` takes: the mean and the variance of the examples that train.

    Args:
        before: the Keras model of the layers before it.
        axis: the axes, counted with that of the examples, of which each place has statistics of its own.

    Returns:
        arguments of the layer. They are sums of float64, in the order of the examples.
    """
    shape = (None, *before.output.shape[1:])
    axes = [] if axis is None else [axis] if isinstance(axis, int) else list(axis)
    kept = sorted(one % len(shape) for one in axes)
    others = tuple(place for place in range(len(shape)) if place not in kept)
    is_first = before.output is before.input
    total, squares, count = np.float64(0), np.float64(0), 0
    for examples in chunks(train):
        values = examples if is_first else np.asarray(before(examples, training=False), np.float64)
        total = total + values.sum(axis=others)
        count += values.size // max(1, math.prod(values.shape[place] for place in kept))
    mean = total / count
    for examples in chunks(train):  # again, since the difference of two large sums would lose what matters
        values = examples if is_first else np.asarray(before(examples, training=False), np.float64)
        squares = squares + ((values - np.expand_dims(mean, others)) ** 2).sum(axis=others)
    return {"mean": mean.tolist(), "variance": (squares / count).tolist()}


def chunks(train: Inputs) -> Iterator[NDArray[np.float64]]:
    """Give all examples in their order, as many at once as take little memory."""
    count = max(1, _AT_ONCE // math.prod(train.example_shape))
    return (batch.astype(np.float64) for batch in in_batches(train, count))
