"""Names that no folder could have, and keys and callbacks that exclude each other."""

import re

from kerasrun.callbacks import callback_problems
from kerasrun.experiment.image_data_generator import NONE, STANDARDIZATION, ImageDataGenerator
from kerasrun.experiment.rules.base import WHAT_VALIDATES, Facts
from kerasrun.experiment.schema import Experiment
from kerasrun.run_files import can_name_runs
from kerasrun.text.document import Document
from kerasrun.text.problems import Problem, shown


def check(experiment: Experiment | None, facts: Facts, places: Document) -> list[Problem]:
    """Report a name that no folder could have, and keys and callbacks of which only one can be meant."""

    def value(*path: str) -> object:
        node = places.node(path)
        return None if node is None else node.value

    problems = []
    name = value("name")
    if isinstance(name, str) and not re.fullmatch(r"\w[\w.+ -]*", name):
        expected = "expected letters, digits, '_', '-' and '.': runs are folders of this name"
        problems.append(places.problem(("name",), f"received {shown(name)}", expected))
    elif experiment is not None and not can_name_runs(experiment.name):
        received = "received" if name else "runs cannot be named after the file"
        expected = "expected a 'name' of at most 200 bytes, without ':' and '/'"
        problems.append(places.problem(("name",), f"{received} {shown(experiment.name)}", expected))
    first, *others = [key for key in WHAT_VALIDATES if value("fit", key) is not None] or [""]
    for key in others:
        received, expected = f"{key} beside {first}", "expected one of them; set the other to null"
        problems.append(places.problem(("fit", key), received, expected))
    for key in ("validation_split", "validation_fold", "test_split"):
        split = key.partition("_")[0]
        given = value("fit", key) is not None
        if given and experiment is not None and getattr(experiment.data, split, None) is not None:
            received = f"{key} beside {split} of data.{experiment.data.kind}"
            expected = "expected one of them: data in one piece have no such examples of their own"
            problems.append(places.problem(("fit", key), received, expected))
    for key in STANDARDIZATION if value("preprocessing") is not None else ():
        path = ("augmentation", ImageDataGenerator.kind, key)
        if value(*path) not in (None, NONE, False):
            received, expected = f"{key} beside preprocessing", "expected one of them: both make the network's input"
            problems.append(places.problem(path, received, expected))
    if value("deterministic") is not False and value("compile", "jit_compile") is True:
        received = "jit_compile beside deterministic operations, which XLA does not have"
        expected = "expected 'deterministic: false' with it, or 'jit_compile: auto'"
        problems.append(places.problem(("compile", "jit_compile"), received, expected))
    if experiment is not None:
        later = [stage.optimizer for stage in experiment.stages if stage.optimizer is not None]
        problems += callback_problems(places, [experiment.compile.optimizer, *later])
    return problems
