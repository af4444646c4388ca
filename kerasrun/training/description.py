"""The description of a run in `run.json`: the experiment, the data and the machine. Light to import."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kerasrun import plugins
from kerasrun.engine.devices import Device
from kerasrun.engine.prepared import Prepared
from kerasrun.experiment.resolved import resolved_yaml
from kerasrun.runs.environment import environment
from kerasrun.training.class_weight import class_weights
from kerasrun.training.resuming import fingerprint


def description(
    file: Path, overrides: Sequence[str], prepared: Prepared, device: Device, shards: int = 1
) -> dict[str, Any]:
    """
    Args:
        file: the experiment, whose folder may be a git repository.
        overrides: as they were given.
        shards: into how many parts each batch is cut.
    """
    return {
        **environment(file.absolute().parent),
        "overrides": list(overrides),
        "experiment": prepared.experiment.name,
        "seed": prepared.experiment.seed,
        "epochs": prepared.experiment.fit.epochs,
        "device": device.recorded(),
        "shards": shards,
        "workers": list(device.place.addresses) if device.place.count > 1 else [],
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


def same_in_all(prepared: Prepared, device: Device) -> dict[str, Any]:
    """Return what must be the same in all processes that train together, by what to call it."""
    data, inputs = prepared.data, prepared.train.inputs
    return {
        "experiment": resolved_yaml(prepared.experiment),
        "list of classes": list(data.classes),
        "number of examples": list(map(len, prepared.splits)),
        "form of examples": [list(inputs.example_shape), str(inputs.dtype)],
        # What is read later is compared before anything is saved (`FingerprintCheck`).
        "content of the data": data.contents if isinstance(data.contents, str) else None,
        "plugin": plugins.checksums(),
        **same_machine(device),
    }


def same_machine(device: Device) -> dict[str, Any]:
    """Return what must be the same whatever is trained, by what to call it."""
    here = environment(Path.cwd())
    return {
        **{f"version of {name}": here["versions"][name] for name in ("kerasrun", "keras", "tensorflow", "numpy")},
        "kind of processor": {name: here["processor"][name] for name in ("architecture", "instruction_sets")},
        "kind of device": device.kind,
        "number of threads": dict(device.threads),
    }
