"""Check how many epochs a run may still have from a checkpoint on."""

import logging

from kerasrun.callbacks import adapter_of
from kerasrun.engine.stages import end_of_training
from kerasrun.errors import UsageError
from kerasrun.experiment.schema import Experiment
from kerasrun.runs.directory import RunDirectory
from kerasrun.runs.records import SavedProgress

logger = logging.getLogger("kerasrun")


def check_epochs(before: Experiment, after: Experiment, progress: SavedProgress) -> None:
    """
    Raises:
        UsageError: if another number of epochs cannot be honoured from this checkpoint on.
    """
    begun = progress["epoch"] + bool(progress["step"])
    asked = end_of_training(after, progress["stage_ends"])
    if asked < begun:
        raise UsageError(f"fit.epochs: {asked} is less than the {begun} epochs that have begun")
    if progress["step"]:
        return
    for callback in after.callbacks:
        adapter_of(callback.name).check_epochs(
            callback.arguments, done=progress["epoch"], before=before.fit.epochs, after=after.fit.epochs
        )


def nothing_left(run: RunDirectory, experiment: Experiment, progress: SavedProgress) -> bool:
    """Return whether all epochs are done, and say so."""
    if progress["stopped_by"] is not None:
        epoch, callback = progress["epoch"], progress["stopped_by"]
        logger.info("%s is finished: %s stopped it after epoch %d; nothing to resume", run, callback, epoch)
        return True
    if progress["epoch"] >= end_of_training(experiment, progress["stage_ends"]):
        more, key = 2 * progress["epoch"], "fit.epochs"
        if experiment.stages:
            more, key = 2 * experiment.stages[-1].epochs, f"stages.{len(experiment.stages) - 1}.epochs"
        logger.info(
            "%s is finished: all %d epochs are done. To go on: kerasrun resume %s -s %s=%d",
            *(run, progress["epoch"], run.quoted, key, more),
        )
        return True
    return False
