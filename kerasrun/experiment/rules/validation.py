"""`fit.validation_…`, held against the epochs and against what validates."""

from kerasrun.experiment.rules.base import Facts
from kerasrun.experiment.schema import Experiment
from kerasrun.text.document import Document
from kerasrun.text.problems import Problem, shown
from kerasrun.text.yaml_text import Path, plain

_FREQUENCY: Path = ("fit", "validation_freq")
_STEPS: Path = ("fit", "validation_steps")


def check(experiment: Experiment | None, facts: Facts, places: Document) -> list[Problem]:
    """Report what could not validate as the experiment says."""
    problems = _nothing_validates(places) if facts.validates is False else []
    if experiment is None:
        return problems
    fit = experiment.fit
    if not any(fit.validates_after(epoch) for epoch in range(1, fit.epochs + 1)):
        node = places.node(_FREQUENCY)
        received = f"received {shown(plain(node)) if node else fit.validation_freq}"
        expected = f"expected an epoch from 1 to fit.epochs, which is {fit.epochs}: no epoch would validate"
        problems.append(places.problem(_FREQUENCY, received, expected))
    if fit.validation_steps and facts.batches and fit.validation_steps > facts.batches:
        expected = f"expected at most {facts.batches}: what validates has no more batches of {fit.batch_size}"
        problems.append(places.problem(_STEPS, f"received {fit.validation_steps}", expected))
    return problems


def _nothing_validates(places: Document) -> list[Problem]:
    problems = []
    for path, default in ((_FREQUENCY, 1), (_STEPS, None)):
        node = places.node(path)
        if node is not None and plain(node) not in (None, default):
            expected = "expected fit.validation_split, say 0.1, or fit.validation_data beside it"
            problems.append(places.problem(path, f"{path[-1]}, but nothing validates", expected))
    return problems
