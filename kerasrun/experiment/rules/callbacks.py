"""Callbacks that could not serve in an experiment, as each of them says."""

from kerasrun.callbacks import callback_problems
from kerasrun.experiment.rules.base import Facts
from kerasrun.experiment.schema import Experiment
from kerasrun.text.document import Document
from kerasrun.text.problems import Problem


def check(experiment: Experiment | None, facts: Facts, places: Document) -> list[Problem]:
    """Report callbacks that cannot serve beside the optimizers, and beside each other."""
    del facts
    if experiment is None:
        return []
    later = [stage.optimizer for stage in experiment.stages if stage.optimizer is not None]
    return callback_problems(places, [experiment.compile.optimizer, *later])
