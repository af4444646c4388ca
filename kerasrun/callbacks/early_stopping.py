"""EarlyStopping: ends training, or a stage, and puts the best weights back after the last checkpoint."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kerasrun.callbacks.base import Adapter
from kerasrun.errors import CheckpointError

if TYPE_CHECKING:
    from numpy.typing import NDArray


class EarlyStopping(Adapter):
    name = "EarlyStopping"
    state = ("wait", "stopped_epoch", "best", "best_epoch")
    weights = ("best_weights",)
    monitors = True

    def restore(self, values: Mapping[str, Any], arrays: "Mapping[str, NDArray[Any]]") -> None:
        super().restore(values, arrays)
        best, model = self.callback.best_weights, self.callback.model
        if best and [one.shape for one in best] != [tuple(one.shape) for one in model.weights]:
            raise CheckpointError("the checkpoint has best weights of another model, as EarlyStopping keeps them")

    def who_stopped(self, epoch: int) -> str | None:
        stopped = self.callback.stopped_epoch == epoch > 0
        return f"EarlyStopping on {self.callback.monitor}" if stopped else None
