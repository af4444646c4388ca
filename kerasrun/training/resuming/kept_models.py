"""Check the model files of a run, and decide what to do if they are not what was written."""

import logging
from dataclasses import dataclass, replace

from kerasrun import model_file
from kerasrun.callbacks import adapter_of
from kerasrun.engine.stages import end_of_training
from kerasrun.errors import ModelFileError
from kerasrun.experiment.schema import Experiment
from kerasrun.runs import checkpoints
from kerasrun.runs.checkpoints import Checkpoint
from kerasrun.runs.directory import RunDirectory
from kerasrun.runs.records import BestEpoch

logger = logging.getLogger("kerasrun")


def last_is_whole(run: RunDirectory) -> bool:
    """Return whether `last.keras` can be read; if not, training ends once more from its last checkpoint."""
    try:
        model_file.read_info(run.last_model)
    except ModelFileError as error:
        logger.warning("%s; it is made again", error)
        return False
    return True


@dataclass(frozen=True)
class BestModel:
    """The way in which a resume makes `best.keras` whole; nothing where it is."""

    made_from: Checkpoint | None = None
    """The checkpoint from which it is made again."""
    lost: tuple[str, ...] = ()
    """Why it cannot be; accepted, the best model is that of the epochs to come."""
    known: BestEpoch | None = None
    """The best epoch, where it is not the one that the checkpoint has."""

    @property
    def is_whole(self) -> bool:
        return self.made_from is None and not self.lost

    def begin_at(self, checkpoint: Checkpoint) -> Checkpoint:
        """Return the checkpoint with the best epoch that has a model: none if it is lost."""
        if self.known is None:
            return checkpoint
        return replace(checkpoint, progress={**checkpoint.progress, "best": self.known})


def best_model(
    run: RunDirectory, experiment: Experiment, checkpoint: Checkpoint, *, same_course: bool = True
) -> BestModel:
    """Check whether `best.keras` is the model that the checkpoint names.

    A file of a later epoch than the checkpoint's is whole too: that epoch is about to be repeated. Where it is repeated
    without a promise of the same bits, the model is the best until a better one comes: the same epoch need not improve
    again.

    Args:
        same_course: whether the epochs after the checkpoint are repeated as they were. If changes were accepted, they
            are not, and the model of such an epoch is none of this run.

    Raises:
        ModelFileError: if it is lost, no checkpoint has the weights of that epoch, and no epoch is to come.
    """
    progress = checkpoint.progress
    monitor, best = progress["best"]["monitor"], progress["best"]["epoch"]
    epochs = end_of_training(experiment, progress["stage_ends"])
    if best is None:
        return BestModel()
    try:
        info = model_file.read_info(run.best_model)
        if info.epoch == best:
            return BestModel()
        if same_course and progress["epoch"] < info.epoch <= epochs and monitor in info.metrics:
            if experiment.deterministic:
                return BestModel()
            return BestModel(known={"monitor": monitor, "value": info.metrics[monitor], "epoch": info.epoch})
        lost = f"{run.best_model}: of epoch {info.epoch}, but the best one is epoch {best}"
    except ModelFileError as error:
        lost = f"{error}. It held the model of epoch {best}, the best one"
    source = None
    if not any(adapter_of(callback.name).changes_model for callback in experiment.callbacks):
        source = checkpoints.at_end_of_epoch(run, best)
        if source is not None and best in source.progress["stage_ends"]:
            source = None  # it has what the next stage begins with
    if source is not None:
        logger.warning("%s; it is made again from checkpoint %08d", lost, source.step)
        return BestModel(made_from=source)
    lost += ", which no checkpoint has"
    if progress["stopped_by"] is not None or progress["epoch"] >= epochs:
        raise ModelFileError(f"{lost}: put the file back from a copy")
    return BestModel(lost=(lost,), known={"monitor": monitor, "value": None, "epoch": None})
