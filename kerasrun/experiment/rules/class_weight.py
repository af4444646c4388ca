"""`fit.class_weight`, held against the classes of the data as soon as these are known."""

from collections.abc import Sequence

from kerasrun.experiment.outputs import written_outputs
from kerasrun.experiment.rules.base import Facts
from kerasrun.experiment.schema import Experiment
from kerasrun.tasks.base import task_named
from kerasrun.text.document import Document
from kerasrun.text.problems import Problem, listed, nearest
from kerasrun.text.yaml_text import Path

_KEY: Path = ("fit", "class_weight")


def check(experiment: Experiment | None, facts: Facts, places: Document) -> list[Problem]:
    """Report weights of classes that the data do not have, or whose examples have no class."""
    weights, classes = places.node(_KEY), facts.classes
    if weights is None or weights.value is None:
        return []
    expected = "expected nothing here: "
    if written_outputs(places):
        expected += "an example has labels for each of several outputs; see compile.loss_weights"
        return [places.problem(_KEY, "received weights of classes", expected)]
    if classes is None:
        return []
    if facts.label_kind is not None and not task_named(facts.label_kind).one_class:
        expected += f"labels that are {facts.label_kind.replace('_', '-')} give no example a single class"
        return [places.problem(_KEY, "received weights of classes", expected)]
    known = set(classes)
    unknown = [name for name in weights.value if name not in known] if isinstance(weights.value, dict) else []
    return [
        places.key_problem((*_KEY, name), f"unknown class '{name}'", expected_class(classes), nearest(name, classes))
        for name in unknown
    ]


def expected_class(classes: Sequence[str]) -> str:
    """Return the end of a message about an unknown class, which does not name very many."""
    return f"expected {listed(classes) if len(classes) <= 10 else f'one of the {len(classes)} classes of the data'}"
