"""Some examples of a split, for a quick try."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def within_limit(labels: NDArray[Any], limit: int | None) -> NDArray[np.int64]:
    """Which examples stay, in their order: all, or `limit` of them, evenly spaced, because some data are sorted.

    Args:
        labels: class numbers (examples,), so that every class keeps its share; or what else labels are, (examples, …).
    """
    examples = len(labels)
    if limit is None or limit >= examples:
        return np.arange(examples)
    have_classes = labels.ndim == 1 and labels.dtype.kind in "iu"
    order = np.argsort(labels, kind="stable") if have_classes else np.arange(examples)
    return np.sort(order[np.arange(limit) * examples // limit])
