"""Check how many epochs a run may still have from a checkpoint on."""

import logging

from kerasrun.components import Component
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
    if progress["step"] or not any(_changes_last_epoch(callback) for callback in after.callbacks):
        return
    done = progress["epoch"]
    if done >= before.fit.epochs and after.fit.epochs > before.fit.epochs:
        raise UsageError(
            "fit.epochs: a finished run with SwapEMAWeights and swap_on_epoch cannot be extended: in its last epoch "
            "the averages took the place of the weights, which are gone; start a new run with kerasrun train"
        )
    if done == after.fit.epochs < before.fit.epochs:
        raise UsageError(
            "fit.epochs: with SwapEMAWeights and swap_on_epoch the averages are put in place in the last epoch, and "
            f"epoch {done} is over: give at least {done + 1}"
        )


def _changes_last_epoch(callback: Component) -> bool:
    """Return whether the state after the last epoch differs from the one in a longer run."""
    return callback.name == "SwapEMAWeights" and bool(callback.arguments.get("swap_on_epoch"))


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
            *(run, progress["epoch"], run, key, more),
        )
        return True
    return False
