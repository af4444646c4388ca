"""Labels as the loss takes them: at once where they stay as large, one-hot and masks batch by batch."""

from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from kerasrun.engine.several_outputs import AnyTargets
from kerasrun.engine.targets import Targets
from kerasrun.pipeline.batches import ClassNumbers, Masks
from kerasrun.reading.data import Split


def training_labels(targets: AnyTargets, split: Split) -> NDArray[Any] | ClassNumbers | Masks:
    """For `training_batches`."""
    if isinstance(split.labels, np.ndarray) and isinstance(targets, Targets) and targets.one_hot:
        return ClassNumbers(split.labels, lambda numbers: tf.one_hot(numbers, targets.classes))
    if isinstance(split.labels, np.ndarray):
        return targets.encode(split.labels)
    assert isinstance(targets, Targets), "masks are of one output"
    return Masks(split.labels, partial(encode_masks, targets))


def labels_of(targets: AnyTargets, split: Split, begin: int, end: int) -> Any:
    """The labels of the examples from `begin` to before `end`."""
    if isinstance(split.labels, np.ndarray):
        return targets.encode(split.labels[begin:end])
    assert isinstance(targets, Targets), "masks are of one output"
    return encode_masks(targets, tf.constant(split.labels.take(np.arange(begin, end))))


def encode_masks(targets: Targets, masks: tf.Tensor) -> tf.Tensor:
    """Class numbers, uint8 (batch, height, width, 1), as the loss takes them.

    Returns:
        for a sparse loss int32 (batch, height, width); for one channel float32 (batch, height, width, 1); else one-hot
        float32 (batch, height, width, classes).
    """
    if targets.units == 1:
        return tf.cast(masks, tf.float32)
    numbers = tf.cast(masks[..., 0], tf.int32)
    return numbers if targets.sparse else tf.one_hot(numbers, targets.classes)
