"""The weights alone."""

from pathlib import Path
from typing import Any

from kerasrun.exports.base import KerasExport
from kerasrun.model_file import TrainedModel, save_weights


class Weights(KerasExport):
    """`.weights.h5`: weights for `Model.load_weights`, in a network of the same layers."""

    suffix = ".weights.h5"
    is_whole = False

    def write(self, trained: TrainedModel, path: Path) -> None:
        save_weights(trained.model, path)

    def read(self, path: Path, trained: TrainedModel) -> Any:
        model = type(trained.model).from_config(trained.model.get_config())
        model.load_weights(path)
        return model
