"""The weights alone."""

import io
import zipfile
from pathlib import Path
from typing import Any

from kerasrun.exports.base import KerasExport
from kerasrun.model_file import TrainedModel


class Weights(KerasExport):
    """`.weights.h5`: weights for `Model.load_weights`, in a network of the same layers."""

    suffix = ".weights.h5"
    is_whole = False

    def write(self, trained: TrainedModel, path: Path) -> None:
        from keras.src.saving.saving_lib import save_model

        buffer = io.BytesIO()  # HDF5 crashes where it cannot write to the disk
        save_model(trained.model, buffer)
        with zipfile.ZipFile(buffer) as archive:
            path.write_bytes(archive.read("model.weights.h5"))

    def read(self, path: Path, trained: TrainedModel) -> Any:
        model = type(trained.model).from_config(trained.model.get_config())
        model.load_weights(path)
        return model
