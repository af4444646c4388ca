"""A model with what its file knows: trained, ready to evaluate or to predict; or as an experiment begins."""

import contextlib
from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np

from kerasrun import model_file, plugins, stderr
from kerasrun.engine import devices
from kerasrun.engine.errors import explained, network_explained
from kerasrun.engine.prepared import prepare
from kerasrun.errors import MORE_MEMORY, ModelFileError, UsageError, within_memory
from kerasrun.experiment.load import load
from kerasrun.model_file import ModelInfo, TrainedModel
from kerasrun.reading.columns import described
from kerasrun.report.thresholds import Rule
from kerasrun.workers.cluster import ONE_PROCESS, Place

MOST_NUMBERS = 100
"""Weights with more numbers are not printed one by one."""


def open_model(
    path: Path,
    device: devices.DeviceRequest = "auto",
    threads: Mapping[str, int] | None = None,
    deterministic: bool | None = None,
    plugin_files: Sequence[Path] = (),
    *,
    variables: Mapping[str, str | None] | None = None,
    trust: bool = False,
    place: Place = ONE_PROCESS,
) -> TrainedModel:
    """Load a model file, `trust` as in `model_file.check`; TensorFlow is started for it, as `devices.start` says.

    Args:
        variables: of the environment in which a run began, to compute as it did where the environment says nothing.

    Raises:
        ModelFileError: if the file cannot be used; known before TensorFlow is loaded.
    """
    with within_memory(f"reading {path}", MORE_MEMORY):
        checked = model_file.check(path, plugin_files, trust=trust)
    devices.start(device, threads, deterministic, variables=variables, unless_set=True, place=place)
    with within_memory(f"loading {path}", MORE_MEMORY):
        return model_file.build(checked)


def check_asked(examples: Sequence[Any], top: int | None) -> None:
    """Check the arguments that the command line has checked already.

    Raises:
        UsageError: if there are no examples, or `top` is not a whole number of at least 1.
    """
    if len(examples) == 0:
        raise UsageError("no examples: expected at least one")
    if top is not None and (isinstance(top, bool) or not isinstance(top, Integral) or top < 1):
        raise UsageError(f"--top {top}: expected a whole number, at least 1")


def check_threshold(info: ModelInfo, threshold: float | Rule | None, path: Path) -> None:
    """Refuse a threshold for a model whose answer is not a yes or a no.

    Raises:
        UsageError: if it is not a probability.
        ModelFileError: if the model compares several classes, or makes no probabilities; if it makes masks, and a rule
            is to choose.
    """
    if threshold is None:
        return
    if isinstance(threshold, Rule):
        if info.task.per_pixel:
            raise ModelFileError(f"{path} makes masks, of which no rule chooses a threshold; give a number")
    elif not isinstance(threshold, Real) or not 0 <= threshold <= 1:
        raise UsageError(f"--threshold {threshold} is not a probability: expected a number from 0 to 1")
    if why := info.task.without_threshold(len(info.classes), info.outputs):
        raise ModelFileError(f"{path} {why}, so there is nothing for --threshold to decide; leave it out")


def check_explainable(info: ModelInfo, path: Path) -> None:
    """Refuse a model whose answer is not about an example as a whole.

    Raises:
        ModelFileError: if it makes masks or arrays.
    """
    if info.task.per_pixel or info.task.writes:
        raise ModelFileError(
            f"{path} makes masks or arrays, which kerasrun cannot explain: it explains classes, labels and numbers"
        )


def untrained(
    file: str | Path, overrides: Sequence[str] = (), *, trust: bool = False, pretrained: bool = False
) -> TrainedModel:
    """Build the network of an experiment for its data, as it is before the first step.

    Args:
        overrides: `key.path=value`, as after `--set`.
        pretrained: put the weights in that the network comes with.

    Raises:
        KerasrunError: as `train`, up to the first batch.
    """
    prepared = prepare(load(file, overrides), trust=trust)
    device = devices.start("cpu", deterministic=prepared.experiment.deterministic)
    with contextlib.redirect_stdout(stderr.as_it_is()), explained(prepared):  # Keras writes there of downloads
        from kerasrun.engine.building import build_job

        plugins.load()
        job = build_job(prepared, device, pretrained=pretrained)
    return TrainedModel(Path(file), job.model, job.info(0, {}), trust)


def summarize(trained: TrainedModel, *, weights: bool = False) -> str:
    """Return Keras's own table of layers, shapes and parameters, and what the file knows.

    Args:
        weights: add the weights, and of those with many numbers their range.
    """
    lines: list[str] = []
    with network_explained(trained.path):
        trained.model.summary(print_fn=lines.append)
    info = trained.info
    image = info.image_format
    if image:
        how = ", ".join([image.interpolation, image.fit_mode, *(["scaled"] if image.scaled_for else [])])
        lines.append(f"input: {image.height}×{image.width} {image.color_mode}, {how}")
    if (rows := info.row_format) and rows.columns:
        lines.append(f"columns: {described(list(zip(rows.features, rows.columns, strict=True)), {})}")
    begin = 0
    for part in info.parts:
        lines.append(f"output {part.name}: {', '.join(info.classes[begin : begin + part.columns])}")
        begin += part.columns
    if not info.parts:
        lines.append(f"classes: {', '.join(info.classes)}")
    experiment = stderr.plain(info.experiment)
    lines.append(f"trained: {info.epoch} epochs of {experiment}" if info.epoch else f"not trained: {experiment}")
    if info.threshold is not None:
        thresholds = info.threshold if isinstance(info.threshold, tuple) else (info.threshold,)
        lines.append(f"threshold: {', '.join(f'{one:g}' for one in thresholds)}")
    return "\n".join([*lines, *(map(_shown, trained.model.weights) if weights else ())])


def _shown(weight: Any) -> str:
    values = np.asarray(weight.numpy(), np.float32)
    shape = "×".join(map(str, values.shape)) or "1"
    if values.size > MOST_NUMBERS:
        return f"{weight.path} ({shape}): from {values.min():.4g} to {values.max():.4g}, mean {values.mean():.4g}"
    return f"{weight.path} ({shape}):\n{np.array2string(values, precision=6, suppress_small=False)}"
