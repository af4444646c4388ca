"""Learning rates that follow from the epoch, for the `schedule` of `keras.callbacks.LearningRateScheduler`.

Light to import.
"""

import math


def step_decay(epoch: int, *, initial_learning_rate: float, drop: float, epochs_drop: float) -> float:
    """`initial_learning_rate · drop^⌊(1 + epoch) / epochs_drop⌋`; `epoch` counts from zero."""
    return initial_learning_rate * drop ** math.floor((1 + epoch) / epochs_drop)
