"""Keras's older file."""

import io
from pathlib import Path
from typing import Any

from kerasrun.exports.base import KerasExport
from kerasrun.model_file import TrainedModel


class H5(KerasExport):
    """`.h5`: network and weights in HDF5, for programs that do not read `.keras`. Keras calls it legacy."""

    suffix = ".h5"

    def write(self, trained: TrainedModel, path: Path) -> None:
        import h5py
        from keras.src.legacy.saving.legacy_h5_format import save_model_to_hdf5

        buffer = io.BytesIO()  # HDF5 crashes where it cannot write to the disk
        with h5py.File(buffer, "w") as file:
            save_model_to_hdf5(trained.model, file)
        path.write_bytes(buffer.getbuffer())

    def read(self, path: Path, trained: TrainedModel) -> Any:
        import keras

        return keras.models.load_model(path, compile=False)
