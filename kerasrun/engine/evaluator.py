"""Compute loss and metrics on a split: first the outputs of padded batches, then Keras's loss and metrics of them."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kerasrun.engine.chunks import ChunkSize
from kerasrun.engine.steps import Inference, Scoring
from kerasrun.errors import within_memory
from kerasrun.network_size import counted, has_gpu, largest_output
from kerasrun.pipeline.batches import PaddedInMemory, is_copied, padded_batches
from kerasrun.pipeline.order import steps_in_epoch
from kerasrun.reading.data import Inputs, Split
from kerasrun.reading.memory import available_memory
from kerasrun.tasks.base import Targets
from kerasrun.workers.team import ALONE, Team


class Evaluator:
    """Evaluates one split any number of times; its pipeline and graphs are made once."""

    def __init__(
        self, model: Any, split: Split, targets: Targets, batch_size: int, *, network: Any = None, team: Team = ALONE
    ) -> None:
        """
        Args:
            model: the compiled model, whose loss and metrics are computed.
            network: what computes the outputs of the split's inputs; by default the model itself.
            team: the processes that share the batches; rank 0 computes loss and metrics.
        """
        self.split = split
        self.targets = targets
        self.predictor = Predictor(network or model, batch_size, team)
        self.scoring = Scoring(model, batch_size)
        self.batch_size = batch_size

    @cached_property
    def batches(self) -> Any:
        """Padded batches, made when they are first needed: by then images that are kept are in memory."""
        others = tuple(self.split.others.values())
        return self.predictor.batches(self.split.inputs, others)

    def evaluate(
        self, stop: Callable[[], bool] = lambda: False, see: Callable[[NDArray[np.float32]], None] | None = None
    ) -> dict[str, float] | None:
        """Evaluate the whole split.

        Args:
            stop: asked between two chunks of batches whether to give up.
            see: gets the network's outputs of every chunk, (examples, …), in the order of the split.

        Returns:
            values by name, `loss` first; None if `stop` said so, and on every process but rank 0.
        """
        self.scoring.metrics.reset()
        done = 0
        for y_pred, *others in self.predictor.chunks_of(self.batches, len(self.split), stop):
            end = done + len(y_pred)
            if self.predictor.team.leads:
                self.scoring.add(self.targets.task.labels_of(self.split, done, end, self.targets), y_pred, *others)
            if see:
                see(y_pred)
            done = end
        return self.scoring.metrics.values() if done == len(self.split) and self.predictor.team.leads else None


class Predictor:
    """Runs padded batches through the network, in chunks of about half a second."""

    def __init__(self, model: Any, batch_size: int, team: Team = ALONE) -> None:
        self.team = team
        self.computing = f"computing the outputs of {batch_size} examples"
        count, layer = largest_output(model)
        if not has_gpu() and 4 * batch_size * count > available_memory():
            with self._within_memory():
                raise MemoryError(f"the layer '{layer}' gives {counted(batch_size * count)} numbers")
        self.inference = Inference(model, batch_size)
        self.chunks = ChunkSize()

    def _within_memory(self) -> AbstractContextManager[None]:
        return within_memory(self.computing, "train with a smaller fit.batch_size")

    def batches(self, inputs: Inputs, others: Sequence[Inputs] = ()) -> Any:
        """Make the padded batches that this process computes: every so many-th, where there are several."""
        size, place = self.inference.batch_size, self.team.place
        make = PaddedInMemory if all(map(is_copied, (inputs, *others))) else padded_batches
        return make(inputs, batch_size=size, others=others, first=place.rank, step=place.count)

    def predict(self, batches: Any, examples: int) -> NDArray[np.float32]:
        """Return the outputs for `examples` rows, (examples, …)."""
        return np.concatenate([y_pred for y_pred, *_ in self.chunks_of(batches, examples)])

    def chunks_of(
        self, batches: Any, examples: int, stop: Callable[[], bool] = lambda: False
    ) -> Iterator[tuple[NDArray[Any], ...]]:
        """Yield what `Inference` gives of each chunk, `examples` rows in all; fewer if `stop` returned true.

        Args:
            batches: what `batches` returned.
        """
        iterator = batches.from_the_first() if isinstance(batches, PaddedInMemory) else iter(batches)
        size = self.inference.batch_size * self.team.workers
        while examples > 0:
            count = int(self.team.agreed(0 if stop() else self.chunks.next(steps_in_epoch(examples, size))))
            if not count:
                return
            with self.chunks.measured(count), self._within_memory():
                found = tuple(self._of_all(one, count) for one in self.inference(iterator, count))
            yield tuple(one[:examples] for one in found)
            examples -= len(found[0])

    def _of_all(self, rows: NDArray[Any], count: int) -> NDArray[Any]:
        """Return the rows of the batches of all processes, in the order of the examples, of `count` batches of each."""
        if self.team.workers == 1:
            return rows
        # TensorFlow gathers no booleans.
        own = rows.astype(np.float32).reshape(count, self.inference.batch_size, *rows.shape[1:])
        return np.swapaxes(self.team.in_order(own), 0, 1).reshape(-1, *rows.shape[1:]).astype(rows.dtype)
