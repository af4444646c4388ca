"""A trained model ready to evaluate or to predict, with what its file knows."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from kerasrun import model_file
from kerasrun.engine import devices
from kerasrun.model_file import TrainedModel


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
