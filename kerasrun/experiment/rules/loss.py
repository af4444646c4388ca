"""`compile.loss`, held against what the labels are."""

from kerasrun.components import Component
from kerasrun.errors import ModelError
from kerasrun.experiment.outputs import written_outputs
from kerasrun.experiment.rules.base import Facts
from kerasrun.experiment.schema import Experiment
from kerasrun.keras_catalogue import identifiers
from kerasrun.tasks.base import task_named
from kerasrun.text.document import Document
from kerasrun.text.problems import Problem


def check(experiment: Experiment | None, facts: Facts, places: Document) -> list[Problem]:
    """Report a loss that is not for such labels, whatever the network is."""
    loss = None if experiment is None else experiment.compile.loss
    if facts.label_kind is None or not isinstance(loss, Component) or loss.name not in identifiers("losses"):
        return []
    if written_outputs(places):
        return []
    try:
        task_named(facts.label_kind).check_loss(loss)
    except ModelError as error:
        return [places.problem(("compile", "loss"), f"received {loss.name}", str(error))]
    return []
