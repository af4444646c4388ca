"""Learning rates as an experiment may write them, brought to what Keras takes: counts of epochs, and `decay`."""

from collections.abc import Mapping
from typing import Any

from kerasrun.components import Component, as_component
from kerasrun.keras_catalogue import signature

DECAY = "decay"
"""An argument of optimizers until Keras 2, which Keras 3 passes over."""
_LISTS = ("boundaries",)


def epoch_arguments(schedule: str) -> dict[str, str]:
    """The arguments of schedules that count steps → those that say the same in epochs."""
    names = [parameter.name for parameter in signature("schedules", schedule).parameters]
    steps = {name: f"{name.removesuffix('_steps')}_epochs" for name in names if name.endswith("_steps")}
    return {**steps, **{name: f"{name}_epochs" for name in names if name in _LISTS}}


def in_steps(optimizer: Component, steps_per_epoch: int) -> tuple[Component, tuple[str, ...]]:
    """The optimizer with every count of epochs as a count of steps, and `decay` as the schedule that it was.

    Returns:
        the optimizer, and a sentence for each change.
    """
    arguments = dict(optimizer.arguments)
    notes: list[str] = []
    if arguments.get("inner_optimizer") is not None:
        inner, inner_notes = in_steps(as_component(arguments["inner_optimizer"]), steps_per_epoch)
        arguments["inner_optimizer"] = {inner.name: dict(inner.arguments)}
        notes += inner_notes
    if decay := arguments.pop(DECAY, None):
        rate = arguments.get("learning_rate", signature("optimizers", optimizer.name).default("learning_rate"))
        schedule = {"initial_learning_rate": rate, "decay_steps": 1, "decay_rate": decay}
        arguments["learning_rate"] = {"InverseTimeDecay": schedule}
        notes.append(f"decay: {decay} of {optimizer.name} is the schedule {rate} / (1 + {decay} · step), as in Keras 2")
    elif isinstance(arguments.get("learning_rate"), Mapping):
        schedule_component = as_component(arguments["learning_rate"])
        converted, schedule_notes = _schedule_in_steps(schedule_component, steps_per_epoch)
        arguments["learning_rate"] = {schedule_component.name: converted}
        notes += schedule_notes
    return Component(optimizer.name, arguments), tuple(notes)


def _schedule_in_steps(schedule: Component, steps_per_epoch: int) -> tuple[dict[str, Any], list[str]]:
    arguments, notes = dict(schedule.arguments), []
    for steps, epochs in epoch_arguments(schedule.name).items():
        if (written := arguments.pop(epochs, None)) is not None:
            arguments[steps] = _steps(written, steps_per_epoch)
            each = f"{steps_per_epoch} steps an epoch"
            notes.append(f"{epochs}: {written} of {schedule.name} is {steps}: {arguments[steps]}, at {each}")
    return arguments, notes


def _steps(epochs: Any, steps_per_epoch: int) -> Any:
    if isinstance(epochs, list | tuple):
        return [_steps(one, steps_per_epoch) for one in epochs]
    return max(1, round(epochs * steps_per_epoch)) if epochs else 0
