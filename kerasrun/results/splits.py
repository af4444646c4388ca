"""The splits of a run's data, as training had them."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from kerasrun.experiment.schema import Experiment
from kerasrun.pipeline.selection import training_and_validation
from kerasrun.reading.data import Data, Split
from kerasrun.reading.memory import kept_within
from kerasrun.results.recorded import Recorded

logger = logging.getLogger("kerasrun")


@dataclass(frozen=True)
class OpenedSplits:
    """Splits whose files may still be read in the background."""

    data: Data
    splits: Mapping[str, Split]
    """`train` without the examples that validate, `validation` where there is one, `test` where there is one."""

    def require_read(self, recorded: Recorded) -> None:
        """Wait until everything is read; data that are not those of training are told.

        Raises:
            DataError: if a file cannot be used.
        """
        if self.data.fingerprint != recorded.fingerprint:
            logger.warning(
                "the data are not those of training: their fingerprint is %s, it was %s",
                *(self.data.fingerprint[:12], str(recorded.fingerprint)[:12]),
            )


def open_splits(experiment: Experiment) -> OpenedSplits:
    """
    Raises:
        DataError: if the data cannot be used.
    """
    with kept_within(experiment.cache.memory):
        data = experiment.data.open()
    train, validation = training_and_validation(data.splits, experiment.fit, experiment.seed)
    return OpenedSplits(data, {**data.splits, "train": train} | ({"validation": validation} if validation else {}))
