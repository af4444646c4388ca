"""`preprocessing`, and what `ImageDataGenerator` says of the network's input."""

from kerasrun.experiment.image_data_generator import NONE, STANDARDIZATION, ImageDataGenerator
from kerasrun.experiment.rules.base import Facts
from kerasrun.experiment.schema import Experiment
from kerasrun.text.document import Document
from kerasrun.text.problems import Problem


def check(experiment: Experiment | None, facts: Facts, places: Document) -> list[Problem]:
    """Refuse two ways of making the network's input."""
    del experiment, facts
    preprocessing = places.node(("preprocessing",))
    problems = []
    for key in STANDARDIZATION if preprocessing is not None and preprocessing.value is not None else ():
        path = ("augmentation", ImageDataGenerator.kind, key)
        node = places.node(path)
        if node is not None and node.value not in (None, NONE, False):
            received, expected = f"{key} beside preprocessing", "expected one of them: both make the network's input"
            problems.append(places.problem(path, received, expected))
    return problems
