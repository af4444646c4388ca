"""A trained model ready to evaluate or to predict, with what its file knows."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kerasrun import model_file
from kerasrun.model_file import ModelInfo, OutputKind
from kerasrun.training import devices
from kerasrun.training.targets import Targets  # noqa: F401  before TensorFlow: pydantic, which it brings, is slow after


@dataclass(frozen=True)
class TrainedModel:
    """A loaded model file."""

    path: Path
    model: Any
    info: ModelInfo


def open_model(
    path: Path,
    device: devices.DeviceRequest = "auto",
    threads: Mapping[str, int] | None = None,
    deterministic: bool | None = None,
    *,
    trust: bool = False,
) -> TrainedModel:
    """Load a model file, `trust` as in `model_file.load`; TensorFlow is started for it, as `devices.start` says.

    Raises:
        ModelFileError: if the file cannot be used; known before TensorFlow is loaded.
    """
    model_file.read_info(path)
    devices.start(device, threads, deterministic)
    model, info = model_file.load(path, trust=trust)
    return TrainedModel(path, model, info)


def class_values(outputs: NDArray[np.float32], kind: OutputKind) -> NDArray[np.float64]:
    """A value for each class: its probability, or its score where the loss makes no probabilities.

    Args:
        outputs: shape (examples, 1) for two classes with one unit, else (examples, classes).

    Returns:
        shape (examples, classes); the largest value of a row is the predicted class.
    """
    values = outputs.astype(np.float64)
    if kind == "sigmoid logits":
        values = 1 / (1 + np.exp(-values))
    if values.shape[1] == 1:
        return np.hstack([-values if kind == "scores" else 1 - values, values])
    if kind != "softmax logits":
        return values
    exponentials = np.exp(values - values.max(axis=1, keepdims=True))
    shares: NDArray[np.float64] = exponentials / exponentials.sum(axis=1, keepdims=True)
    return shares
