"""Loss and metrics on a split: the outputs of padded batches, then Keras's own loss and metrics on them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kerasrun.pipeline.batches import padded_batches
from kerasrun.pipeline.order import steps_in_epoch
from kerasrun.sources._contract import Split
from kerasrun.training.chunks import ChunkSize
from kerasrun.training.steps import Inference, Scoring
from kerasrun.training.targets import Targets


@dataclass(frozen=True)
class Evaluation:
    """What a model does on a split."""

    metrics: dict[str, float]
    """`loss` first."""
    outputs: NDArray[np.float32]
    """The network's outputs, shape (examples, units)."""


class Evaluator:
    """Evaluates one split as often as wanted; its pipeline and graphs are made once."""

    def __init__(self, model: Any, split: Split, targets: Targets, batch_size: int) -> None:
        self.split = split
        self.y = targets.encode(split.labels)
        self.predictor = Predictor(model, batch_size)
        self.scoring = Scoring(model, batch_size)
        self.batches = padded_batches(split.inputs, batch_size=batch_size)

    def evaluate(self, stop: Callable[[], bool] = lambda: False) -> Evaluation | None:
        """Evaluate the whole split; None if `stop` said so between two chunks of batches."""
        outputs = self.predictor.predict(self.batches, len(self.split), stop)
        if outputs is None:
            return None
        y_pred, logits = outputs
        return Evaluation(self.scoring(self.y, y_pred, logits), y_pred)


class Predictor:
    """Runs padded batches through the network, in chunks of about half a second."""

    def __init__(self, model: Any, batch_size: int) -> None:
        self.inference = Inference(model, batch_size)
        self.chunks = ChunkSize()

    def predict(
        self, batches: Any, examples: int, stop: Callable[[], bool] = lambda: False
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None:
        """Outputs and logits for `examples` rows, each of shape (examples, units); None if `stop` said so."""
        iterator = iter(batches)
        remaining = steps_in_epoch(examples, self.inference.batch_size)
        parts = []
        while remaining:
            if stop():
                return None
            count = self.chunks.next(remaining)
            with self.chunks.measured(count):
                parts.append(self.inference(iterator, count))
            remaining -= count
        y_pred, logits = (np.concatenate(part)[:examples] for part in zip(*parts, strict=True))
        return y_pred, logits
