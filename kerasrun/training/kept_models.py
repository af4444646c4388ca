"""Whether the model files of a run are what they were written, and what can be done where they are not."""

import logging

from kerasrun import model_file
from kerasrun.errors import ModelFileError
from kerasrun.experiment.schema import Experiment
from kerasrun.runs import checkpoints
from kerasrun.runs.checkpoints import Checkpoint
from kerasrun.runs.directory import RunDirectory

logger = logging.getLogger("kerasrun")

# In the epoch that a checkpoint ends, these have changed what was in the model when `best.keras` was written.
_CHANGING = ("ReduceLROnPlateau", "SwapEMAWeights")


def last_is_whole(run: RunDirectory) -> bool:
    """Whether `last.keras` can be read; where it cannot, training ends once more from its last checkpoint."""
    try:
        model_file.read_info(run.last_model)
    except ModelFileError as error:
        logger.warning("%s; it is made again", error)
        return False
    return True


def best_to_rebuild(run: RunDirectory, experiment: Experiment, checkpoint: Checkpoint) -> Checkpoint | None:
    """The checkpoint from which `best.keras` has to be made again, because the file is lost; None where it is whole.

    A file of a later epoch than the checkpoint knows is whole too: that epoch is about to be repeated.

    Raises:
        ModelFileError: if it is lost, and no checkpoint has the weights of that epoch.
    """
    best = checkpoint.progress["best"]["epoch"]
    if best is None:
        return None
    try:
        found = model_file.read_info(run.best_model).epoch
        if best <= found <= max(best, experiment.fit.epochs):
            return None
        lost = f"{run.best_model}: of epoch {found}, expected the model of epoch {best}, the best one"
    except ModelFileError as error:
        lost = f"{error}. It held the model of epoch {best}, the best one"
    source = None
    if not any(callback.name in _CHANGING for callback in experiment.callbacks):
        source = checkpoints.at_end_of_epoch(run, best)
    if source is None:
        raise ModelFileError(f"{lost}, which no checkpoint can give back: put the file back from a copy")
    logger.warning("%s; it is made again from checkpoint %08d", lost, source.step)
    return source
