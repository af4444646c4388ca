"""The model file as it is."""

import shutil
from pathlib import Path
from typing import Any

from kerasrun import model_file
from kerasrun.exports.base import KerasExport
from kerasrun.model_file import TrainedModel
from kerasrun.plugins import FOLDER


class KerasFile(KerasExport):
    """`.keras`: a copy of the run's model file, which `keras.models.load_model` and `kerasrun predict` read."""

    suffix = ".keras"

    def write(self, trained: TrainedModel, path: Path) -> None:
        shutil.copyfile(trained.path, path)

    def read(self, path: Path, trained: TrainedModel) -> Any:
        kept = [trained.path.parent / FOLDER / name for name in trained.info.plugins]
        return model_file.load(path, kept, trust=trained.trusted)[0]
