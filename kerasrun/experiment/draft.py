"""An experiment to begin with, for data that were looked at."""

import logging
import math
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from kerasrun.components import kinds
from kerasrun.errors import DataError, UsageError
from kerasrun.experiment.load import parse
from kerasrun.experiment.new_files import write_experiment
from kerasrun.experiment.photos import DOWNLOADED, Pretrained, cached, weights_folder
from kerasrun.experiment.resolved import flow_yaml
from kerasrun.reading.files import missing
from kerasrun.regular_files import require_regular
from kerasrun.run_files import can_name_runs, name_of_runs
from kerasrun.sources.base import Recognized, Source
from kerasrun.stderr import plain
from kerasrun.tasks.base import task_named

logger = logging.getLogger("kerasrun")

# Smaller images than LeNet was made for still pass through it; from here on a deeper network sees more.
_LENET_MOST = 48
_LENET_LEAST = 16
# The smallest side that is left before the features are averaged.
_LEAST_MAP = 6
# Images for each class below which a network from scratch has few filters, and from which it needs no augmentation.
_FEW, _PLENTY = 1_000, 5_000
# The side to which photos from cameras are brought for a network from scratch.
_PHOTO, _PHOTO_MOST = 128, 224


def draft_experiment(
    data: Path,
    target: Path | None = None,
    label: str | None = None,
    *,
    split: str | None = None,
    download: bool = False,
) -> Path:
    """Look at data, and write an experiment for them that can be trained as it is.

    Args:
        data: a folder or a file.
        target: the file; by default called after the data, in the working directory.
        label: the column of a table that is to be predicted, by its name or its number.
        split: the shares that train, validate and test, such as `80/10/10`.
        download: for photos, name a pretrained network whose weights Keras is to download when training begins.

    Raises:
        DataError: if the data are not recognized, or the target is there already.
        UsageError: if `split` is not shares, or the data have splits of their own.
    """
    stem = data.resolve().stem if data.is_file() else data.resolve().name
    target = target or Path(f"{stem}.yaml")
    if target.exists():
        raise DataError(f"{target}: is there already, and is not written over; name another file with --output FILE")
    found = recognize(data, label)
    shares = {} if split is None else _shares(split, found)
    text = draft(found, data, target, shares, download=download)
    parse(text, target)
    write_experiment(target, text)
    return target


def recognize(path: Path, label: str | None = None) -> Recognized:
    """Find the source that reads a file or a folder; with `label`, a table that has this column.

    Raises:
        DataError: if there is none, or the data are damaged.
    """
    if not path.exists():
        raise missing(path, "a folder or a file of data")
    try:
        require_regular(path)
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from error
    sources = [kind for kind in kinds("kerasrun.sources").values() if issubclass(kind, Source)]
    for source in sorted(sources, key=lambda one: one.generality):
        if found := source.recognize(path) if label is None else source.recognize_table(path, label):
            return found
    if label is not None:
        raise DataError(f"{path}: not recognized as a table, so it has no column {label!r}; leave --label out")
    forms = [source.form for source in sources if source.form]
    raise DataError(f"{path}: not recognized as data; expected {', '.join(forms[:-1])} or {forms[-1]}")


def draft(
    found: Recognized,
    data: Path,
    target: Path,
    shares: Mapping[str, float] = MappingProxyType({}),
    *,
    download: bool = False,
) -> str:
    """The text of an experiment; `target` is where it will lie, from where paths are told."""
    seen = found
    found, network = _prepared(found, download=download) if _are_photos(found) else (found, None)
    lines = [
        plain(f"# {data}: {found.about}."),
        *([_SCRATCH] if _are_photos(found) and not network else []),
        f"#   kerasrun validate {plain(str(target))}     what is wrong with this text, if anything",
        f"#   kerasrun train {plain(str(target))} --dry-run",
        f"#   kerasrun train {plain(str(target))}",
        "# What can be said here, and what is said by default: kerasrun validate --resolved, docs/experiment.md.",
        *([] if can_name_runs(target.stem) else [f"name: {flow_yaml(name_of_runs(target.stem))}"]),
        _remarked("seed: 1", "everything random follows from it"),
        "data:",
        f"  {found.kind}:",
        *(f"    {key}: {flow_yaml(_shown_path(path, target))}" for key, path in found.paths.items()),
        *(_remarked(f"    {key}: {flow_yaml(value)}", _REMARKS.get(key)) for key, value in found.keys.items()),
        *_augmentation(seen, network),
        *(_pretrained(network) if network else _model(found)),
        "compile:",
        "  optimizer: {Adam: {learning_rate: 0.001}}",
        *_metrics(found),
        *_fit(found, shares, network),
    ]
    return "\n".join(lines) + "\n"


_REMARKS = {
    "image_size": "[height, width] to which every image is brought",
    "color_mode": "or rgb",
    "on_bad_file": "what is not there or damaged is left out, and named",
    "examples": "(steps, channels); without this line grey pictures",
}
_SCRATCH = (
    "# The network begins from scratch, because no ImageNet weights are in Keras's cache. With a network connection,\n"
    "# kerasrun init --data PATH --download writes one that is pretrained, and far better on few photos."
)
_FOLLOWS = "the last layer and the loss follow from the labels"
_CONV = "kernel_size: 3, padding: same, activation: relu"


def _are_photos(found: Recognized) -> bool:
    """Return whether examples are image files too large for LeNet, which can be brought to any size."""
    return found.kind in ("directory", "image_table") and max(found.shape[:2]) > _LENET_MOST


def _prepared(found: Recognized, *, download: bool) -> tuple[Recognized, Pretrained | None]:
    """Bring photos to the size of pretrained weights; without weights, those of cameras to one that is soon trained."""
    side = min(found.shape[:2])
    network, size = cached(side) or ((DOWNLOADED, DOWNLOADED.size_for(side)) if download else (None, _PHOTO))
    if network is None:
        logger.info(
            "no ImageNet weights that serve are in %s, so the network begins from scratch; --download writes %s, whose "
            "weights Keras downloads when training begins",
            *(weights_folder(), DOWNLOADED.name),
        )
        if max(found.shape[:2]) <= _PHOTO_MOST:
            return found, None
    # Pretrained networks take colours, of a grey photo three times the same.
    keys = {key: value for key, value in found.keys.items() if network is None or key != "color_mode"}
    channels = 3 if network else found.shape[2]
    return replace(found, shape=(size, size, channels), keys={**keys, "image_size": [size, size]}), network


def _of_each_class(found: Recognized) -> int:
    return found.examples // max(found.classes, 1)


def _augmentation(found: Recognized, network: Pretrained | None) -> list[str]:
    if not _are_photos(found) or (not network and _of_each_class(found) >= _PLENTY):
        return []
    flip = _remarked("  - RandomFlip: {mode: horizontal}", "not where left and right matter, as in writing")
    return [
        _remarked("augmentation:", "of the training photos, another in each epoch"),
        *([flip] if found.shape[2] > 1 else []),
        "  - RandomTranslation: {height_factor: 0.1, width_factor: 0.1, fill_mode: nearest}",
        "  - RandomRotation: {factor: 0.03, fill_mode: nearest}",
    ]


def _pretrained(network: Pretrained) -> list[str]:
    return [
        "model:",
        _remarked(f"  {network.name}:", _FOLLOWS),
        *([] if network.alpha is None else [f"    alpha: {network.alpha}"]),
        _remarked("    weights: imagenet", "from Keras's cache, or downloaded by it"),
        "    pooling: avg",
        "    head: []",
        "    dropout: 0.2",
    ]


def _model(found: Recognized) -> list[str]:
    if found.tokens:
        return [
            "model:",
            _remarked("  layers:", _FOLLOWS),
            f"    - Embedding: {{input_dim: {found.tokens}, output_dim: 32}}",
            "    - Dropout: {rate: 0.3}",
            "    - Conv1D: {filters: 64, kernel_size: 5, activation: relu}",
            "    - GlobalMaxPooling1D",
            "    - Dropout: {rate: 0.3}",
        ]
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
    *sides, _ = found.shape
    if len(sides) == 2 and min(sides) >= _LENET_LEAST and max(sides) <= _LENET_MOST:
        return [_remarked("model: LeNet", _FOLLOWS)]
    axes = f"{len(sides)}D"
    normalization = _remarked("preprocessing: [Normalization]", "brings every channel to one scale")
    lines = [*([normalization] if axes == "1D" else []), "model:", _remarked("  layers:", _FOLLOWS)]
    side, filters, most = min(sides), 16, 64 if _of_each_class(found) < _FEW else 128
    while side >= 2 * _LEAST_MAP:
        lines += [
            f"    - Conv{axes}: {{filters: {filters}, {_CONV}}}",
            f"    - MaxPooling{axes}: {{pool_size: 2}}",
        ]
        side, filters = side // 2, min(2 * filters, most)
    return [
        *lines,
        f"    - Conv{axes}: {{filters: {filters}, {_CONV}}}",
        f"    - GlobalAveragePooling{axes}",
        "    - Dropout: {rate: 0.3}",
    ]


def _metrics(found: Recognized) -> list[str]:
    return [f"  metrics: [{', '.join(task_named(found.label_kind).drafted_metrics(found.classes))}]"]


def _fit(found: Recognized, shares: Mapping[str, float], network: Pretrained | None) -> list[str]:
    """Return batch size, epochs and patience; of rows of numbers, those that fit the number of rows."""
    batch_size, epochs, patience = min(32, max(1, found.examples // 4)), 20, 5
    if _are_photos(found) and not network and _of_each_class(found) < _FEW:
        epochs, patience = 50, 10
    if len(found.shape) == 1:
        batch_size, epochs, patience = next(one for most, *one in _ROWS if found.examples <= most)
        batch_size = min(batch_size, max(1, found.examples // 4))
    scaled = ["  scale_targets: true"] if task_named(found.label_kind).has_units else []
    length = [] if network else [f"  epochs: {epochs}"]
    stages = _stages(found) if network else []
    fit, callbacks = _validation(found, shares, patience)
    return ["fit:", f"  batch_size: {batch_size}", *length, *scaled, *fit, *stages, *callbacks]


def _stages(found: Recognized) -> list[str]:
    """Return the stages of fine-tuning; the more photos, the fewer epochs."""
    head, whole = next(epochs for most, *epochs in _STAGES if found.examples <= most)
    return [
        "stages:",
        _remarked(f"  - {{epochs: {head}, trainable: false}}", "the new last layer alone"),
        _remarked(
            f"  - {{epochs: {whole}, trainable: true, optimizer: {{Adam: {{learning_rate: 1e-4}}}}}}",
            "then the whole network, gently",
        ),
    ]


_STAGES = (
    (500, 20, 20),
    (10_000, 8, 12),
    (math.inf, 3, 5),
)
"""For at most this many photos: the epochs of both stages."""


_ROWS = (
    (1_000, 16, 200, 30),
    (10_000, 32, 100, 15),
    (100_000, 128, 50, 8),
    (math.inf, 512, 30, 4),
)
"""For tables of at most this many rows: batch size, epochs, and patience in epochs."""


def _validation(found: Recognized, shares: Mapping[str, float], patience: int) -> tuple[list[str], list[str]]:
    """Return the lines of `fit` that set examples aside, and the callbacks."""
    stopping = ["callbacks:", f"  - EarlyStopping: {{monitor: val_loss, patience: {patience}}}"]
    if shares:
        return [f"  {key}: {share}" for key, share in shares.items()], stopping
    if found.validates:
        return [], stopping
    share = next((one for one in (0.1, 0.2, 0.5) if found.examples * one >= max(found.classes, 2)), None)
    if share is None:
        return ["  # too few examples to keep some for validation"], []
    kept = "the same share of every class" if task_named(found.label_kind).one_class else "by the seed"
    return [_remarked(f"  validation_split: {share}", f"of the training examples, {kept}")], stopping


def _shares(split: str, found: Recognized) -> Mapping[str, float]:
    """Return the keys of `fit` for shares such as `80/10/10`; what validates is a share of what is left."""
    parts = [int(part) for part in split.split("/") if part.isdecimal() and len(part) < 10]
    if len(parts) != split.count("/") + 1 or len(parts) not in (2, 3) or not all(parts):
        raise UsageError(
            f"--split {split}: expected the shares that train, validate and test, such as 80/10/10 or 80/20"
        )
    train, validation, *test = parts
    if own := ["validation"] * found.validates + ["test"] * (found.tests and bool(test)):
        raise UsageError(f"--split {split}: the data have {' and '.join(own)} examples of their own, which are used")
    aside = {"test_split": round(test[0] / sum(parts), 6)} if test else {}
    return {**aside, "validation_split": round(validation / (train + validation), 6)}


def _shown_path(path: Path, target: Path) -> str:
    """Absolute where it was given so; else from the experiment's folder."""
    if path.is_absolute():
        return str(path)
    return Path(os.path.relpath(path.absolute(), target.absolute().parent)).as_posix()


def _remarked(line: str, remark: str | None) -> str:
    return f"{line:<34} # {remark}" if remark else line
