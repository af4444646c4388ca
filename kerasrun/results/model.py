"""A trained model ready to evaluate or to predict, with what its file knows."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kerasrun import model_file
from kerasrun.engine import devices
from kerasrun.engine.targets import Targets  # noqa: F401  before TensorFlow: pydantic, which it brings, is slow after
from kerasrun.model_file import OutputKind, TrainedModel


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


def class_values(outputs: NDArray[np.float32], kind: OutputKind) -> NDArray[np.float64]:
    """A value for each class: its probability, or its score where the loss makes no probabilities.

    Args:
        outputs: shape (…, 1) for two classes with one unit, else (…, classes).

    Returns:
        shape (…, classes); the largest value of a row is the predicted class.
    """
    values = label_values(outputs, kind)
    if values.shape[-1] == 1:
        return np.concatenate([-values if kind == "scores" else 1 - values, values], axis=-1)
    if kind != "softmax logits":
        return values
    exponentials = np.exp(values - values.max(axis=-1, keepdims=True))
    shares: NDArray[np.float64] = exponentials / exponentials.sum(axis=-1, keepdims=True)
    return shares


def label_values(outputs: NDArray[np.float32], kind: OutputKind) -> NDArray[np.float64]:
    """The probability of each label on its own, or its score; numbers as they are."""
    values = outputs.astype(np.float64)
    return 1 / (1 + np.exp(-values)) if kind == "sigmoid logits" else values


def pixel_classes(outputs: NDArray[np.float32], kind: OutputKind, threshold: float | None = None) -> NDArray[np.int64]:
    """The class of each pixel.

    Args:
        outputs: (examples, height, width, 1) for two classes with one channel, else (examples, height, width, classes).
        threshold: how probable the second of two classes must be to be called; by default a half.

    Returns:
        class numbers, (examples, height, width).
    """
    if threshold is not None:
        return (class_values(outputs, kind)[..., 1] > threshold).astype(np.int64)
    if outputs.shape[-1] == 1:
        return (label_values(outputs[..., 0], kind) > (0.0 if kind == "scores" else 0.5)).astype(np.int64)
    # Neither sigmoid nor softmax changes which channel is the largest.
    largest: NDArray[np.int64] = outputs.argmax(axis=-1)
    return largest
