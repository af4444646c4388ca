"""`fit.validation_freq` and `fit.validation_steps`, held against the epochs and against what validates."""

from kerasrun.experiment.schema import Fit
from kerasrun.text.document import Document
from kerasrun.text.problems import Problem, experiment_error, shown
from kerasrun.text.yaml_text import Path, plain

_FREQUENCY: Path = ("fit", "validation_freq")
_STEPS: Path = ("fit", "validation_steps")


def validation_problems(document: Document, fit: Fit) -> list[Problem]:
    """An experiment of which no epoch would validate, although it says how often."""
    if any(fit.validates_after(epoch) for epoch in range(1, fit.epochs + 1)):
        return []
    node = document.node(_FREQUENCY)
    received = f"received {shown(plain(node)) if node else fit.validation_freq}"
    expected = f"expected an epoch from 1 to fit.epochs, which is {fit.epochs}: no epoch would validate"
    return [document.problem(_FREQUENCY, received, expected)]


def check_validation(document: Document, fit: Fit, batches: int | None) -> None:
    """Check both once the data are open.

    Args:
        batches: how many could validate; None where nothing does.

    Raises:
        ExperimentError: if nothing validates, or more batches are to than there are.
    """
    problems = []
    for path, default in ((_FREQUENCY, 1), (_STEPS, None)):
        node = document.node(path)
        if batches is None and node is not None and plain(node) not in (None, default):
            expected = "expected fit.validation_split, say 0.1, or fit.validation_data beside it"
            problems.append(document.problem(path, f"{path[-1]}, but nothing validates", expected))
    if fit.validation_steps and batches and fit.validation_steps > batches:
        expected = f"expected at most {batches}: what validates has no more batches of {fit.batch_size}"
        problems.append(document.problem(_STEPS, f"received {fit.validation_steps}", expected))
    if problems:
        raise experiment_error(problems)
