"""Callbacks that could not serve: files outside the run, and averages that nobody keeps."""

import os
from collections.abc import Mapping
from pathlib import Path

from kerasrun.components import Component, as_component
from kerasrun.experiment.rules.base import Facts
from kerasrun.experiment.schema import Experiment
from kerasrun.keras_catalogue import added
from kerasrun.text.document import Document, written_component, written_list
from kerasrun.text.problems import Problem, dotted, shown

FILE_ARGUMENTS: Mapping[str, str] = {"CSVLogger": "filename", "ModelCheckpoint": "filepath", "TensorBoard": "log_dir"}
"""Arguments that name a file or folder of the run directory."""
DEFAULT_FILES: Mapping[str, str] = {"TensorBoard": "tensorboard"}
_OWN_NAMES = (
    *("experiment.yaml", "resolved.yaml", "run.json", "metrics.csv", "timings.csv", "log.txt", ".lock"),
    *("best.keras", "last.keras", "checkpoints", "evaluation", "plots", "plugins"),
)


def check(experiment: Experiment | None, facts: Facts, places: Document) -> list[Problem]:
    """Report callbacks that cannot serve in this experiment."""
    del facts
    if experiment is None:
        return []
    problems = []
    written_files: list[str] = []
    for path, node in written_list(places.node(("callbacks",)), ("callbacks",)):
        callback = written_component(node, path)
        if callback is None:
            continue
        if callback.name == "SwapEMAWeights" and not _keeps_average(experiment):
            expected = "expected use_ema: true among the optimizer's arguments: it puts in the average of the weights"
            problems.append(Problem(callback.place, dotted(path), "SwapEMAWeights without an average", expected))
        if argument := FILE_ARGUMENTS.get(callback.name):
            given = callback.arguments.get(argument)
            file = str(given.value) if given is not None else DEFAULT_FILES.get(callback.name)
            if file is None:
                continue  # reported as missing
            reason = _refused(file, written_files)
            written_files.append(os.path.normpath(file))
            if reason:
                place = given.place if given is not None else callback.place
                problems.append(Problem(place, dotted((*callback.path, argument)), f"received {shown(file)}", reason))
    return problems


def _refused(file: str, others: list[str]) -> str | None:
    """Return why a callback may not write this file of the run; None if it may."""
    path = os.path.normpath(file)
    if Path(path).is_absolute() or Path(path).parts[:1] == ("..",):
        return "expected a path in the run directory, where a resume can take it back: a relative one"
    if path in (".", *_OWN_NAMES):
        return "expected another name: kerasrun writes this itself"
    return f"expected a name of its own: two of them write {path}" if path in others else None


def _keeps_average(experiment: Experiment) -> bool:
    """Return whether any optimizer keeps an average of the weights."""
    stages = (stage.optimizer for stage in experiment.stages if stage.optimizer is not None)
    return any(map(_averages, (experiment.compile.optimizer, *stages)))


def _averages(optimizer: Component) -> bool:
    inner = optimizer.arguments.get("inner_optimizer")
    if inner is not None:
        return _averages(as_component(inner))
    return added("optimizers", optimizer.name) is not None or bool(optimizer.arguments.get("use_ema"))
