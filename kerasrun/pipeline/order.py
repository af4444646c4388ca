"""The order of the examples, as pure functions of the seed: a run can begin at any step without replaying."""

import numpy as np
from numpy.typing import NDArray

# Sets the draw of the validation split apart from the draws of the epochs, which use (seed, epoch).
SPLIT_STREAM = 2**32


def epoch_order(seed: int, epoch: int, examples: int) -> NDArray[np.int64]:
    """Return the order of the training examples in an epoch, or in one pass: a permutation of `range(examples)`."""
    return np.random.default_rng([seed, epoch]).permutation(examples)


def steps_in_epoch(examples: int, batch_size: int) -> int:
    """Batches in one pass over the examples; the last one may be smaller."""
    return -(-examples // batch_size)


def examples_before(step: int, examples: int, batch_size: int) -> int:
    """Return how many examples training has seen before a global step, pass after pass over all of them."""
    passes, place = divmod(step, steps_in_epoch(examples, batch_size))
    return passes * examples + place * batch_size


def stratified_split(
    labels: NDArray[np.int64], validation_split: float, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Divide examples into training and validation, with the same share of every class.

    Args:
        labels: class numbers, shape (examples,).
        validation_split: share of each class that validates, in (0, 1); rounded, but a class of two or more examples
            always keeps one for training.

    Returns:
        indices of the training and of the validation examples, each sorted.
    """
    generator = np.random.default_rng([seed, SPLIT_STREAM])
    chosen = np.zeros(len(labels), dtype=bool)
    for number in np.unique(labels):
        members = generator.permutation(np.flatnonzero(labels == number))
        count = min(round(len(members) * validation_split), len(members) - 1)
        chosen[members[:count]] = True
    return np.flatnonzero(~chosen), np.flatnonzero(chosen)
