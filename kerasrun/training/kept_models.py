"""Whether the model files of a run are what they were written, and what can be done where they are not."""

import logging
from dataclasses import dataclass, replace

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


@dataclass(frozen=True)
class BestModel:
    """What a resume does about `best.keras`; nothing where it is whole."""

    made_from: Checkpoint | None = None
    """The checkpoint from which it is made again."""
    lost: tuple[str, ...] = ()
    """Why it cannot be; accepted, the best model is that of the epochs to come."""

    @property
    def is_whole(self) -> bool:
        return self == BestModel()

    def begin_at(self, checkpoint: Checkpoint) -> Checkpoint:
        """The checkpoint without a best epoch if its model is lost."""
        if not self.lost:
            return checkpoint
        anew = {**checkpoint.progress["best"], "value": None, "epoch": None}
        return replace(checkpoint, progress={**checkpoint.progress, "best": anew})


def best_model(run: RunDirectory, experiment: Experiment, checkpoint: Checkpoint) -> BestModel:
    """Look whether `best.keras` is what the checkpoint tells of.

    A file of a later epoch than the checkpoint knows is whole too: that epoch is about to be repeated.

    Raises:
        ModelFileError: if it is lost, no checkpoint has the weights of that epoch, and no epoch is to come.
    """
    best = checkpoint.progress["best"]["epoch"]
    if best is None:
        return BestModel()
    try:
        found = model_file.read_info(run.best_model).epoch
        if best <= found <= max(best, experiment.fit.epochs):
            return BestModel()
        lost = f"{run.best_model}: of epoch {found}, but the best one is epoch {best}"
    except ModelFileError as error:
        lost = f"{error}. It held the model of epoch {best}, the best one"
    source = None
    if not any(callback.name in _CHANGING for callback in experiment.callbacks):
        source = checkpoints.at_end_of_epoch(run, best)
    if source is not None:
        logger.warning("%s; it is made again from checkpoint %08d", lost, source.step)
        return BestModel(made_from=source)
    lost += ", which no checkpoint has"
    progress = checkpoint.progress
    if progress["stopped_by"] is not None or progress["epoch"] >= experiment.fit.epochs:
        raise ModelFileError(f"{lost}: put the file back from a copy")
    return BestModel(lost=(lost,))
