"""`train` and `resume` as Python calls: from an experiment file, or a run directory, to a finished run.

Light to import: everything in the file is checked before TensorFlow is loaded.
"""

import contextlib
import logging
import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from kerasrun import plugins
from kerasrun.errors import CheckpointError
from kerasrun.experiment.image_data_generator import ImageDataGenerator
from kerasrun.experiment.load import Loaded, load
from kerasrun.experiment.resolved import resolved_yaml
from kerasrun.experiment.rules.base import Facts, check_with_data
from kerasrun.experiment.rules.class_ids import with_numbers
from kerasrun.experiment.schedules import in_steps
from kerasrun.experiment.schema import Experiment
from kerasrun.pipeline.order import steps_in_epoch
from kerasrun.pipeline.selection import first, is_in_memory, training_and_validation
from kerasrun.pipeline.suitable_images import require_suitable_images
from kerasrun.reading.data import Data, Split
from kerasrun.reading.memory import kept_within
from kerasrun.runs import atomic, checkpoints, directory, recovery
from kerasrun.runs.directory import RunDirectory
from kerasrun.runs.environment import environment
from kerasrun.training import branching, compatibility, devices, fingerprint
from kerasrun.training.branching import Branch, Origin
from kerasrun.training.changes import check_changes, check_epochs
from kerasrun.training.class_weight import class_weights
from kerasrun.training.devices import Device
from kerasrun.training.kept_models import best_model, last_is_whole
from kerasrun.training.ownership import owned
from kerasrun.training.stages import end_of_training
from kerasrun.training.time_limit import Paused, TimeLimit

if TYPE_CHECKING:
    from kerasrun.training.loop import TrainingLoop

logger = logging.getLogger("kerasrun")


@dataclass(frozen=True)
class Prepared:
    """An experiment with its data open and checked, before TensorFlow is loaded."""

    experiment: Experiment
    """As in the file, but with what the data decide: counts of steps for those of epochs, numbers of named classes."""
    data: Data
    train: Split
    validation: Split | None


def train(
    file: str | Path,
    *,
    overrides: Sequence[str] = (),
    output: str | Path = Path("runs"),
    branch: Branch | None = None,
    trust: bool = False,
) -> RunDirectory:
    """Train the experiment in `file` and return its new run.

    Args:
        overrides: `key.path=value`, as after `--set`.
        output: the folder in which the run directory is made.
        branch: the run whose weights the new one begins with.
        trust: run code that a model file brings; `run.json` says so.

    Raises:
        KerasrunError: for everything that the user can mend; the run, if there is one, keeps its last good state.
    """
    begun = time.monotonic()
    ready = _ready(file, overrides, branch, trust=trust)
    experiment, origin = ready.prepared.experiment, ready.origin
    description = _description(Path(file), overrides, ready.prepared, ready.device)
    run = directory.create(Path(output), experiment.name)
    with owned(run) as status:
        status.is_mine = True
        atomic.write_text(run.experiment_file, ready.text)
        for plugin in plugins.in_use():
            atomic.write_bytes(run.plugins / plugin.path.name, plugin.content)
        run.write_resolved(resolved_yaml(experiment))
        begun_with = {"from": origin.description()} if origin else {}
        run.update_run(**description, **begun_with, **({"trust": True} if trust else {}))
        begins = f", with the weights of {origin}" if origin else ""
        logger.info("%s on %s%s", run, ready.device.description, begins)
        loop = ready.loop_for(run, TimeLimit(experiment.time_limit, begun))
        run.update_run(jit_compile=loop.model.jit_compile)
        _to_its_end(run, loop, loop.start)
    return run


def resume(
    run: RunDirectory | str | Path,
    *,
    overrides: Sequence[str] = (),
    accept_changes: bool = False,
    trust: bool = False,
) -> RunDirectory:
    """Go on with a run from its newest readable checkpoint; a finished run is left as it is.

    Args:
        overrides: as for `train`, but only what leaves the finished steps true may change.
        accept_changes: go on although the data, the versions or the machine are not what they were when the run began,
            so that it will not end with the same bits; `run.json` says so.
        trust: run code that the run's network brings, as `train` was told to.

    Raises:
        KerasrunError: as `train`; above all if something has changed since, or no checkpoint can be read.
    """
    begun = time.monotonic()
    run = run if isinstance(run, RunDirectory) else directory.open_run(Path(run))
    with owned(run) as status:
        if not run.resolved_file.exists() and not checkpoints.any_saved(run):
            raise CheckpointError(
                f"{run} was killed before it began: it has no {run.resolved_file.name}; train it again"
            )
        checkpoint = checkpoints.newest(run)
        for note in (*checkpoint.notes, *recovery.restore(run, checkpoint)):
            logger.warning("%s", note)
        loaded = load(run.resolved_file, overrides)
        recorded = run.read_run()
        before = load(run.resolved_file).experiment if overrides else loaded.experiment
        check_changes(before, loaded.experiment)
        check_epochs(before, loaded.experiment, checkpoint.progress)
        best = best_model(run, loaded.experiment, checkpoint, devices=recorded["device"]["count"])
        whole = recorded["status"] == "finished" and best.is_whole and last_is_whole(run)
        if whole and _nothing_left(run, loaded.experiment, checkpoint.progress):
            return run
        prepared = prepare(loaded, trust=trust)
        device = start_device(prepared.experiment, recorded["device"]["threads"], recorded["variables"])
        now = _description(run.resolved_file, overrides, prepared, device)
        now[fingerprint.KEY] = fingerprint.to_compare(recorded, prepared.data, accept=accept_changes)
        if accept_changes and best.is_whole and compatibility.changes_bits(recorded, now):
            best = best_model(run, loaded.experiment, checkpoint, same_course=False)
        accepted = compatibility.check(run, recorded, now, accept=accept_changes, step=checkpoint.step, lost=best.lost)
        limit = TimeLimit(prepared.experiment.time_limit, begun)
        loop = loop_builder(prepared, device, pretrained=False)(run, limit)
        if overrides:
            run.write_resolved(resolved_yaml(prepared.experiment))
        status.is_mine = True
        if not best.is_whole:
            # Before the changes are noted as accepted: a file of an epoch to come is then always one of this course.
            atomic.remove_file(run.best_model)
        going_on = {"epochs": prepared.experiment.fit.epochs, fingerprint.FILES_KEY: prepared.data.files, **accepted}
        run.update_run(status="running", reason=None, **going_on)
        epoch, step = checkpoint.progress["epoch"], checkpoint.progress["step"]
        logger.info("resuming %s on %s at step %d of epoch %d", run, device.description, step, epoch + 1)
        _to_its_end(run, loop, lambda: loop.resume(best.begin_at(checkpoint), best.made_from))
    return run


def dry_run(
    file: str | Path,
    *,
    overrides: Sequence[str] = (),
    output: str | Path = Path("runs"),
    branch: Branch | None = None,
    trust: bool = False,
) -> None:
    """Everything up to one real batch forward and back, one save and one restore; then what was written is removed."""
    ready = _ready(file, overrides, branch, trust=trust)
    with atomic.temporary_folder(Path(output), ".dry-run-") as private:
        loop = ready.loop_for(directory.create(private, ready.prepared.experiment.name))
        with plugins.errors_explained():
            loop.try_one_batch()


def prepare(loaded: Loaded, *, trust: bool = False) -> Prepared:
    """Open the files that the experiment names and check what the text alone could not tell.

    Args:
        trust: whether code that a model file brings may be run.

    Raises:
        KerasrunError: if a file cannot be used, or something monitors a value that will not be logged.
    """
    experiment = loaded.experiment.model_copy(update={"model": loaded.experiment.model.settled(trust=trust)})
    with kept_within(experiment.cache.memory):
        data = experiment.data.open()
    for skipped in data.skipped:
        logger.warning("skipped %s: %s", skipped.path, skipped.reason)
    fit = experiment.fit
    train_split, validation = training_and_validation(data.splits, fit, experiment.seed)
    facts = Facts(
        data.label_kind,
        data.classes,
        columns=len(data.classes),
        example_shape=train_split.inputs.example_shape,
        validates=validation is not None,
        batches=steps_in_epoch(len(validation), fit.batch_size) if validation else None,
    )
    check_with_data(experiment, facts, loaded.document)
    if isinstance(experiment.augmentation, ImageDataGenerator):
        require_suitable_images(experiment.augmentation, train_split.inputs)
    if not is_in_memory(train_split.inputs):
        logger.info("the examples do not fit into cache.memory: they are read from their files in each epoch")
    if validation and fit.validation_steps:
        validation = first(validation, fit.validation_steps * fit.batch_size)
    steps = fit.steps_per_epoch or steps_in_epoch(len(train_split), fit.batch_size)
    experiment = _scheduled_in_steps(experiment, steps)
    experiment = experiment.model_copy(update={"compile": with_numbers(experiment.compile, data.classes)})
    # The run keeps the plugins: its description names those.
    kept = tuple(Path(plugins.FOLDER, path.name) for path in experiment.plugins)
    experiment = experiment.model_copy(update={"plugins": kept})
    return Prepared(experiment, data, train_split, validation)


def _scheduled_in_steps(experiment: Experiment, steps: int) -> Experiment:
    """The experiment with what counts epochs in a learning-rate schedule counting steps.

    Args:
        steps: those of an epoch.
    """
    optimizer, notes = in_steps(experiment.compile.optimizer, steps)
    said = [("compile", note) for note in notes]
    stages = []
    for number, stage in enumerate(experiment.stages):
        if stage.optimizer is not None:
            its_own, notes = in_steps(stage.optimizer, steps)
            said += [(f"stages.{number}", note) for note in notes]
            stage = stage.model_copy(update={"optimizer": its_own})
        stages.append(stage)
    for section, note in said:
        logger.info("%s.optimizer: %s", section, note)
    compiled = experiment.compile.model_copy(update={"optimizer": optimizer})
    return experiment.model_copy(update={"compile": compiled, "stages": tuple(stages)})


def start_device(
    experiment: Experiment,
    threads: Mapping[str, int] | None = None,
    variables: Mapping[str, str | None] | None = None,
) -> Device:
    """Start TensorFlow as the experiment asks for; `threads` and `variables` as for `devices.start`."""
    return devices.start(experiment.device, threads, experiment.deterministic, variables=variables)


class LoopFor(Protocol):
    """Makes the loop of a run, for a model that is built."""

    def __call__(self, run: RunDirectory, limit: TimeLimit | None = None) -> "TrainingLoop": ...


def loop_builder(
    prepared: Prepared, device: Device, *, pretrained: bool, origin: Origin | None = None, trust: bool = False
) -> LoopFor:
    """Build the model, which may fail, before a run directory is made for it.

    Args:
        pretrained: whether to load the weights that a network comes with; a resume needs none.
        origin: the weights to begin with instead.
        trust: whether code that the origin's model brings may be run.

    Raises:
        KerasrunError: if the experiment has no model for these data on this device, or the weights do not fit it.
    """
    from kerasrun.training.building import build_model
    from kerasrun.training.loop import TrainingLoop
    from kerasrun.training.loop_parts import loop_parts

    strategy = devices.strategy(device, len(prepared.train), prepared.experiment.fit.batch_size)
    with (
        contextlib.redirect_stdout(sys.stderr),  # Keras tells there of downloads
        plugins.errors_explained(),
        prepared.data.every_bad_file_told(),
    ):
        plugins.load()
        # Read before the model is built, which resets the names and the random numbers that loading uses.
        weights = branching.read(origin, trust=trust) if origin else None
        pretrained = pretrained and origin is None
        built = build_model(
            prepared.experiment, prepared.data, prepared.train, pretrained=pretrained, strategy=strategy
        )
        if origin and weights:
            branching.put(weights, built.model, origin)
            branching.note_other_classes(prepared.data.classes, origin)
        parts = loop_parts(prepared.experiment, built, validates=prepared.validation is not None)

    def loop_for(run: RunDirectory, limit: TimeLimit | None = None) -> "TrainingLoop":
        parties = (prepared.data, built, prepared.train, prepared.validation)
        return TrainingLoop(run, prepared.experiment, *parties, parts, strategy, limit)

    return loop_for


@dataclass(frozen=True)
class _Ready:
    """Everything that a new run needs before it has a directory."""

    text: str
    """Of the experiment file."""
    prepared: Prepared
    origin: Origin | None
    device: Device
    loop_for: LoopFor


def _ready(file: str | Path, overrides: Sequence[str], branch: Branch | None, *, trust: bool) -> _Ready:
    loaded = load(file, overrides)
    origin = branching.find(branch) if branch else None
    prepared = prepare(loaded, trust=trust)
    if origin is None:
        prepared.experiment.model.check_weights()
    device = start_device(prepared.experiment)
    loop_for = loop_builder(prepared, device, pretrained=True, origin=origin, trust=trust)
    return _Ready(loaded.text, prepared, origin, device, loop_for)


def _description(file: Path, overrides: Sequence[str], prepared: Prepared, device: Device) -> dict[str, Any]:
    """What `run.json` says beside its status."""
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


def _to_its_end(run: RunDirectory, loop: "TrainingLoop", begin: Callable[[], None]) -> None:
    """Train until the experiment or its time is at an end."""
    try:
        with plugins.errors_explained():
            begin()
    except Paused as pause:
        run.update_run(status="paused", reason=str(pause))
        logger.info("%s", pause)
    else:
        _finished(run, loop)


def _finished(run: RunDirectory, loop: "TrainingLoop") -> None:
    reason, best = loop.why_it_ended(), loop.best.state()
    run.update_run(status="finished", reason=reason, best=best)
    if best["epoch"] is None:
        last = run.last_model.name
        logger.warning("%s; no epoch had a %s, so there is no best model, only %s", reason, best["monitor"], last)
        return
    if not math.isfinite(best["value"]):
        logger.warning("%s was never finite, so the best model is that of epoch %d", best["monitor"], best["epoch"])
    logger.info("%s; best epoch %d by %s %.4g", reason, best["epoch"], best["monitor"], best["value"])
    logger.info("model: %s/%s", run, run.best_model.name)


def _nothing_left(run: RunDirectory, experiment: Experiment, progress: Any) -> bool:
    if progress["stopped_by"] is not None:
        epoch, callback = progress["epoch"], progress["stopped_by"]
        logger.info("%s is finished: %s stopped it after epoch %d; nothing to resume", run, callback, epoch)
        return True
    if progress["epoch"] >= end_of_training(experiment, progress["stage_ends"]):
        more, key = 2 * progress["epoch"], "fit.epochs"
        if experiment.stages:
            more, key = 2 * experiment.stages[-1].epochs, f"stages.{len(experiment.stages) - 1}.epochs"
        logger.info(
            "%s is finished: all %d epochs are done. To go on: kerasrun resume %s -s %s=%d",
            *(run, progress["epoch"], run, key, more),
        )
        return True
    return False
