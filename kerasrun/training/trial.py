"""`python -m kerasrun.training.trial FOLDER TRIAL...`: train for `kerasrun verify`, and write down what came out.

A trial is `once` or `again` (a whole training), `cut` (one that is stopped on its way, as by Ctrl-C) or `resumed` (the
rest of that one). The folder has the experiment and the settings; `<trial>.json` is the digest of every variable after
every step, `<trial>.npz` the variables at the end.
"""

import hashlib
import json
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasrun.errors import Interrupted, KerasrunError
from kerasrun.experiment.load import load
from kerasrun.pipeline.order import steps_in_epoch
from kerasrun.pipeline.selection import spread
from kerasrun.runs import atomic, checkpoints, directory
from kerasrun.training.compatibility import restore_variables
from kerasrun.training.devices import Device
from kerasrun.training.train import Prepared, _builder, prepare, start_device
from kerasrun.training.verification import ERROR, EXPERIMENT, METRICS, SETTINGS

if TYPE_CHECKING:
    from kerasrun.training.loop import TrainingLoop


def main(folder: Path, trials: list[str]) -> None:
    """Train; a `KerasrunError` is written down for the process that waits."""
    try:
        settings = json.loads((folder / SETTINGS).read_bytes())
        prepared, steps = _shortened(prepare(load(folder / EXPERIMENT)), settings["steps"])
        restore_variables(settings)
        device = start_device(prepared.experiment, settings["threads"])
        for trial in trials:
            _train(folder, trial, prepared, device, cut=steps // 2 + 1)
    except KerasrunError as error:
        atomic.write_json(folder / ERROR, {"kind": type(error).__name__, "message": str(error)})
        sys.exit(1)


def _shortened(prepared: Prepared, steps: int) -> tuple[Prepared, int]:
    """The experiment with at least two epochs, short enough to have about so many steps; and how many these are."""
    fit = prepared.experiment.fit
    examples = -(-steps // 2) * fit.batch_size
    train = spread(prepared.train, examples)
    steps_each = steps_in_epoch(len(train), fit.batch_size)
    epochs = -(-steps // steps_each)
    experiment = prepared.experiment.model_copy(update={"fit": fit.model_copy(update={"epochs": epochs})})
    validation = spread(prepared.validation, examples) if prepared.validation else None
    return replace(prepared, experiment=experiment, train=train, validation=validation), epochs * steps_each


def _train(folder: Path, trial: str, prepared: Prepared, device: Device, cut: int) -> None:
    from kerasrun.training import state

    loop_for = _builder(prepared, device, pretrained=trial != "resumed")
    if trial == "resumed":
        run = directory.open_run(folder / "cut" / directory.LATEST)
    else:
        run = directory.create(folder / trial, prepared.experiment.name)
    loop = loop_for(run)
    records = _recorded(loop, cut if trial == "cut" else None)
    try:
        if trial == "resumed":
            loop.resume(checkpoints.newest(run))
        else:
            loop.start()
        arrays = state.model_arrays(loop.model)
        metrics = hashlib.sha256(run.metrics_file.read_bytes()).hexdigest()
        records.append(("at the end", {**_digests(arrays), METRICS: metrics}))
        np.savez(folder / f"{trial}.npz", **arrays)  # type: ignore[arg-type]
    except Interrupted:
        if trial != "cut":
            raise
    result = {
        "device": device.description,
        "devices": len(device.names),
        "deterministic": device.deterministic,
        "steps": loop.position.epoch * loop.steps + loop.position.step,
        "records": records,
    }
    atomic.write_json(folder / f"{trial}.json", result)


def _recorded(loop: "TrainingLoop", cut: int | None) -> list[tuple[str, dict[str, str]]]:
    """Have the loop train step by step; returns what will hold the variables' digests before and after each."""
    from kerasrun.training import state
    from kerasrun.training.chunks import ChunkSize
    from kerasrun.training.steps import FusedSteps

    records: list[tuple[str, dict[str, str]]] = []

    def record(step: int) -> None:
        when = f"after step {step}" if step else "before the first step"
        records.append((when, _digests(state.model_arrays(loop.model))))

    class RecordedSteps(FusedSteps):
        def __call__(self, iterator: Any, steps: int) -> int | None:
            before = loop.position.epoch * loop.steps + loop.position.step
            # At the beginning of an epoch the metrics are already reset, which they were not after the step before.
            if not records and (loop.position.step or not before):
                record(before)
            bad = super().__call__(iterator, steps)
            record(before + steps)
            if before + steps == cut:
                loop.stop.signal = signal.SIGINT
            return bad

    loop.fused = RecordedSteps(loop.model, loop.strategy)
    loop.chunks = ChunkSize(fixed=1)
    return records


def _digests(arrays: Any) -> dict[str, str]:
    return {name: hashlib.sha256(array.tobytes()).hexdigest() for name, array in arrays.items()}


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
