"""`name`, after which the folders of runs are called."""

import re

from kerasrun.experiment.rules.base import Facts
from kerasrun.experiment.schema import Experiment
from kerasrun.text.document import Document
from kerasrun.text.problems import Problem, shown


def check(experiment: Experiment | None, facts: Facts, places: Document) -> list[Problem]:
    """Refuse a name that no folder could have."""
    del experiment, facts
    name = places.node(("name",))
    if name is None or not isinstance(name.value, str) or re.fullmatch(r"\w[\w.+ -]*", name.value):
        return []
    expected = "expected letters, digits, '_', '-' and '.': runs are folders of this name"
    return [places.problem(("name",), f"received {shown(name.value)}", expected)]
