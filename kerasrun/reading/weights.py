"""How much each training example counts, as the data say it."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kerasrun.errors import DataError


def checked_weights(weights: NDArray[Any], named: Callable[[int], str]) -> NDArray[np.float32]:
    """Weights as float32, (examples,).

    Args:
        weights: numbers, (examples,).
        named: what a message calls the weight at an index.

    Raises:
        DataError: if one is negative or not finite, or all are 0.
    """
    with np.errstate(over="ignore"):  # what is too large for float32 becomes infinite
        found = weights.astype(np.float32)
    for index in np.flatnonzero(~np.isfinite(found) | (found < 0)):
        raise DataError(f"{named(int(index))} is {weights[index]}; expected a finite number of at least 0")
    if not found.any():
        raise DataError(f"{named(0)} and all others are 0; expected some examples to count")
    return found
