"""The base of the export formats, and what several of them need."""

import functools
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from kerasrun.families import modules
from kerasrun.model_file import TrainedModel
from kerasrun.network_layers import derive_state
from kerasrun.reading.data import Split
from kerasrun.reading.inputs import in_batches


class Export(ABC):
    """A format in which a model is written; the docstring of each is its line in docs/export.md."""

    suffix: ClassVar[str]
    """The end of its files' names; empty for a folder."""
    tolerance: ClassVar[float]
    """By how much its outputs may differ from the model's own, as a share of the largest output (at least of 1)."""
    packages: ClassVar[tuple[str, ...]] = ()
    """The packages that it needs, as they are imported: those of the extra of its name."""
    only_float32: ClassVar[bool] = False
    """Whether it cannot hold a model of mixed precision."""
    is_whole: ClassVar[bool] = True
    """Whether it has both the network and its weights."""
    mark: ClassVar[str] = ""
    """The file by which a folder is known to be an older export, which may be replaced."""

    @property
    def name(self) -> str:
        """The name on the command line: that of its file."""
        return type(self).__module__.rpartition(".")[2]

    @abstractmethod
    def write(self, trained: TrainedModel, path: Path) -> None:
        """Write the model to `path`, whose name ends in `suffix`; a folder is there already, and empty."""

    @abstractmethod
    def outputs(self, path: Path, trained: TrainedModel, examples: Split) -> NDArray[np.float32]:
        """Return what the written model computes, (examples, …)."""


class KerasExport(Export):
    """A format that Keras reads back: its model must give equal bits."""

    tolerance = 0.0

    @abstractmethod
    def read(self, path: Path, trained: TrainedModel) -> Any:
        """Return the model in the file; what the file lacks (weights, architecture) is taken from the trained one."""

    def outputs(self, path: Path, trained: TrainedModel, examples: Split) -> NDArray[np.float32]:
        return model_outputs(self.read(path, trained), trained.info.batch_size, examples)


@functools.cache
def formats() -> Mapping[str, Export]:
    """Return every format by its name."""
    found = {}
    for name, module in modules("kerasrun.exports").items():
        classes = (one for one in vars(module).values() if isinstance(one, type) and issubclass(one, Export))
        (found[name],) = (one() for one in classes if one.__module__ == module.__name__)
    return found


def model_outputs(model: Any, batch_size: int, examples: Split) -> NDArray[np.float32]:
    """Return the outputs that `evaluate` and `predict` see."""
    from kerasrun.engine.evaluator import Predictor

    predictor = Predictor(model, batch_size)
    return predictor.predict(predictor.batches(examples.inputs, tuple(examples.others.values())), len(examples))


def batches(examples: Split, batch_size: int) -> Iterator[list[NDArray[np.float32]]]:
    """Yield the inputs of the network as float32, each (batch, …); the last batch may be smaller."""
    several = (in_batches(one, batch_size) for one in (examples.inputs, *examples.others.values()))
    return ([one.astype(np.float32) for one in batch] for batch in zip(*several, strict=True))


def in_order(names: Sequence[str], trained: TrainedModel) -> list[int]:
    """Return for each input of an exported model, by its name, which of the network's inputs it is."""
    own = [one.name for one in trained.model.inputs]
    if len(own) == 1:
        return [0]
    patterns = [re.compile(rf"(^|\W|_){re.escape(name)}(\W|$)") for name in own]
    return [next(place for place, pattern in enumerate(patterns) if pattern.search(one)) for one in names]


def from_architecture(text: str, trained: TrainedModel) -> Any:
    """Return the model that JSON of `to_json` describes, with the weights of the trained one."""
    import keras

    model = keras.models.model_from_json(text)
    model.set_weights(trained.model.get_weights())
    derive_state([model])
    return model
