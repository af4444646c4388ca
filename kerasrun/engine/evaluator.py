"""Compute loss and metrics on a split: first the outputs of padded batches, then Keras's loss and metrics of them."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kerasrun.engine.chunks import ChunkSize
from kerasrun.engine.steps import Inference, Scoring
from kerasrun.errors import within_memory
from kerasrun.network_size import counted, has_gpu, largest_output
from kerasrun.pipeline.batches import padded_batches
from kerasrun.pipeline.order import steps_in_epoch
from kerasrun.reading.data import Split
from kerasrun.reading.memory import available_memory
from kerasrun.tasks.base import Targets


class Evaluator:
    """Evaluates one split any number of times; its pipeline and graphs are made once."""

    def __init__(self, model: Any, split: Split, targets: Targets, batch_size: int, *, network: Any = None) -> None:
        """
        Args:
            model: the compiled model, whose loss and metrics are computed.
            network: what computes the outputs of the split's inputs; by default the model itself.
        """
        self.split = split
        self.targets = targets
        self.predictor = Predictor(network or model, batch_size)
        self.scoring = Scoring(model, batch_size)
        self.batch_size = batch_size

    @cached_property
    def batches(self) -> Any:
        """Padded batches, made when they are first needed: by then images that are kept are in memory."""
        others = tuple(self.split.others.values())
        return padded_batches(self.split.inputs, batch_size=self.batch_size, others=others)

    def evaluate(
        self, stop: Callable[[], bool] = lambda: False, see: Callable[[NDArray[np.float32]], None] | None = None
    ) -> dict[str, float] | None:
        """Evaluate the whole split.

        Args:
            stop: asked between two chunks of batches whether to give up.
            see: gets the network's outputs of every chunk, (examples, …), in the order of the split.

        Returns:
            values by name, `loss` first; None if `stop` said so.
        """
        self.scoring.reset()
        done = 0
        for y_pred, *others in self.predictor.chunks_of(self.batches, len(self.split), stop):
            end = done + len(y_pred)
            self.scoring.add(self.targets.task.labels_of(self.split, done, end, self.targets), y_pred, *others)
            if see:
                see(y_pred)
            done = end
        return self.scoring.result() if done == len(self.split) else None


class Predictor:
    """Runs padded batches through the network, in chunks of about half a second."""

    def __init__(self, model: Any, batch_size: int) -> None:
        self.computing = f"computing the outputs of {batch_size} examples"
        count, layer = largest_output(model)
        if not has_gpu() and 4 * batch_size * count > available_memory():
            with self._within_memory():
                raise MemoryError(f"the layer '{layer}' gives {counted(batch_size * count)} numbers")
        self.inference = Inference(model, batch_size)
        self.chunks = ChunkSize()

    def _within_memory(self) -> AbstractContextManager[None]:
        return within_memory(self.computing, "train with a smaller fit.batch_size")

    def predict(self, batches: Any, examples: int) -> NDArray[np.float32]:
        """Return the outputs for `examples` rows, (examples, …)."""
        return np.concatenate([y_pred for y_pred, *_ in self.chunks_of(batches, examples)])

    def chunks_of(
        self, batches: Any, examples: int, stop: Callable[[], bool] = lambda: False
    ) -> Iterator[tuple[NDArray[Any], ...]]:
        """Yield what `Inference` gives of each chunk, `examples` rows in all; fewer if `stop` returned true."""
        iterator, size = iter(batches), self.inference.batch_size
        while examples > 0 and not stop():
            count = self.chunks.next(steps_in_epoch(examples, size))
            with self.chunks.measured(count), self._within_memory():
                found = self.inference(iterator, count)
            yield tuple(one[:examples] for one in found)
            examples -= len(found[0])
