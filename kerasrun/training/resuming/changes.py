"""Whether a run can have another number of epochs from a checkpoint on."""

from collections.abc import Mapping
from typing import Any

from kerasrun.components import Component
from kerasrun.engine.stages import end_of_training
from kerasrun.errors import UsageError
from kerasrun.experiment.schema import Experiment


def check_epochs(before: Experiment, after: Experiment, progress: Mapping[str, Any]) -> None:
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
    """Whether the state after the last epoch is not what it would be in a longer run."""
    return callback.name == "SwapEMAWeights" and bool(callback.arguments.get("swap_on_epoch"))
