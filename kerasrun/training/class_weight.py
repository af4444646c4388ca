"""How much each training example counts in the loss, from `fit.class_weight`, as `Model.fit` means it."""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

ClassWeight = Literal["balanced"] | Mapping[str, float] | None
"""What `fit.class_weight` holds."""


def class_weights(wanted: ClassWeight, labels: NDArray[np.int64], classes: Sequence[str]) -> dict[str, float] | None:
    """The weight of every class by name; None where nothing is weighted.

    Args:
        wanted: weights by name, a class without one counts 1; or `balanced`, as scikit-learn computes it: examples /
            (classes * examples of the class), so that in all every class counts the same.
        labels: class numbers of the examples that train, (examples,).
    """
    if wanted is None:
        return None
    if wanted != "balanced":
        return {name: float(wanted.get(name, 1.0)) for name in classes}
    counts = np.bincount(labels, minlength=len(classes))
    present = np.count_nonzero(counts)
    # The weight of a class without examples is never used.
    return {
        name: len(labels) / (present * int(count)) if count else 1.0
        for name, count in zip(classes, counts, strict=True)
    }


def sample_weight(wanted: ClassWeight, labels: NDArray[np.int64], classes: Sequence[str]) -> NDArray[np.float32] | None:
    """The weight of each example, (examples,)."""
    weights = class_weights(wanted, labels, classes)
    return None if weights is None else np.array(list(weights.values()), np.float32)[labels]
