"""Seeds that no test names, to show that no expectation depends on a lucky draw: `pytest --other-seeds 1`."""

import os

import numpy as np

from kerasrun.experiment.schema import Experiment

VARIABLE = "KERASRUN_TESTS_OTHER_SEEDS"
"""The environment variable that tells the processes which tests start."""


def moved(seed: int) -> int:
    """Return the seed to take for this one: itself, or one that no test names."""
    return seed + 1000 * int(os.environ.get(VARIABLE, "0"))


def exchange() -> None:
    """Move the seed of every random array that a test makes, and the seed of experiments that name none.

    Lists stay as they are: the package itself gives them to NumPy.
    """
    if moved(0) == 0:
        return
    default_rng = np.random.default_rng
    np.random.default_rng = lambda seed=None: default_rng(moved(seed) if isinstance(seed, int) else seed)
    Experiment.model_fields["seed"].default = moved(1)
    Experiment.model_rebuild(force=True)
