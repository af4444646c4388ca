"""`stages`: phases of training in one run, each what a `compile` and a `fit` of its own would be.

A stage ends after its epochs, or when a callback stops it; the next one begins with another optimizer, other layers
that learn, and callbacks that were told that training ended and begins. Light to import.
"""

from collections.abc import Sequence
from typing import Any

from kerasrun.experiment.schema import Experiment


def experiment_of(experiment: Experiment, stage: int) -> Experiment:
    """Return the experiment as a stage, counted from zero, compiles it."""
    if not experiment.stages or experiment.stages[stage].optimizer is None:
        return experiment
    compiled = experiment.compile.model_copy(update={"optimizer": experiment.stages[stage].optimizer})
    return experiment.model_copy(update={"compile": compiled})


def end_of_stage(experiment: Experiment, ends: Sequence[int]) -> int:
    """Return how many epochs there are in total when the stage after `ends` has ended by itself.

    Args:
        ends: how many epochs there were when each of the stages before ended.
    """
    if not experiment.stages:
        return experiment.fit.epochs
    return (ends[-1] if ends else 0) + experiment.stages[len(ends)].epochs


def end_of_training(experiment: Experiment, ends: Sequence[int]) -> int:
    """Return the same for the last stage; fewer than `fit.epochs` if a callback has ended a stage early."""
    if not experiment.stages:
        return experiment.fit.epochs
    return (ends[-1] if ends else 0) + sum(stage.epochs for stage in experiment.stages[len(ends) :])


def is_last(experiment: Experiment, ends: Sequence[int]) -> bool:
    return len(ends) + 1 >= len(experiment.stages)


def choose_trainable(experiment: Experiment, layers: Sequence[Any], stage: int) -> None:
    """Set which layers of the network learn in a stage.

    Raises:
        ModelError: if it names a layer that the network does not have.
    """
    if experiment.stages and (trainable := experiment.stages[stage].trainable) is not None:
        experiment.model.set_trainable(layers, trainable)


def check_trainable(experiment: Experiment, layers: Sequence[Any]) -> None:
    """Check that every stage can choose its layers, and leave the layers as they were.

    Raises:
        ModelError: as `choose_trainable`.
    """
    before = [layer.trainable for layer in layers]
    for stage in range(len(experiment.stages)):
        choose_trainable(experiment, layers, stage)
    for layer, trainable in zip(layers, before, strict=True):
        layer.trainable = trainable


def description(experiment: Experiment, stage: int) -> str:
    """Return a description of a stage, counted from zero, for a message."""
    said = experiment.stages[stage]
    parts = [f"stage {stage + 1} of {len(experiment.stages)}", f"{said.epochs} epoch{'s' * (said.epochs != 1)}"]
    if said.trainable is not None:
        parts.append(f"trainable: {said.trainable if isinstance(said.trainable, str) else str(said.trainable).lower()}")
    if said.optimizer is not None:
        parts.append(str(said.optimizer.name))
    return ", ".join(parts)
