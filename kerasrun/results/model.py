"""A trained model, ready to evaluate or to predict, with what its file knows."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from kerasrun import model_file
from kerasrun.engine import devices
from kerasrun.errors import ModelFileError, UsageError
from kerasrun.model_file import ModelInfo, TrainedModel


def open_model(
    path: Path,
    device: devices.DeviceRequest = "auto",
    threads: Mapping[str, int] | None = None,
    deterministic: bool | None = None,
    plugin_files: Sequence[Path] = (),
    *,
    variables: Mapping[str, str | None] | None = None,
    trust: bool = False,
) -> TrainedModel:
    """Load a model file, `trust` as in `model_file.load`; TensorFlow is started for it, as `devices.start` says.

    Args:
        variables: of the environment in which a run began, to compute as it did where the environment says nothing.

    Raises:
        ModelFileError: if the file cannot be used; known before TensorFlow is loaded.
    """
    model_file.read_info(path)
    devices.start(device, threads, deterministic, variables=variables, unless_set=True)
    model, info = model_file.load(path, plugin_files, trust=trust)
    return TrainedModel(path, model, info, trust)


def check_threshold(info: ModelInfo, threshold: float | None, path: Path) -> None:
    """Refuse a threshold for a model whose answer is not a yes or a no.

    Raises:
        UsageError: if it is not a probability.
        ModelFileError: if the model compares several classes, or makes no probabilities.
    """
    if threshold is None:
        return
    if not 0 <= threshold <= 1:
        raise UsageError(f"--threshold {threshold:g} is not a probability: expected a number from 0 to 1")
    if why := info.task.without_threshold(len(info.classes), info.outputs):
        raise ModelFileError(f"{path} {why}, so there is nothing for --threshold to decide; leave it out")


def summarize(path: Path, *, trust: bool = False) -> str:
    """Keras's own table of layers, shapes and parameters, and what the file knows; `trust` as in `model_file.load`."""
    trained = open_model(path, "cpu", trust=trust)
    lines: list[str] = []
    trained.model.summary(print_fn=lines.append)
    info = trained.info
    image = info.image_format
    if image:
        lines.append(f"input: {image.height}×{image.width} {image.color_mode}, {image.interpolation}, {image.fit_mode}")
    begin = 0
    for part in info.parts:
        lines.append(f"output {part.name}: {', '.join(info.classes[begin : begin + part.columns])}")
        begin += part.columns
    if not info.parts:
        lines.append(f"classes: {', '.join(info.classes)}")
    lines.append(f"trained: {info.epoch} epochs of {info.experiment}")
    return "\n".join(lines)
