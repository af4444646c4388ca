"""EarlyStopping: ends training, or a stage, and puts the best weights back after the last checkpoint."""

from kerasrun.callbacks.base import Adapter


class EarlyStopping(Adapter):
    name = "EarlyStopping"
    state = ("wait", "stopped_epoch", "best", "best_epoch")
    weights = ("best_weights",)
    monitors = True

    def who_stopped(self, epoch: int) -> str | None:
        stopped = self.callback.stopped_epoch == epoch > 0
        return f"EarlyStopping on {self.callback.monitor}" if stopped else None
