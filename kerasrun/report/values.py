"""The meaning of a network's outputs: the probabilities and classes that they stand for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

OutputKind = Literal["probabilities", "sigmoid logits", "softmax logits", "scores", "values"]
"""`scores`, of hinge losses: the larger the surer, but not probabilities; `values`: the numbers that were asked for."""
Threshold = float | tuple[float, ...]
"""How probable the second of two classes, or a label, must be to be called; of labels, one for all or for each."""


def class_values(outputs: NDArray[np.float32], kind: OutputKind) -> NDArray[np.float64]:
    """Return a value for each class: its probability, or its score where the loss makes no probabilities.

    Args:
        outputs: shape (…, 1) for two classes with one unit, else (…, classes).

    Returns:
        shape (…, classes); the largest value of a row is the predicted class.
    """
    import numpy as np

    values = label_values(outputs, kind)
    if values.shape[-1] == 1:
        return np.concatenate([-values if kind == "scores" else 1 - values, values], axis=-1)
    if kind != "softmax logits":
        return values
    exponentials = np.exp(values - values.max(axis=-1, keepdims=True))
    shares: NDArray[np.float64] = exponentials / exponentials.sum(axis=-1, keepdims=True)
    return shares


def called_classes(values: NDArray[np.float64], threshold: float | None) -> NDArray[np.int64]:
    """Return the class of each example by values of the classes, (examples, classes): the one with the largest.

    Args:
        threshold: how probable the second of two classes must be to be called, instead.
    """
    import numpy as np

    if threshold is not None:
        return (values[:, 1] > threshold).astype(np.int64)
    largest: NDArray[np.int64] = values.argmax(axis=1)
    return largest


def label_values(outputs: NDArray[np.float32], kind: OutputKind) -> NDArray[np.float64]:
    """Return the probability of each label on its own, or its score; numbers as they are."""
    import numpy as np

    values = outputs.astype(np.float64)
    return 1 / (1 + np.exp(-values)) if kind == "sigmoid logits" else values


def pixel_classes(outputs: NDArray[np.float32], kind: OutputKind, threshold: float | None = None) -> NDArray[np.int64]:
    """Return the class of each pixel.

    Args:
        outputs: (examples, height, width, 1) for two classes with one channel, else (examples, height, width, classes).
        threshold: how probable the second of two classes must be to be called; by default a half.

    Returns:
        class numbers, (examples, height, width).
    """
    import numpy as np

    if threshold is not None:
        return (class_values(outputs, kind)[..., 1] > threshold).astype(np.int64)
    if outputs.shape[-1] == 1:
        return (label_values(outputs[..., 0], kind) > least(kind)).astype(np.int64)
    # Neither sigmoid nor softmax changes which channel is the largest.
    largest: NDArray[np.int64] = outputs.argmax(axis=-1)
    return largest


def least(kind: OutputKind) -> float:
    """Return the value above which a yes is said where there is no threshold: a probability of a half, a score of 0."""
    return 0.0 if kind == "scores" else 0.5
