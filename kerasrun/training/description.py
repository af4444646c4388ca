"""The description of a run in `run.json`: the experiment, the data and the machine. Light to import."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kerasrun import plugins
from kerasrun.engine.devices import Device
from kerasrun.engine.prepared import Prepared
from kerasrun.runs.environment import environment
from kerasrun.training.class_weight import class_weights
from kerasrun.training.resuming import fingerprint


def description(file: Path, overrides: Sequence[str], prepared: Prepared, device: Device) -> dict[str, Any]:
    """
    Args:
        file: the experiment, whose folder may be a git repository.
        overrides: as they were given.
    """
    return {
        **environment(file.absolute().parent),
        "overrides": list(overrides),
        "experiment": prepared.experiment.name,
        "seed": prepared.experiment.seed,
        "epochs": prepared.experiment.fit.epochs,
        "device": device.recorded(),
        "label_kind": prepared.data.label_kind,
        "classes": list(prepared.data.classes),
        "class_weight": class_weights(prepared.experiment.fit.class_weight, prepared.train, prepared.data.classes),
        "plugins": plugins.checksums(),
        fingerprint.KEY: prepared.data.fingerprint if prepared.data.is_read else None,
        fingerprint.FILES_KEY: prepared.data.files,
        "skipped": [str(skipped.path) for skipped in prepared.data.skipped],
        "examples": {
            "train": len(prepared.train),
            "validation": len(prepared.validation) if prepared.validation else 0,
            "shape": list(prepared.train.inputs.example_shape),
            "dtype": str(prepared.train.inputs.dtype),
        },
    }
