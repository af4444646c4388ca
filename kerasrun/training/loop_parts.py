"""What can be wrong with an experiment although its model was built: made before there is a run."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kerasrun.experiment.schema import Experiment
from kerasrun.keras_objects import build
from kerasrun.pipeline.augmentation import Augmentation, augmentation_of
from kerasrun.training.best import Best, best_for
from kerasrun.training.building import BuiltModel
from kerasrun.training.callbacks import build_callbacks, check_average


@dataclass(frozen=True)
class LoopParts:
    """What the loop takes as it is."""

    augmentation: Augmentation | None
    best: Best


def loop_parts(experiment: Experiment, built: BuiltModel, validates: bool) -> LoopParts:
    """
    Raises:
        KerasrunError: if the augmentation, a callback, an optimizer or what decides the best model cannot serve.
    """
    callbacks = build_callbacks(experiment.callbacks, Path.cwd())
    for optimizer in (built.model.optimizer, *_later_optimizers(experiment)):
        check_average(callbacks, optimizer)
    monitor = experiment.checkpoint.monitor or ("val_loss" if validates else "loss")
    masks = built.targets.task.per_pixel
    return LoopParts(
        augmentation=augmentation_of(experiment, tuple(built.model.input.shape[1:]), masks=masks),
        best=best_for(built.model, monitor, experiment.checkpoint.mode),
    )


def _later_optimizers(experiment: Experiment) -> list[Any]:
    """Those that later stages begin with."""
    return [build("optimizers", stage.optimizer) for stage in experiment.stages[1:] if stage.optimizer is not None]
