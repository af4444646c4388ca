"""Keras's older file."""

import logging
from pathlib import Path
from typing import Any

from kerasrun.exports.base import KerasExport
from kerasrun.model_file import TrainedModel


class H5(KerasExport):
    """`.h5`: network and weights in HDF5, for programs that do not read `.keras`. Keras calls it legacy."""

    suffix = ".h5"

    def write(self, trained: TrainedModel, path: Path) -> None:
        logger = logging.getLogger("absl")
        logger.addFilter(_is_no_advice)
        try:
            trained.model.save(path)
        finally:
            logger.removeFilter(_is_no_advice)

    def read(self, path: Path, trained: TrainedModel) -> Any:
        import keras

        return keras.models.load_model(path, compile=False)


def _is_no_advice(record: logging.LogRecord) -> bool:
    """Hide Keras's advice to write `.keras` instead; who asks for `.h5` has a reason."""
    return "HDF5 file" not in record.getMessage()
