"""Keras's older file."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from kerasrun.exports.base import KerasExport
from kerasrun.model_file import TrainedModel


class H5(KerasExport):
    """`.h5`: network and weights in HDF5, for programs that do not read `.keras`. Keras calls it legacy."""

    suffix: ClassVar[str] = ".h5"

    def write(self, trained: TrainedModel, path: Path) -> None:
        with _without_advice():
            trained.model.save(path)

    def read(self, path: Path, trained: TrainedModel) -> Any:
        import keras

        return keras.models.load_model(path, compile=False)


@contextmanager
def _without_advice() -> Iterator[None]:
    """Hide Keras's advice to write `.keras` instead; who asks for `.h5` has a reason."""
    logger = logging.getLogger("absl")

    def passes(record: logging.LogRecord) -> bool:
        return "HDF5 file" not in record.getMessage()

    logger.addFilter(passes)
    try:
        yield
    finally:
        logger.removeFilter(passes)
