"""Keras's older file."""

from pathlib import Path
from typing import Any

from kerasrun.exports.base import KerasExport
from kerasrun.model_file import TrainedModel, save_h5


class H5(KerasExport):
    """`.h5`: network and weights in HDF5, for programs that do not read `.keras`. Keras calls it legacy."""

    suffix = ".h5"

    def write(self, trained: TrainedModel, path: Path) -> None:
        save_h5(trained.model, path)

    def read(self, path: Path, trained: TrainedModel) -> Any:
        import keras

        return keras.models.load_model(path, compile=False)
