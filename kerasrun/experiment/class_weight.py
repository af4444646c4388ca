"""The names in `fit.class_weight`, held against the classes of the data as soon as these are known."""

from collections.abc import Sequence

from kerasrun.reading.data import LabelKind
from kerasrun.tasks.base import task_named
from kerasrun.text.document import Document
from kerasrun.text.problems import Problem, closest, dotted, experiment_error, listed
from kerasrun.text.yaml_text import Path, plain

_KEY: Path = ("fit", "class_weight")
_LISTED = 10
"""So many classes are named in a message."""


def check_class_weight(document: Document, classes: Sequence[str], label_kind: LabelKind = "classes") -> None:
    """Check the names once the data are open.

    Raises:
        ExperimentError: if a weight is given for a class that the data do not have, or its examples have no class.
    """
    problems = (
        _problems(document, classes) if task_named(label_kind).one_class else _without_classes(document, label_kind)
    )
    if problems:
        raise experiment_error(problems)


def class_weight_problems(document: Document) -> list[Problem]:
    """The same as far as the text tells: where `data` lists the classes."""
    data = document.node(("data",))
    written = plain(data) if data is not None else None
    fields = next(iter(written.values()), None) if isinstance(written, dict) else None
    classes = fields.get("classes") if isinstance(fields, dict) else None
    return _problems(document, [str(name) for name in classes]) if isinstance(classes, list) else []


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
