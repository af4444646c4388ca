"""`class_id` of the Dice coefficient: the class that it measures, by name or by number."""

from collections.abc import Sequence
from typing import Any

from kerasrun.components import Component
from kerasrun.experiment.rules.base import Facts
from kerasrun.experiment.rules.class_weight import expected_class
from kerasrun.experiment.schema import Compile, Experiment
from kerasrun.experiment.slots import components
from kerasrun.keras_catalogue import OWN, added, identifiers
from kerasrun.text.document import Document, Written, written_component
from kerasrun.text.problems import Problem, closest, dotted, shown
from kerasrun.text.yaml_text import plain


def check(experiment: Experiment | None, facts: Facts, places: Document) -> list[Problem]:
    """Report every `class_id` of a class that the data do not have."""
    problems = []
    for path, node, keras in components(places) if facts.classes is not None else ():
        component = written_component(node, path)
        if component and keras.family in ("losses", "metrics") and all(isinstance(part, int) for part in path[2:]):
            problems += _problems(keras.family, component, facts.classes or ())
    return problems


def with_numbers(section: Compile, classes: Sequence[str]) -> Compile:
    """Return the section with the number of each class that it names."""
    loss, metrics = section.loss, section.metrics
    if isinstance(loss, Component):
        loss = _with_number("losses", loss, classes)
    if isinstance(metrics, tuple):
        metrics = tuple(_with_number("metrics", metric, classes) for metric in metrics)
    return section.model_copy(update={"loss": loss, "metrics": metrics})


def _problems(family: str, component: Written, classes: Sequence[str]) -> list[Problem]:
    node = component.arguments.get("class_id")
    if node is None or not _is_own(family, component.name):
        return []
    value = plain(node)
    if value is None or value in classes or (type(value) is int and 0 <= value < len(classes)):
        return []
    expected = f"{expected_class(classes)}, or a number from 0 to {len(classes) - 1}"
    suggestion = closest(value, classes) if isinstance(value, str) else None
    where = dotted((*component.path, "class_id"))
    return [Problem(node.place, where, f"received {shown(value)}", expected, suggestion)]


def _with_number(family: str, component: Component, classes: Sequence[str]) -> Component:
    name: Any = component.arguments.get("class_id")
    if not isinstance(name, str) or not _is_own(family, component.name):
        return component
    return Component(component.name, {**component.arguments, "class_id": list(classes).index(name)})


def _is_own(family: str, name: str) -> bool:
    """Return whether this is an object of kerasrun: a plugin may mean something else by `class_id`."""
    known = identifiers(family).get(name)
    one = added(family, known) if known else None
    return one is not None and one.place.module in OWN
