"""Keys that exclude each other."""

from kerasrun.experiment.image_data_generator import NONE, STANDARDIZATION, ImageDataGenerator
from kerasrun.experiment.rules.base import Facts
from kerasrun.experiment.schema import Experiment
from kerasrun.text.document import Document
from kerasrun.text.problems import Problem
from kerasrun.text.yaml_text import Path


def check(experiment: Experiment | None, facts: Facts, places: Document) -> list[Problem]:
    """Report keys of which only one can be meant."""
    del experiment, facts

    def value(*path: str) -> object:
        node = places.node(path)
        return None if node is None else node.value

    problems = []
    if value("fit", "validation_split") is not None and value("fit", "validation_data") is not None:
        received, expected = "validation_data beside validation_split", "expected one of them; set the other to null"
        problems.append(places.problem(("fit", "validation_data"), received, expected))
    for key in STANDARDIZATION if value("preprocessing") is not None else ():
        path: Path = ("augmentation", ImageDataGenerator.kind, key)
        if value(*map(str, path)) not in (None, NONE, False):
            received, expected = f"{key} beside preprocessing", "expected one of them: both make the network's input"
            problems.append(places.problem(path, received, expected))
    if value("deterministic") is not False and value("compile", "jit_compile") is True:
        received = "jit_compile beside deterministic operations, which XLA does not have"
        expected = "expected 'deterministic: false' with it, or 'jit_compile: auto'"
        problems.append(places.problem(("compile", "jit_compile"), received, expected))
    return problems
