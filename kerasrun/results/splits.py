"""The splits of a run's data, as training had them."""

import logging

from kerasrun.experiment.schema import Experiment
from kerasrun.pipeline.selection import training_and_validation
from kerasrun.sources._contract import Split
from kerasrun.sources._memory import kept_within

logger = logging.getLogger("kerasrun")


def open_splits(experiment: Experiment, fingerprint: str) -> dict[str, Split]:
    """`train` without the examples that validate, `validation` where there is one, `test` where there is one.

    Args:
        fingerprint: of the data that were trained on; others are told.

    Raises:
        DataError: if the data cannot be used.
    """
    with kept_within(experiment.cache.memory):
        opened = experiment.data.open()
    if opened.fingerprint != fingerprint:
        logger.warning(
            "the data are not those of training: their fingerprint is %s, it was %s",
            *(opened.fingerprint[:12], fingerprint[:12]),
        )
    train, validation = training_and_validation(opened.splits, experiment.fit, experiment.seed)
    return {**opened.splits, "train": train} | ({"validation": validation} if validation else {})
