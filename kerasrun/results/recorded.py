"""What a run was: its experiment, its data, its machine."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kerasrun.experiment.changes import check_changes
from kerasrun.experiment.load import parse
from kerasrun.experiment.schema import Experiment
from kerasrun.runs import recovery
from kerasrun.runs.directory import RunDirectory

logger = logging.getLogger("kerasrun")


@dataclass(frozen=True)
class Recorded:
    """What a run says of itself, as far as its results depend on it."""

    experiment: Experiment
    fingerprint: str | None
    """Of the data that were trained on."""
    threads: Mapping[str, int]
    variables: Mapping[str, str | None]
    """Those of the environment that change bits."""


def read_recorded(run: RunDirectory, overrides: Sequence[str] = ()) -> Recorded:
    """Read it, from a checkpoint where a file of the run is damaged.

    Args:
        overrides: `data.….path=…` where the data have moved.

    Raises:
        KerasrunError: if it cannot be read, or an override would change what was trained.
    """
    recorded = recovery.read(run)
    for note in recorded.notes:
        logger.warning("%s; kerasrun resume %s puts it back", note, run)
    experiment = parse(recorded.resolved, run.resolved_file, overrides).experiment
    if overrides:
        check_changes(parse(recorded.resolved, run.resolved_file).experiment, experiment)
    of_run = recorded.content
    return Recorded(experiment, of_run["data_fingerprint"], of_run["device"]["threads"], of_run["variables"])
