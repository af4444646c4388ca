"""`compile.jit_compile` and `deterministic`."""

from kerasrun.experiment.rules.base import Facts
from kerasrun.experiment.schema import Experiment
from kerasrun.text.document import Document
from kerasrun.text.problems import Problem


def check(experiment: Experiment | None, facts: Facts, places: Document) -> list[Problem]:
    """Refuse XLA beside deterministic operations."""
    del experiment, facts
    jit_compile, deterministic = places.node(("compile", "jit_compile")), places.node(("deterministic",))
    is_deterministic = deterministic is None or deterministic.value is not False
    if not is_deterministic or jit_compile is None or jit_compile.value is not True:
        return []
    received = "jit_compile beside deterministic operations, which XLA does not have"
    expected = "expected 'deterministic: false' with it, or 'jit_compile: auto'"
    return [places.problem(("compile", "jit_compile"), received, expected)]
