"""Layers that take sequences, held against what the experiment and the data say of the examples."""

from kerasrun.experiment.rules.base import Facts
from kerasrun.experiment.schema import Experiment
from kerasrun.experiment.sequences import first_taken
from kerasrun.experiment.slots import layer_paths
from kerasrun.text.document import Document
from kerasrun.text.problems import Problem

_STEPS = "expected examples of shape (steps, channels)"


def check(experiment: Experiment | None, facts: Facts, places: Document) -> list[Problem]:
    """Refuse a key `examples` that the first layers contradict, and other examples than they take."""
    taken = None if experiment is None else first_taken(experiment)
    if experiment is None or taken is None:
        return []
    name, needed, (section, number) = taken
    key = ("data", experiment.data.kind, "examples")
    said = places.node(key)
    if said is not None and said.value in ("images", "sequences") and said.value != needed:
        return [places.problem(key, f"received {said.value}", f"expected {needed}, which the layer {name} takes")]
    shape = facts.example_shape
    if needed == "images" or name == "Embedding" or shape is None or len(shape) == 2:
        return []
    is_row = len(shape) == 1
    received = f"{name} takes sequences, but the examples are {'rows of numbers' if is_row else f'images {shape}'}"
    sides = f"[{shape[0] or 'steps'}, 1]" if is_row else "[height, width × channels]"
    path = layer_paths(places, section)[number]
    return [places.problem(path, received, f"{_STEPS}: put Reshape: {{target_shape: {sides}}} before it")]
