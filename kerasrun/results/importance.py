"""What each column of a table is worth to a model: permutation importance (Breiman, 2001)."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

REPEATS = 5


def permutation_importance(
    score: Callable[[NDArray[np.float32]], float],
    rows: NDArray[np.float32],
    columns: Sequence[slice],
    seed: int,
) -> NDArray[np.float64]:
    """Return how much a score drops when a column is shuffled, (columns, repeats).

    The numbers are those of scikit-learn's `permutation_importance` with `random_state=seed`.

    Args:
        score: of rows, the higher the better.
        columns: the numbers of a row that each column became.
    """
    whole, found = score(rows), np.empty((len(columns), REPEATS))
    # Its numbers are the same for ever.
    of_each = np.random.RandomState(seed).randint(2**31)
    for number, column in enumerate(columns):
        draw, order, shuffled = np.random.RandomState(of_each), np.arange(len(rows)), rows.copy()
        for repeat in range(REPEATS):
            draw.shuffle(order)
            shuffled[:, column] = shuffled[order, column]
            found[number, repeat] = whole - score(shuffled)
    return found
