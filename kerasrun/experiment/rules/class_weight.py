"""`fit.class_weight`, held against the classes of the data as soon as these are known."""

from collections.abc import Sequence

from kerasrun.experiment.outputs import written_outputs
from kerasrun.experiment.rules.base import Facts
from kerasrun.experiment.schema import Experiment
from kerasrun.reading.data import LabelKind
from kerasrun.tasks.base import task_named
from kerasrun.text.document import Document
from kerasrun.text.problems import Problem, closest, dotted, listed
from kerasrun.text.yaml_text import Path

_KEY: Path = ("fit", "class_weight")
_LISTED = 10
"""How many classes a message names."""


def check(experiment: Experiment | None, facts: Facts, places: Document) -> list[Problem]:
    """Report weights of classes that the data do not have, or whose examples have no class."""
    del experiment
    if written_outputs(places):
        return _beside_outputs(places)
    if facts.classes is None:
        return []
    if facts.label_kind is not None and not task_named(facts.label_kind).one_class:
        return _without_classes(places, facts.label_kind)
    return _problems(places, facts.classes)


def _beside_outputs(document: Document) -> list[Problem]:
    node = document.node(_KEY)
    if node is None or node.value is None:
        return []
    expected = "expected nothing here: an example has labels for each of several outputs; see compile.loss_weights"
    return [document.problem(_KEY, "received weights of classes", expected)]


def _without_classes(document: Document, label_kind: LabelKind) -> list[Problem]:
    node = document.node(_KEY)
    if node is None or node.value is None:
        return []
    expected = f"expected nothing here: labels that are {label_kind.replace('_', '-')} give no example a single class"
    return [document.problem(_KEY, "received weights of classes", expected)]


def _problems(document: Document, classes: Sequence[str]) -> list[Problem]:
    weights = document.node(_KEY)
    if weights is None or not isinstance(weights.value, dict):
        return []
    known = listed(classes) if len(classes) <= _LISTED else f"one of the {len(classes)} classes of the data"
    problems = []
    for name in weights.value:
        if name not in classes:
            path: Path = (*_KEY, name)
            place, received = document.key_place(path), f"unknown class '{name}'"
            problems.append(Problem(place, dotted(path), received, f"expected {known}", closest(name, classes)))
    return problems
