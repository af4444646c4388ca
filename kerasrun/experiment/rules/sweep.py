"""The section `sweep`: each parameter has values, and can have them. What the keys make of them, `search.py` checks."""

from kerasrun.experiment.rules.base import Facts
from kerasrun.experiment.schema import Experiment, Parameter
from kerasrun.text.document import Document
from kerasrun.text.problems import Problem

_NOT_SEARCHED = {
    **dict.fromkeys(("name", "sweep", "base", "plugins"), "it is the same in all trials"),
    **dict.fromkeys(("device", "deterministic"), "one process trains many trials, and cannot change it"),
}
"""The keys at the top that are no parameters, and why."""


def check(experiment: Experiment | None, facts: Facts, places: Document) -> list[Problem]:
    """Report parameters without values, with bounds that contradict each other, and of keys that cannot be searched."""
    if experiment is None or experiment.sweep is None:
        return []
    problems = []
    for key, parameter in experiment.sweep.parameters.items():
        path = ("sweep", "parameters", key)
        if reason := _NOT_SEARCHED.get(key.split(".")[0]):
            problems.append(places.key_problem(path, "it cannot be searched", reason))
        elif wrong := _wrong(parameter):
            problems.append(places.key_problem(path, *wrong))
    return problems


def _wrong(one: Parameter) -> tuple[str, str] | None:
    """Return what is wrong with a parameter, and what was expected."""
    bounds = {"low": one.low, "high": one.high, "step": one.step, "log": one.log or None}
    given = [name for name, value in bounds.items() if value is not None]
    if one.choice is not None:
        return (f"'{given[0]}' beside 'choice'", "expected choice, or low and high") if given else None
    if one.low is None or one.high is None:
        return "no values", "expected {choice: [value, value]}, or {low: number, high: number}"
    if not one.low < one.high:
        return f"low: {one.low}, high: {one.high}", "expected low below high"
    if one.log and one.low <= 0:
        return f"log: true with low: {one.low}", "expected low above 0"
    if one.log and one.step is not None:
        return "'step' beside 'log'", "expected one of them"
    return None
