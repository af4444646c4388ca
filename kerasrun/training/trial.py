"""`python -m kerasrun.training.trial FOLDER TRIAL...`: train for `kerasrun verify`, and write down what came out.

A trial is `once` or `again` (a whole training), `cut` (one that is stopped on its way, as by Ctrl-C), `resumed` (the
rest of that one) or, where several processes do these, `alone` (a whole training by one process). The folder has the
experiment and the settings; `<trial>.json` is the digest of every variable after every call of the fused steps,
`<trial>.npz` the variables at the end. `once` and `cut` take one step in a call, so that they can be looked at after
any step; the others take as many as a user's training.

Where several processes are to train, this one is their parent; or each has been started in its place, by TF_CONFIG.
"""

import contextlib
import hashlib
import json
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasrun.engine.devices import Device
from kerasrun.engine.errors import explained
from kerasrun.engine.prepared import Prepared, prepare, start_device
from kerasrun.errors import Interrupted, KerasrunError, LostWorkerError, TooFewStepsError
from kerasrun.experiment.load import load
from kerasrun.pipeline.order import steps_in_epoch
from kerasrun.pipeline.selection import spread
from kerasrun.runs import atomic, checkpoints, directory
from kerasrun.training.train import build, leads
from kerasrun.training.verification import ALONE, ERROR, EXPERIMENT, METRICS, SETTINGS
from kerasrun.workers import channel
from kerasrun.workers.cluster import ONE_PROCESS, free_addresses, place_here
from kerasrun.workers.group import Group
from kerasrun.workers.timeouts import Timeouts
from kerasrun.workers.worker import gpu_of

if TYPE_CHECKING:
    from kerasrun.training.loop import TrainingLoop

_SECONDS_TO_REMOVE = 10.0


def main(folder: Path, trials: list[str]) -> None:
    """Train; a `KerasrunError` is written down for the process that waits."""
    try:
        settings = json.loads((folder / SETTINGS).read_bytes())
        is_alone = trials == [ALONE]
        if settings["workers"] > 1 and not is_alone and not channel.is_open():
            _train_together(folder, trials, settings["workers"], settings["devices"])
            return
        place, shards = ONE_PROCESS if is_alone else place_here(), settings["shards"]
        whole = prepare(load(folder / EXPERIMENT), trust=settings["trust"], place=place)
        prepared, steps = _shortened(whole, settings["steps"])
        threads, variables = settings["threads"], settings["variables"]
        device = start_device(prepared.experiment, threads, variables, place=place, shards=shards)
        for trial in trials:
            _train(folder, trial, prepared, device, steps, shards)
    except Interrupted as interruption:
        sys.exit(interruption.exit_code)
    except LostWorkerError as error:
        if channel.is_open():  # a parent tells who was lost
            channel.tell(missed=str(error))
        else:
            _write_down(folder, error)
        os._exit(error.exit_code)  # TensorFlow would wait for the others as it ends
    except KerasrunError as error:
        _write_down(folder, error)
        sys.exit(1)


def _write_down(folder: Path, error: KerasrunError) -> None:
    atomic.write_json(folder / ERROR, {"kind": type(error).__name__, "message": str(error)})


def _train_together(folder: Path, trials: list[str], workers: int, devices: list[int]) -> None:
    """Have several processes train, which write down what comes out.

    Raises:
        KerasrunError: if one is lost.
    """
    command = [sys.executable, "-P", "-m", "kerasrun.training.trial", str(folder), *trials]
    with Group(Timeouts(), asked=()) as group:
        group.start(command, free_addresses(workers), lambda rank, count: gpu_of(rank, devices))
        end = group.watch()
    if end.exit_code is None:
        raise KerasrunError(end.message)
    if end.exit_code:
        print(end.message)
        sys.exit(end.exit_code)


def _shortened(prepared: Prepared, steps: int) -> tuple[Prepared, int]:
    """Return the experiment with at least two epochs and about this many steps, and how many steps it has."""
    fit = prepared.experiment.fit
    examples = -(-steps // 2) * fit.batch_size
    train = spread(prepared.train, examples)
    steps_each = min(steps_in_epoch(len(train), fit.batch_size), fit.steps_per_epoch or steps)
    epochs = -(-steps // steps_each)
    stages = prepared.experiment.stages
    epochs = max(epochs, len(stages))  # each of them once
    if stages:
        each = [1] * (len(stages) - 1) + [epochs - len(stages) + 1]
        stages = tuple(stage.model_copy(update={"epochs": n}) for stage, n in zip(stages, each, strict=True))
    changed = {"epochs": epochs, "validation_freq": 1, "steps_per_epoch": fit.steps_per_epoch and steps_each}
    shortened = {"fit": fit.model_copy(update=changed), "stages": stages}
    experiment = prepared.experiment.model_copy(update=shortened)
    validation = spread(prepared.validation, examples) if prepared.validation else None
    return replace(prepared, experiment=experiment, train=train, validation=validation), epochs * steps_each


def _train(folder: Path, trial: str, prepared: Prepared, device: Device, steps: int, shards: int) -> None:
    """Do a trial, or where another process leads, its share of it.

    Raises:
        TooFewStepsError: if a callback ends training before so many steps, so that nothing would be cut or compared.
    """
    from kerasrun.engine import state
    from kerasrun.training.loop import TrainingLoop

    job = build(prepared, device, pretrained=trial != "resumed", shards=shards)
    if not leads(job):
        return
    if trial == "resumed":
        run = directory.open_run(folder / "cut" / directory.LATEST)
    else:
        run = directory.create(folder / trial, prepared.experiment.name)
    loop = TrainingLoop(run, job)
    records = _recorded(loop, each_step=trial in ("once", "cut"), cut=steps // 2 + 1 if trial == "cut" else None)
    with job.team.led():
        try:
            with explained(job), job.team.losses_explained():
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
    taken = loop.position.epoch * loop.steps + loop.position.step
    if trial == "once" and taken < steps:
        raise TooFewStepsError(
            f"{taken} steps are fewer than the {steps} that were to be compared: {loop.why_it_ended()}. Ask for fewer "
            "with --steps, or leave that callback out with -s callbacks=[]"
        )
    result = {
        "device": device.description,
        "deterministic": device.deterministic,
        "workers": job.team.workers,
        "shards": job.team.shards,
        "steps": taken,
        "records": records,
    }
    atomic.write_json(folder / f"{trial}.json", result)


def _recorded(loop: "TrainingLoop", *, each_step: bool, cut: int | None) -> list[tuple[str, dict[str, str]]]:
    """Have the loop record; returns what will hold the variables' digests before and after each of its calls."""
    from kerasrun.engine import state

    train = loop.computation.train
    records: list[tuple[str, dict[str, str]]] = []

    def record(step: int) -> None:
        when = f"after step {step}" if step else "before the first step"
        records.append((when, _digests(state.model_arrays(loop.model))))

    def recorded(batches: Any, steps: int) -> int | None:
        before = loop.position.epoch * loop.steps + loop.position.step
        # At the beginning of an epoch the metrics are already reset, which they were not after the step before.
        if not records and (loop.position.step or not before):
            record(before)
        bad = train(batches, steps)
        record(before + steps)
        if before + steps == cut:
            loop.stop.signal = signal.SIGINT
        return bad

    loop.computation.train = recorded  # type: ignore[method-assign]
    if each_step:
        loop.chunks.fixed = 1
    return records


def _digests(arrays: Any) -> dict[str, str]:
    return {name: hashlib.sha256(array.tobytes()).hexdigest() for name, array in arrays.items()}


@contextlib.contextmanager
def _ended_with_the_parent(folder: Path) -> Iterator[None]:
    """Stop when the process that waits is gone, whatever ended it: nobody would read what comes out, or remove it."""
    removing = threading.Event()

    def wait() -> None:
        os.read(sys.stdin.fileno(), 1)  # nothing is ever written there: it returns when the other end is closed
        removing.set()
        until = time.monotonic() + _SECONDS_TO_REMOVE
        while folder.exists() and time.monotonic() < until:  # training writes on, perhaps into what is being removed
            shutil.rmtree(folder, ignore_errors=True)
        os._exit(1)

    waiting = threading.Thread(target=wait, daemon=True)
    waiting.start()
    try:
        yield
    finally:
        if removing.is_set():
            waiting.join()  # what has just failed may have missed a file that is gone, and others are still there


if __name__ == "__main__":
    channel.begin()
    with contextlib.nullcontext() if channel.is_open() else _ended_with_the_parent(Path(sys.argv[1])):
        main(Path(sys.argv[1]), sys.argv[2:])
