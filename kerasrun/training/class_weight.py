"""How much each training example counts in the loss, from `fit.class_weight`, as `Model.fit` means it."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from kerasrun.reading.data import Split

if TYPE_CHECKING:
    import tensorflow as tf

ClassWeight = Literal["balanced"] | Mapping[str, float] | None
"""The type of `fit.class_weight`."""


def class_weights(wanted: ClassWeight, split: Split, classes: Sequence[str]) -> dict[str, float] | None:
    """Return the weight of every class by name; None where nothing is weighted.

    Args:
        wanted: weights by name, a class without one counts 1; or `balanced`, as scikit-learn computes it: examples /
            (classes * examples of the class), so that in all every class counts the same.
        split: the examples that train.
    """
    if wanted is None:
        return None
    labels = split.label_array
    if wanted != "balanced":
        return {name: float(wanted.get(name, 1.0)) for name in classes}
    counts = np.bincount(labels, minlength=len(classes))
    present = np.count_nonzero(counts)
    # The weight of a class without examples is never used.
    return {
        name: len(labels) / (present * int(count)) if count else 1.0
        for name, count in zip(classes, counts, strict=True)
    }


def sample_weight(wanted: ClassWeight, split: Split, classes: Sequence[str]) -> NDArray[np.float32] | None:
    """Return the weight of each example, (examples,): that of its class times its own; None without weights."""
    weights = class_weights(wanted, split, classes)
    if weights is None:
        return _for_each_place(split)
    by_class: NDArray[np.float32] = np.array(list(weights.values()), np.float32)[split.label_array]
    return by_class if split.sample_weight is None else by_class * split.sample_weight


def weight_of_mixed(
    wanted: ClassWeight, split: Split, classes: Sequence[str]
) -> "Callable[[tf.Tensor], tf.Tensor] | None":
    """Return what gives a batch of mixed labels its weights, as `Model.fit` does: those of the largest shares."""
    import tensorflow as tf

    weights = class_weights(wanted, split, classes)
    if weights is None:
        return None
    by_class = tf.constant(list(weights.values()), tf.float32)

    def weigh(shares: tf.Tensor) -> tf.Tensor:
        """Return (batch,) of shares (batch, classes), or (batch, 1) of the second of two classes."""
        largest = tf.argmax(shares, 1) if shares.shape[1] > 1 else tf.cast(tf.round(shares[:, 0]), tf.int64)
        return tf.gather(by_class, largest)

    return weigh


def _for_each_place(split: Split) -> NDArray[np.float32] | None:
    """Return weights of as many dimensions as losses have: Keras would not spread those of examples over pixels."""
    weights, shape = split.sample_weight, getattr(split.labels, "example_shape", ())
    if weights is None or weights.ndim > 1 or len(shape) < 2:
        return weights
    return weights.reshape(-1, *[1] * (len(shape) - 1))
