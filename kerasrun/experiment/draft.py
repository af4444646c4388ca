"""An experiment to begin with, for data that were looked at."""

import math
import os
from pathlib import Path

from kerasrun.components import kinds
from kerasrun.errors import DataError
from kerasrun.experiment.examples import write_new
from kerasrun.experiment.load import parse
from kerasrun.experiment.resolved import flow_yaml
from kerasrun.reading.files import missing
from kerasrun.report.plain import plain
from kerasrun.run_files import can_name_runs, name_of_runs
from kerasrun.sources.base import Recognized, Source
from kerasrun.tasks.base import task_named

# Smaller images than LeNet was made for still pass through it; from here on a deeper network sees more.
_LENET_MOST = 48
_LENET_LEAST = 16
# The smallest side that is left before the features are averaged.
_LEAST_MAP = 6


def draft_experiment(data: Path, target: Path | None = None, label: str | None = None) -> Path:
    """Look at data, and write an experiment for them that can be trained as it is.

    Args:
        data: a folder or a file.
        target: the file; by default called after the data, in the working directory.
        label: the column of a table that is to be predicted, by its name or its number.

    Raises:
        DataError: if the data are not recognized, or the target is there already.
    """
    stem = data.resolve().stem if data.is_file() else data.resolve().name
    target = target or Path(f"{stem}.yaml")
    if target.exists():
        raise DataError(f"{target}: is there already, and is not written over; name another file with --output FILE")
    text = draft(recognize(data, label), data, target)
    parse(text, target)
    write_new(target, text)
    return target


def recognize(path: Path, label: str | None = None) -> Recognized:
    """Find the source that reads a file or a folder; with `label`, a table that has this column.

    Raises:
        DataError: if there is none, or the data are damaged.
    """
    if not path.exists():
        raise missing(path, "a folder or a file of data")
    sources = [kind for kind in kinds("kerasrun.sources").values() if issubclass(kind, Source)]
    for source in sorted(sources, key=lambda one: one.generality):
        if found := source.recognize(path) if label is None else source.recognize_table(path, label):
            return found
    if label is not None:
        raise DataError(f"{path}: not recognized as a table, so it has no column {label!r}; leave --label out")
    forms = [source.form for source in sources if source.form]
    raise DataError(f"{path}: not recognized as data; expected {', '.join(forms[:-1])} or {forms[-1]}")


def draft(found: Recognized, data: Path, target: Path) -> str:
    """The text of an experiment; `target` is where it will lie, from where paths are told."""
    lines = [
        plain(f"# {data}: {found.about}."),
        f"#   kerasrun validate {target}     what is wrong with this text, if anything",
        f"#   kerasrun train {target} --dry-run",
        f"#   kerasrun train {target}",
        "# What can be said here, and what is said by default: kerasrun validate --resolved, docs/experiment.md.",
        *([] if can_name_runs(target.stem) else [f"name: {flow_yaml(name_of_runs(target.stem))}"]),
        _remarked("seed: 1", "everything random follows from it"),
        "data:",
        f"  {found.kind}:",
        *(f"    {key}: {flow_yaml(_shown_path(path, target))}" for key, path in found.paths.items()),
        *(_remarked(f"    {key}: {flow_yaml(value)}", _REMARKS.get(key)) for key, value in found.keys.items()),
        *_model(found),
        "compile:",
        "  optimizer: {Adam: {learning_rate: 0.001}}",
        *_metrics(found),
        *_fit(found),
    ]
    return "\n".join(lines) + "\n"


_REMARKS = {
    "image_size": "[height, width] to which every image is brought",
    "color_mode": "or rgb",
}
_FOLLOWS = "the last layer and the loss follow from the labels"
_CONV = "kernel_size: 3, padding: same, activation: relu"


def _model(found: Recognized) -> list[str]:
    if len(found.shape) == 1:
        normalization = _remarked("preprocessing: [Normalization]", "brings every column of numbers to one scale")
        return [
            *([normalization] if found.numbers else []),
            "model:",
            _remarked("  layers:", _FOLLOWS),
            "    - Dense: {units: 64, activation: relu}",
            "    - Dropout: {rate: 0.2}",
            "    - Dense: {units: 64, activation: relu}",
            "    - Dropout: {rate: 0.2}",
        ]
    if drafted := task_named(found.label_kind).drafted_model():
        return list(drafted)
    height, width = found.shape[:2]
    if min(height, width) >= _LENET_LEAST and max(height, width) <= _LENET_MOST:
        return [_remarked("model: LeNet", _FOLLOWS)]
    lines = ["model:", _remarked("  layers:", _FOLLOWS)]
    side, filters = min(height, width), 16
    while side >= 2 * _LEAST_MAP:
        lines += [
            f"    - Conv2D: {{filters: {filters}, {_CONV}}}",
            "    - MaxPooling2D: {pool_size: 2}",
        ]
        side, filters = side // 2, min(2 * filters, 128)
    return [
        *lines,
        f"    - Conv2D: {{filters: {filters}, {_CONV}}}",
        "    - GlobalAveragePooling2D",
        "    - Dropout: {rate: 0.3}",
    ]


def _metrics(found: Recognized) -> list[str]:
    return [f"  metrics: [{', '.join(task_named(found.label_kind).drafted_metrics(found.classes))}]"]


def _fit(found: Recognized) -> list[str]:
    """Return batch size, epochs and patience; of rows of numbers, those that fit the number of rows."""
    batch_size, epochs, patience = min(32, max(1, found.examples // 4)), 20, 5
    if len(found.shape) == 1:
        batch_size, epochs, patience = next(one for most, *one in _ROWS if found.examples <= most)
        batch_size = min(batch_size, max(1, found.examples // 4))
    scaled = ["  scale_targets: true"] if found.label_kind == "numbers" else []
    return ["fit:", f"  batch_size: {batch_size}", f"  epochs: {epochs}", *scaled, *_validation(found, patience)]


_ROWS = (
    (1_000, 16, 200, 30),
    (10_000, 32, 100, 15),
    (100_000, 128, 50, 8),
    (math.inf, 512, 30, 4),
)
"""For tables of at most so many rows: batch size, epochs, and how many of them may pass without a better one."""


def _validation(found: Recognized, patience: int) -> list[str]:
    stopping = ["callbacks:", f"  - EarlyStopping: {{monitor: val_loss, patience: {patience}}}"]
    if found.validates:
        return stopping
    share = next((one for one in (0.1, 0.2, 0.5) if found.examples * one >= max(found.classes, 2)), None)
    if share is None:
        return ["  # too few examples to keep some for validation"]
    kept = "the same share of every class" if task_named(found.label_kind).one_class else "by the seed"
    return [_remarked(f"  validation_split: {share}", f"of the training examples, {kept}"), *stopping]


def _shown_path(path: Path, target: Path) -> str:
    """Absolute where it was given so; else from the experiment's folder."""
    if path.is_absolute():
        return str(path)
    return Path(os.path.relpath(path.absolute(), target.absolute().parent)).as_posix()


def _remarked(line: str, remark: str | None) -> str:
    return f"{line:<34} # {remark}" if remark else line
