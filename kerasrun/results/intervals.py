"""How far scores may be from those of all such examples, by the percentile bootstrap (Efron, 1979)."""

from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

from kerasrun.report.predictions import Question
from kerasrun.tasks.base import Task

SAMPLES = 1000
_SEED = 0
"""The same outputs give the same intervals."""
_MOST_NUMBERS = 200_000
"""Samples of more numbers would take minutes, and the intervals of many examples are narrow."""


def intervals(
    task: Task, labels: NDArray[np.generic], outputs: NDArray[np.float32], question: Question
) -> dict[str, tuple[float, float]]:
    """Return where 95 % of each score in the headline are, of samples of the examples with replacement.

    Empty where there are too many outputs. A score that half of the samples do not have is left out.
    """
    if outputs.size + outputs.shape[1] ** 2 > _MOST_NUMBERS:  # the outputs, and a matrix of classes
        return {}
    draw, found = np.random.default_rng(_SEED), defaultdict(list)
    for _ in range(SAMPLES):
        chosen = draw.integers(0, len(labels), len(labels))
        for name, value in task.scores(labels[chosen], outputs[chosen], question).headline.items():
            if value is not None:
                found[name].append(value)
    ends = {name: np.percentile(values, [2.5, 97.5]) for name, values in found.items() if 2 * len(values) > SAMPLES}
    return {name: (float(low), float(high)) for name, (low, high) in ends.items()}
