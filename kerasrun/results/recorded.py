"""A run's experiment, data and model, as its results need them."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from kerasrun import plugins
from kerasrun.engine.prepared import open_data
from kerasrun.errors import DataError
from kerasrun.experiment.changes import check_changes
from kerasrun.experiment.load import parse
from kerasrun.experiment.schema import Experiment
from kerasrun.model_file import ModelInfo, TrainedModel
from kerasrun.pipeline.selection import training_and_validation, with_test_split
from kerasrun.reading.data import Data
from kerasrun.results.model import open_model
from kerasrun.runs import recovery
from kerasrun.runs.directory import RunDirectory
from kerasrun.runs.records import described
from kerasrun.text.problems import listed
from kerasrun.workers.cluster import ONE_PROCESS, Place

logger = logging.getLogger("kerasrun")


@dataclass(frozen=True)
class Recorded:
    """What a run records that its results depend on."""

    experiment: Experiment
    fingerprint: str | None
    """The fingerprint of the training data."""
    threads: Mapping[str, int]
    variables: Mapping[str, str | None]
    """The environment variables that change bits."""

    def open_data(self) -> Data:
        """Return the data with the splits of training; their files may still be read in the background.

        Returns:
            splits `train` without the examples that validate or test, and `validation` and `test` where there is one.

        Raises:
            DataError: if the data cannot be used.
        """
        data = with_test_split(open_data(self.experiment), self.experiment.fit, self.experiment.seed)
        train, validation = training_and_validation(data.splits, self.experiment.fit, self.experiment.seed)
        splits = {**data.splits, "train": train} | ({"validation": validation} if validation else {})
        return replace(data, splits=splits)

    def compare(self, data: Data, info: ModelInfo) -> None:
        """Wait until the data are read, and warn if they are not those of training.

        Args:
            info: what the model file knows.

        Raises:
            DataError: if a file cannot be used, or the labels of the data are others than the model's.
        """
        if data.label_kind != info.label_kind:
            raise DataError(
                f"the labels of the data are {data.label_kind}; the model was trained on {info.label_kind}: "
                "evaluate it on these"
            )
        if tuple(data.classes) != tuple(info.classes):
            raise DataError(
                f"the labels of the data are {listed(data.classes, 'and')}; the model was trained on "
                f"{listed(info.classes, 'and')}: evaluate it on these"
            )
        if data.fingerprint != self.fingerprint:
            logger.warning(
                "the data are not those of training: their fingerprint is %s, it was %s",
                *(data.fingerprint[:12], str(self.fingerprint)[:12]),
            )

    def open_model(self, path: Path, *, trust: bool, place: Place = ONE_PROCESS) -> TrainedModel:
        """Load a model file of the run to compute as the run did; raises as `results.model.open_model`."""
        device, deterministic = self.experiment.device, self.experiment.deterministic
        return open_model(path, device, self.threads, deterministic, variables=self.variables, trust=trust, place=place)


def read_recorded(run: RunDirectory, overrides: Sequence[str] = (), *, trust: bool = False) -> Recorded:
    """Read the records of a run, from a checkpoint where a file is damaged.

    Args:
        overrides: `data.….path=…` where the data have moved.
        trust: whether plugins of the run may be imported though they are not known.

    Raises:
        KerasrunError: if they cannot be read, an override would change what was trained, or a plugin may not be
            imported.
    """
    recorded = recovery.read(run)
    for note in recorded.notes:
        logger.warning("%s; kerasrun resume %s puts it back", note, run.quoted)
    experiment = parse(recorded.resolved, run.resolved_file, overrides, alone=True).experiment
    if overrides:
        check_changes(parse(recorded.resolved, run.resolved_file, alone=True).experiment, experiment)
    plugins.require_of_run(run.root, trust=trust)
    of_run = described(recorded.content, run.run_file)
    return Recorded(experiment, of_run["data_fingerprint"], of_run["device"]["threads"], of_run["variables"])
