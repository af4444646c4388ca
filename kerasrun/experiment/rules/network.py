"""`model` and `stages`, held against the examples and against each other."""

from kerasrun.errors import ModelError
from kerasrun.experiment.rules.base import Facts
from kerasrun.experiment.schema import Experiment
from kerasrun.text.document import Document
from kerasrun.text.problems import Problem


def check(experiment: Experiment | None, facts: Facts, places: Document) -> list[Problem]:
    """Refuse a network that cannot take the examples, and stages of layers that it does not have."""
    if experiment is None:
        return []
    problems = []
    network = experiment.model
    is_direct = experiment.preprocessing is None  # which may change the shape
    if is_direct and facts.example_shape is not None and facts.label_kind is not None:
        try:
            network.check_examples(facts.example_shape, facts.label_kind)
        except ModelError as error:
            problems.append(Problem(places.key_place(("model", network.kind)), "model", str(error)))
    for number, stage in enumerate(experiment.stages):
        try:
            network.check_trainable(True if stage.trainable is None else stage.trainable)
        except ModelError as error:
            problems.append(places.problem(("stages", number, "trainable"), str(error)))
    return problems
