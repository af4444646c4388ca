"""The job of a run: a prepared experiment with its model, on its device. Light to import."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kerasrun.engine.devices import Device
from kerasrun.engine.prepared import Prepared
from kerasrun.model_file import ModelInfo, needed_plugins
from kerasrun.tasks.base import Targets

if TYPE_CHECKING:
    from kerasrun.pipeline.augmentation import Augmentation
    from kerasrun.workers.team import Team


@dataclass(frozen=True)
class Job(Prepared):
    """All that the loop takes as it is; what changes while it trains is in the loop and in the model."""

    device: Device
    team: "Team"
    """The processes that train the run, and the part of each batch that this one computes."""
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

    def info(self, epoch: int, logs: Mapping[str, float]) -> ModelInfo:
        """Return what a file of the model says after this many epochs, the last of which had these logs."""
        return ModelInfo(
            classes=self.data.classes,
            image_format=self.data.image_format,
            label_kind=self.data.label_kind,
            row_format=self.data.row_format,
            batch_size=self.experiment.fit.batch_size,
            outputs=self.targets.outputs,
            parts=self.targets.parts,
            array_form=self.targets.task.form,
            experiment=self.experiment.name,
            deterministic=self.experiment.deterministic,
            plugins=needed_plugins(self.model),
            epoch=epoch,
            metrics=logs,
        )
