"""The job of a run: a prepared experiment with its model, on its device. Light to import."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kerasrun.engine.devices import Device
from kerasrun.engine.prepared import Prepared
from kerasrun.tasks.base import Targets

if TYPE_CHECKING:
    from kerasrun.pipeline.augmentation import Augmentation


@dataclass(frozen=True)
class Job(Prepared):
    """All that the loop takes as it is; what changes while it trains is in the loop and in the model."""

    device: Device
    strategy: Any
    """The `tf.distribute` strategy whose devices hold the variables and share each batch; None for one device."""
    model: Any
    """The compiled model; every variable exists."""
    targets: Targets
    """The form of the labels for its loss."""
    layers: Sequence[Any]
    """The layers of the network itself, without preprocessing."""
    augmentation: "Augmentation | None"

    @property
    def monitor(self) -> str:
        """The name in the logs of the value that decides which epoch is best."""
        return self.experiment.checkpoint.monitor or ("val_loss" if self.validation else "loss")
