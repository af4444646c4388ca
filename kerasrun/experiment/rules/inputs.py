"""Several inputs of one network, held against the network and the preprocessing in front of it."""

from collections.abc import Mapping

from kerasrun.experiment.rules.base import Facts
from kerasrun.experiment.schema import Experiment
from kerasrun.text.document import Document
from kerasrun.text.problems import Problem, closest, listed


def check(experiment: Experiment | None, facts: Facts, places: Document) -> list[Problem]:
    """Refuse a network that takes one input where there are several, and preprocessing that does not say of which."""
    if experiment is None:
        return []
    problems, names = [], facts.inputs
    if len(names) > 1 and not experiment.model.takes_several:
        received = f"{experiment.model.kind} takes one input, but the data have {listed(names, 'and')}"
        expected = "expected layers, whose `inputs` name them, or leave out `features` of the data"
        problems.append(places.key_problem(("model", experiment.model.kind), received, expected))
    written = experiment.preprocessing
    if isinstance(written, Mapping):
        for key in [key for key in written if key not in names]:
            expected = f"expected {listed(names)}" if len(names) > 1 else "expected a list: there is one input"
            problems.append(
                places.key_problem(("preprocessing", key), f"no input is called '{key}'", expected, closest(key, names))
            )
    elif written and len(names) > 1:
        received = "a list beside several inputs"
        expected = "expected a list for each by its name: " + ", ".join(f"{name}: […]" for name in names)
        problems.append(places.problem(("preprocessing",), received, expected))
    return problems
