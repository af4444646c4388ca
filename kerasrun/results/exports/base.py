"""What every form of export offers: how it is written, and how what was written computes."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from kerasrun.reading.data import Inputs
from kerasrun.results.model import TrainedModel


class Export(ABC):
    """A form in which a model is written."""

    name: ClassVar[str]
    """As on the command line."""
    suffix: ClassVar[str]
    """How its files' names end; empty for a folder."""
    tolerance: ClassVar[float]
    """By how much its outputs may differ from the model's own, as a share of the largest output (at least of 1)."""
    extra: ClassVar[str | None] = None
    """The optional dependency of kerasrun that it needs."""
    packages: ClassVar[tuple[str, ...]] = ()
    """What that brings, as imported."""
    only_float32: ClassVar[bool] = False
    """Whether it cannot hold a model of mixed precision."""

    @abstractmethod
    def write(self, trained: TrainedModel, path: Path) -> None:
        """Write the model to `path`, whose name ends in `suffix`; a folder is there already, and empty."""

    @abstractmethod
    def outputs(self, path: Path, trained: TrainedModel, inputs: Inputs) -> NDArray[np.float32]:
        """What the written model computes, (examples, …)."""


class KerasExport(Export):
    """A form that Keras reads back: its model must give equal bits."""

    tolerance = 0.0

    @abstractmethod
    def read(self, path: Path, trained: TrainedModel) -> Any:
        """The model in the file; what the file lacks (weights, architecture) is taken from the trained one."""

    def outputs(self, path: Path, trained: TrainedModel, inputs: Inputs) -> NDArray[np.float32]:
        return model_outputs(self.read(path, trained), trained.info.batch_size, inputs)


def model_outputs(model: Any, batch_size: int, inputs: Inputs) -> NDArray[np.float32]:
    """What `evaluate` and `predict` would see."""
    from kerasrun.engine.evaluator import Predictor
    from kerasrun.pipeline.batches import padded_batches

    return Predictor(model, batch_size).predict(padded_batches(inputs, batch_size=batch_size), len(inputs))


def batches(inputs: Inputs, batch_size: int) -> Iterator[NDArray[np.float32]]:
    """The examples as float32, (batch, …); the last batch may be smaller."""
    for begin in range(0, len(inputs), batch_size):
        yield inputs.take(np.arange(begin, min(begin + batch_size, len(inputs)))).astype(np.float32)
