"""`fit.scale_targets`, held against the labels and the loss."""

from kerasrun.components import Component
from kerasrun.experiment.outputs import written_outputs
from kerasrun.experiment.rules.base import Facts
from kerasrun.experiment.schema import Experiment
from kerasrun.keras_catalogue import canonical, identifiers
from kerasrun.tasks.base import task_named
from kerasrun.text.document import Document
from kerasrun.text.problems import Problem, listed
from kerasrun.text.yaml_text import Path

_KEY: Path = ("fit", "scale_targets")
_LOSSES = {"MeanSquaredError": "mse", "MeanAbsoluteError": "mae", "Huber": "huber", "LogCosh": "log_cosh"}
"""The losses that compare differences alone, so that numbers of either sign and any unit suit them."""


def check(experiment: Experiment | None, facts: Facts, places: Document) -> list[Problem]:
    """Report targets that cannot be scaled, and losses that do not take scaled ones."""
    asked = places.node(_KEY)
    if asked is None or asked.value is not True:
        return []
    if facts.label_kind is not None and not task_named(facts.label_kind).has_units:
        return [places.problem(_KEY, "received true", "expected false: the labels are not numbers to be predicted")]
    if written_outputs(places):
        return [places.problem(_KEY, "received true", "expected false: the network has several outputs")]
    loss = None if experiment is None else experiment.compile.loss
    if not isinstance(loss, Component) or loss.name not in identifiers("losses"):
        return []
    if canonical("losses", loss.name) in _LOSSES:
        return []
    expected = f"expected {listed(_LOSSES.values())}, since fit.scale_targets brings targets around 0"
    return [places.problem(("compile", "loss"), f"received {loss.name}", expected)]
