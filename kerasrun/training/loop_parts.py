"""What a loop needs beside the model, tried before there is a run."""

from pathlib import Path
from typing import Any

from kerasrun.callbacks import build_callbacks
from kerasrun.engine.job import Job
from kerasrun.experiment.schema import Experiment
from kerasrun.keras_objects import build
from kerasrun.training.best import best_for


def check_parts(job: Job) -> None:
    """Make once what the loop makes beside the model, to know whether it can be.

    Raises:
        KerasrunError: if a callback, an optimizer or what decides the best model cannot serve.
    """
    callbacks = build_callbacks(job.experiment.callbacks, Path.cwd())
    for optimizer in (job.model.optimizer, *_later_optimizers(job.experiment)):
        for callback in callbacks:
            callback.check_optimizer(optimizer)
    best_for(job.model, job.monitor, job.experiment.checkpoint.mode)


def _later_optimizers(experiment: Experiment) -> list[Any]:
    """Return the optimizers that later stages begin with."""
    return [build("optimizers", stage.optimizer) for stage in experiment.stages[1:] if stage.optimizer is not None]
