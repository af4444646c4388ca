"""A trained model ready to evaluate or to predict, with what its file knows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kerasrun import model_file
from kerasrun.model_file import ModelInfo
from kerasrun.training import devices


@dataclass(frozen=True)
class TrainedModel:
    """A loaded model file."""

    path: Path
    model: Any
    info: ModelInfo
    trusted: bool = False
    """Whether code that it brings may be run."""


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
