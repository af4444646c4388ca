"""Remember which epoch was best, across resumes."""

import math
from typing import Any

from kerasrun.errors import ModelError
from kerasrun.runs.records import BestEpoch


class Best:
    """Follows the monitored value; the first epoch is best until a later one improves on it."""

    def __init__(self, monitor: str, smallest: bool) -> None:
        self.monitor = monitor
        self.smallest = smallest
        self.value: float | None = None
        self.epoch: int | None = None

    def improves(self, epoch: int, value: float) -> bool:
        """Note an epoch's value; return True if that epoch is now the best."""
        if self.value is None or (math.isfinite(value) and self._is_better(value, self.value)):
            self.value, self.epoch = value, epoch
            return True
        return False

    def state(self) -> BestEpoch:
        """Return plain values; `epoch` counts from one, as users do."""
        return {"monitor": self.monitor, "value": self.value, "epoch": None if self.epoch is None else self.epoch + 1}

    def restore(self, state: BestEpoch) -> None:
        """Restore what `state` returned; a run that now monitors another value begins again."""
        if state["monitor"] == self.monitor and state["epoch"] is not None:
            self.value, self.epoch = state["value"], state["epoch"] - 1

    def _is_better(self, value: float, than: float) -> bool:
        if not math.isfinite(than):
            return True
        return value < than if self.smallest else value > than


def best_for(model: Any, monitor: str, mode: str) -> Best:
    """Follow `monitor`; with mode `auto`, ask the metric of that name which direction is better.

    Raises:
        ModelError: if neither the mode nor the metric says so.
    """
    name = monitor.removeprefix("val_")
    if mode != "auto":
        return Best(monitor, mode == "min")
    if name == "loss":
        return Best(monitor, smallest=True)
    from kerasrun.engine.steps import metrics_of  # with TensorFlow, without which the best is remembered

    direction = next((getattr(metric, "_direction", None) for metric in metrics_of(model) if metric.name == name), None)
    if direction is None:
        raise ModelError(
            f"checkpoint.monitor: Keras does not know whether a larger or a smaller {monitor} is better: "
            "set checkpoint.mode to max or min"
        )
    return Best(monitor, smallest=direction == "down")
