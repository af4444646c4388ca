"""The training loop: like `Model.fit`, but it can begin at any step and fuses many steps into one call.

`fit` begins epochs at their start, its callbacks reset themselves when training begins, and it fetches the logs of
every step; so the loop is our own, over Keras's public parts: `train_step`, `compute_loss`, `CallbackList`.
"""

import contextlib
import logging
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasrun.errors import CheckpointError, Interrupted, NotFiniteError, OutOfMemoryError, RunDirectoryError
from kerasrun.experiment.logs import log_names
from kerasrun.experiment.schema import Experiment
from kerasrun.keras_objects import build
from kerasrun.pipeline.augmentation import Augmentation, augmentation_of
from kerasrun.pipeline.batches import read_errors_as_they_were, training_batches
from kerasrun.pipeline.determinism import missing_kernels_explained
from kerasrun.pipeline.order import examples_before, steps_in_epoch
from kerasrun.runs import checkpoints
from kerasrun.runs.checkpoints import Checkpoint
from kerasrun.runs.directory import RunDirectory
from kerasrun.sources._contract import Data, Inputs, Split
from kerasrun.sources._memory import kept_within
from kerasrun.training import signals, stages, state
from kerasrun.training.best import Best, best_for
from kerasrun.training.building import BuiltModel, begin_stage
from kerasrun.training.callbacks import (
    CallbackState,
    build_callbacks,
    check_average,
    closed_if_interrupted,
    is_from_plugin,
    make_folders,
    needs_every_step,
    prepare_for_resume,
    watched,
)
from kerasrun.training.chunks import TARGET_SECONDS, ChunkSize
from kerasrun.training.class_weight import sample_weight
from kerasrun.training.evaluator import Evaluator
from kerasrun.training.frozen import FrozenPart, OnFeatures, features, frozen_part, part_to_keep
from kerasrun.training.labels import training_labels
from kerasrun.training.progress import TrainingProgress
from kerasrun.training.signals import StopRequest
from kerasrun.training.steps import FusedSteps
from kerasrun.training.time_limit import Paused, TimeLimit
from kerasrun.training.writer import RunWriter

logger = logging.getLogger("kerasrun")

Logs = dict[str, float]


@dataclass
class Position:
    """Where training stands: `step` counts the steps taken in `epoch`, which counts from zero."""

    epoch: int = 0
    step: int = 0


@dataclass(frozen=True)
class LoopParts:
    """What can be wrong with an experiment although its model was built; made before there is a run."""

    augmentation: Augmentation | None
    best: Best


def loop_parts(experiment: Experiment, built: BuiltModel, validates: bool) -> LoopParts:
    """
    Raises:
        KerasrunError: if the augmentation, a callback or what decides the best model cannot serve.
    """
    callbacks = build_callbacks(experiment.callbacks, Path.cwd())
    for optimizer in (built.model.optimizer, *_later_optimizers(experiment)):
        check_average(callbacks, optimizer)
    monitor = experiment.checkpoint.monitor or ("val_loss" if validates else "loss")
    masks = built.targets.kind == "masks"
    return LoopParts(
        augmentation=augmentation_of(experiment, tuple(built.model.input.shape[1:]), masks=masks),
        best=best_for(built.model, monitor, experiment.checkpoint.mode),
    )


def _later_optimizers(experiment: Experiment) -> list[Any]:
    """Those that stages begin with, which Keras must take and callbacks too; not the first one, which is built."""
    return [build("optimizers", stage.optimizer) for stage in experiment.stages[1:] if stage.optimizer is not None]


class TrainingLoop:
    """One run from its position to its end. Everything that changes while it trains is here or in the model."""

    def __init__(
        self,
        run: RunDirectory,
        experiment: Experiment,
        data: Data,
        built: BuiltModel,
        train: Split,
        val: Split | None,
        parts: "LoopParts",
        strategy: Any = None,
        limit: TimeLimit | None = None,
    ) -> None:
        self.run = run
        self.experiment = experiment
        self.model = built.model
        self.strategy = strategy
        self.train = train
        self.built = built
        self.validation = val
        self.labels = training_labels(built.targets, train)
        self.sample_weight = sample_weight(experiment.fit.class_weight, train, data.classes)
        batch_size = experiment.fit.batch_size
        self.steps = experiment.fit.steps_per_epoch or steps_in_epoch(len(train), batch_size)
        self.columns = log_names(experiment, validates=val is not None)
        self.augmentation = parts.augmentation
        self.callbacks = build_callbacks(experiment.callbacks, run.root)
        self.callback_state = CallbackState(self.callbacks)
        self.writer = RunWriter(run, experiment, data, built, self.callbacks)
        every_step = any(needs_every_step(callback) for callback in self.callbacks)
        self.chunks = ChunkSize(fixed=1 if every_step else None)
        self.fused_steps = FusedSteps
        self.frozen: FrozenPart | None = None
        """What is computed once in this stage."""
        self._run_on_examples()
        self.best = parts.best
        self.position = Position()
        self.progress = TrainingProgress(
            experiment.fit.epochs, self.steps, batch_size, len(train), experiment.fit.verbose
        )
        self.stop = StopRequest()
        self.limit = limit or TimeLimit()
        self.saved_at = time.monotonic()
        self.epoch_seconds = 0.0
        self.ending_seconds: float | None = None
        """What came after the steps of the last epoch that validated, if any is to: validation, the best model, the
        callbacks."""
        self.stage = 0
        """Into which stage the model was brought."""
        self.stage_ends: list[int] = []
        """After how many epochs, all in all, each stage ended that is over."""
        self.stopped_by: str | None = None
        """The callback that ended training early."""
        # While validation goes on: the sums behind the training metrics, whose variables it uses, and what callbacks
        # kept before they were told of it.
        self.training_metrics: list[np.ndarray] | None = None
        self.callback_values: list[dict[str, Any]] | None = None

    def start(self) -> None:
        """Train from the first step to the end. A first checkpoint is saved before it."""
        with self._announced():
            self.listeners.on_train_begin()
            self.frozen = self._part_to_keep()
            self._save()
            self.writer.finish()  # no step is taken that a resume could not follow
            self._train()

    def resume(self, checkpoint: Checkpoint, best_from: Checkpoint | None = None) -> None:
        """Go on from a checkpoint to the end; what was written after it is taken back.

        Args:
            best_from: the checkpoint from which a lost `best.keras` is made again.
        """
        progress = checkpoint.progress
        begun = bool(progress["epoch"] or progress["step"])
        without_graph = prepare_for_resume(self.callbacks, graph_written=begun)
        for note in self.writer.take_back(progress):
            logger.warning("%s", note)
        if best_from:
            self._rebuild_best(best_from)
        self.stage_ends = list(progress["stage_ends"])
        self._bring_into_stage(len(self.stage_ends))
        with self._announced():
            for callback in without_graph:
                callback._should_write_train_graph = True
            self.listeners.on_train_begin()
            self.position = Position(progress["epoch"], progress["step"])
            if self.position.step:
                self.listeners.on_epoch_begin(self.position.epoch)
            arrays = state.from_hdf5(checkpoint.state_file)
            state.restore_model(self.model, arrays)
            self.callback_state.restore(progress["callbacks"], arrays)
            self.best.restore(progress["best"])
            self.epoch_seconds = progress["epoch_seconds"]
            self.stopped_by = progress["stopped_by"]
            self.model.stop_training = progress["stop_training"]
            # Not chosen again: with features the last bits are others, and another process may have less memory.
            self.frozen = frozen_part(self.model) if progress.get("features") and not self.strategy else None
            self._train()

    def try_one_batch(self) -> None:
        """Train on one batch, save, restore, and look whether every variable came back."""
        with self._announced():
            self.listeners.on_train_begin()
            begin = time.perf_counter()
            self._chunk(iter(self._distributed(self._batches())))
            seconds = time.perf_counter() - begin
            self._save()
        if self.stop.signal is not None:
            raise signals.Stopped(self.stop.signal)
        before = state.model_arrays(self.model)
        saved = checkpoints.newest(self.run)
        state.restore_model(self.model, {name: np.zeros_like(array) for name, array in before.items()})
        state.restore_model(self.model, state.from_hdf5(saved.state_file))
        after = state.model_arrays(self.model)
        if any(not np.array_equal(before[name], after[name], equal_nan=True) for name in before):
            raise CheckpointError(f"{saved.state_file}: what was read back is not what was saved")
        logger.info(
            "one batch of %d trained in %.1f s (tracing included), %s parameters, %.1f MB saved and restored",
            *(min(self.experiment.fit.batch_size, len(self.train)), seconds, f"{self.model.count_params():,}"),
            saved.state_file.stat().st_size / 1e6,
        )

    @contextlib.contextmanager
    def _announced(self) -> Any:
        """Callbacks in place, signals caught, progress shown, stdout kept for results."""
        make_folders(self.callbacks)
        self._gather_listeners()
        with self.stop, self.progress.shown(), contextlib.redirect_stdout(sys.stderr), self.writer:
            try:
                with closed_if_interrupted(self.callbacks):
                    yield
            except tf.errors.OpError as error:
                if "events file" not in str(error):
                    raise
                raise RunDirectoryError(
                    f"TensorBoard's files in {self.run} cannot be written; the last good state is kept. Free "
                    f"some space, then kerasrun resume {self.run}"
                ) from error

    def _gather_listeners(self) -> None:
        self.model.stop_training = False
        self.model.train_function = self.fused.function
        self.listeners = keras.callbacks.CallbackList(
            self.callbacks, model=self.model, epochs=self.experiment.fit.epochs, steps=self.steps
        )

    def _run_on_examples(self) -> None:
        """Training and validation run on the whole network."""
        self.inputs: Inputs = self.train.inputs
        self.batches: Iterator[Any] | None = None
        self.fused = self.fused_steps(self.model, self.strategy)
        self.evaluator = self._evaluator()

    def _evaluator(self, **on_features: Any) -> Evaluator | None:
        if self.validation is None:
            return None
        batch_size = self.experiment.fit.batch_size
        return Evaluator(self.model, self.validation, self.built.targets, batch_size, **on_features)

    def _part_to_keep(self) -> FrozenPart | None:
        """The layers that can be computed once in the stage that begins."""
        changes = self.augmentation is not None or any(map(is_from_plugin, self.callbacks))
        if changes or self.strategy or not self.experiment.cache.features:
            return None
        with kept_within(self.experiment.cache.memory):
            return part_to_keep(self.model, len(self.train) + (len(self.validation) if self.validation else 0))

    def _run_on_features(self, part: FrozenPart) -> bool:
        """Compute the frozen layers once, and have training and validation run on the rest; False if it is to stop."""
        splits = [self.train, *([self.validation] if self.validation else [])]
        examples = sum(map(len, splits))
        logger.info(
            "the layers up to %s are frozen: computing them once for %d examples, %.1f MB (-s cache.features=false "
            "computes them in each epoch)",
            *(part.last, examples, examples * part.example_bytes / 1e6),
        )
        kept = []
        for split in splits:
            if (computed := features(part, split.inputs, self.experiment.fit.batch_size, self._gives_up)) is None:
                return False
            kept.append(computed)
        self.inputs = kept[0]
        self.fused = self.fused_steps(OnFeatures(self.model, part))
        self.model.train_function = self.fused.function
        self.evaluator = self._evaluator(network=part.rest, inputs=kept[-1])
        return True

    def _bring_into_stage(self, stage: int) -> None:
        """Through those before it, which say what learns; then everything is made anew that was traced with the old
        optimizer and metrics."""
        if stage == self.stage:
            return
        for number in range(self.stage + 1, stage + 1):
            begin_stage(self.built, self.experiment, number, self.strategy)
        self.stage = stage
        self._run_on_examples()

    def _begin_next_stage(self, logs: Logs) -> None:
        """End a stage as `fit` ends, and begin the next as another `fit` begins."""
        self.model.optimizer.finalize_variable_values(self.model.trainable_weights)
        self.listeners.on_train_end(logs)
        self.stage_ends.append(self.position.epoch)
        logger.info("%s", stages.description(self.experiment, len(self.stage_ends)))
        self._bring_into_stage(len(self.stage_ends))
        self.frozen = self._part_to_keep()
        prepare_for_resume(self.callbacks, graph_written=True)
        self._gather_listeners()
        self.listeners.on_train_begin()

    def _train(self) -> None:
        logs: Logs = {}
        last = stages.end_of_training(self.experiment, self.stage_ends)
        if self.experiment.stages and self.position == Position():
            logger.info("%s", stages.description(self.experiment, 0))
        # An epoch that a callback has cut short still ends as every epoch does.
        while self.position.epoch < last and (self.position.step or not self.model.stop_training):
            if self.batches is None:
                self.batches = self._begin_batches()
            logs = self._epoch(self.batches)
            last = stages.end_of_training(self.experiment, self.stage_ends)
        self._finish(logs)

    def _begin_batches(self) -> Iterator[Any]:
        if self.frozen is not None and not self._run_on_features(self.frozen):
            self._save()
            raise self._interrupted() if self.stop else self._paused()
        return iter(self._distributed(self._batches()))

    def _batches(self) -> tf.data.Dataset:
        return training_batches(
            self.inputs,
            self.labels,
            batch_size=self.experiment.fit.batch_size,
            seed=self.experiment.seed,
            first_step=self._global_step(),
            epochs=self.experiment.fit.epochs,
            steps_per_epoch=self.steps,
            augmentation=self.augmentation,
            sample_weight=self.sample_weight,
        )

    def _distributed(self, batches: tf.data.Dataset) -> Any:
        """Several devices share each batch; its size is the global one."""
        return self.strategy.experimental_distribute_dataset(batches) if self.strategy else batches

    def _epoch(self, iterator: Any) -> Logs:
        epoch = self.position.epoch
        begin = time.perf_counter()
        if self.position.step == 0:
            self.epoch_seconds = 0.0
            self.model.reset_metrics()
            self.listeners.on_epoch_begin(epoch)
        self.progress.begin_epoch(epoch, self.position.step)
        # As in `fit`, a callback may cut an epoch short, but for its first step.
        while self.position.step < self.steps and not (self.position.step and self.model.stop_training):
            self._chunk(iterator)
            pause = not self._has_time_to_go_on()
            if self.stop or pause or self._checkpoint_is_due():
                self.epoch_seconds += time.perf_counter() - begin
                begin = time.perf_counter()
                self._save()
                self._raise_if_stopped(pause)
        ending = time.perf_counter()
        logs = _floats(self.model.get_metrics_result())
        validates = self.evaluator is not None and self.experiment.fit.validates_after(epoch + 1)
        is_best = self._validate(epoch, logs) if validates else self._keep_if_best(epoch, logs)
        self._announce_end(epoch, logs)
        if validates or self.evaluator is None:
            self.ending_seconds = time.perf_counter() - ending
        self.epoch_seconds += time.perf_counter() - begin
        self._end_epoch(epoch, logs, is_best)
        return logs

    def _chunk(self, iterator: Any) -> None:
        count = 1 if self.model.stop_training else self.chunks.next(self.steps - self.position.step)
        if self.chunks.fixed:
            self.listeners.on_train_batch_begin(self.position.step)
        with self.chunks.measured(count), _explained(self.experiment.fit.batch_size):
            bad = self.fused(iterator, count)
        self.writer.check()
        if bad is not None:
            raise NotFiniteError(
                f"the loss is not finite at step {self.position.step + bad + 1} of epoch {self.position.epoch + 1}, at "
                f"a learning rate of {self._learning_rate():.4g}; the checkpoints before it are kept. Try a smaller "
                "learning rate, clipnorm: 1.0 in the optimizer, and look at the data for extreme values"
            )
        self.position.step += count
        self.limit.progressed()
        if self.chunks.fixed:
            self.listeners.on_train_batch_end(self.position.step - 1, _floats(self.model.get_metrics_result()))
        else:
            self._write_graph()
        logs = _floats(self.model.get_metrics_result()) if self.progress.wants_logs() else {}
        self.progress.steps_done(self.position.epoch, self.position.step, self.chunks, logs)

    def _write_graph(self) -> None:
        """TensorBoard writes the graph at the end of the first batch; it is the only batch hook it needs."""
        for callback in self.callbacks:
            if isinstance(callback, keras.callbacks.TensorBoard) and callback._should_write_train_graph:
                callback.on_train_batch_end(0)

    def _keep_if_best(self, epoch: int, logs: Logs) -> bool:
        logs["learning_rate"] = self._learning_rate()
        # An epoch that does not validate has no value to compare.
        is_best = self.best.monitor in logs and self.best.improves(epoch, logs[self.best.monitor])
        if is_best:
            self.writer.save_model(self.run.best_model, epoch + 1, logs)
        return is_best

    def _announce_end(self, epoch: int, logs: Logs) -> None:
        """Tell the callbacks; those that watch a value of a validation are told of epochs that have one."""
        told = dict(logs)  # which callbacks may add to
        for callback in self.callbacks:
            if watched(callback).isdisjoint(set(self.columns) - logs.keys()):
                callback.on_epoch_end(epoch, told)

    def _rebuild_best(self, checkpoint: Checkpoint) -> None:
        self._bring_into_stage(len(checkpoint.progress["stage_ends"]))
        state.restore_model(self.model, state.from_hdf5(checkpoint.state_file))
        epoch = checkpoint.progress["epoch"]
        with self.writer:
            self.writer.save_model(self.run.best_model, epoch, self.writer.logs_of(epoch))

    def _validate(self, epoch: int, logs: Logs) -> bool:
        """Add the validation's values to the logs, and keep the model if it is the best so far."""
        assert self.evaluator is not None
        self.progress.validating(epoch)
        self.training_metrics = [variable.value.numpy() for variable in self.model.metrics_variables]
        self.callback_values = self.callback_state.values()
        self.listeners.on_test_begin()
        with _explained(self.experiment.fit.batch_size):
            metrics = self.evaluator.evaluate(self._gives_up_validation)
        if metrics is None:
            self._save_as_before_validation()
            raise self._interrupted() if self.stop else self._paused()
        logs |= {f"val_{name}": value for name, value in metrics.items()}
        # Before `on_test_end`, where SwapEMAWeights takes the averages out again: best.keras is what was measured.
        is_best = self._keep_if_best(epoch, logs)
        self.listeners.on_test_end(metrics)
        self.training_metrics = self.callback_values = None
        return is_best

    def _gives_up(self) -> bool:
        return bool(self.stop) or not self._has_time_for(TARGET_SECONDS, saves=1)

    def _gives_up_validation(self) -> bool:
        assert self.evaluator is not None
        # What is given up is the whole of it; what follows it writes the best model, and a checkpoint.
        time_is_left = self._has_time_for_chunk(self.evaluator.predictor.chunks, len(self.evaluator.split), saves=2)
        return bool(self.stop) or not time_is_left

    def _save_as_before_validation(self) -> None:
        """Save the state as it was before validation, which a resume does again from its beginning."""
        for callback in self.callbacks:
            if isinstance(callback, keras.callbacks.SwapEMAWeights):
                callback.on_test_end()
        for variable, value in zip(self.model.metrics_variables, self.training_metrics or [], strict=True):
            variable.assign(value)
        self._save()

    def _end_epoch(self, epoch: int, logs: Logs, is_best: bool) -> None:
        row = {**dict.fromkeys(self.columns), **logs}
        self.writer.append_epoch(epoch + 1, row, self.epoch_seconds, self._examples_seen())
        self.progress.end_epoch(epoch, logs, self.epoch_seconds, is_best)
        self.position = Position(epoch + 1, 0)
        over = self.model.stop_training or epoch + 1 == stages.end_of_stage(self.experiment, self.stage_ends)
        last = over and stages.is_last(self.experiment, self.stage_ends)
        if over and not last:
            if self.model.stop_training:
                logger.info("%s ended the stage after epoch %d", self._who_stopped(epoch), epoch + 1)
            self._begin_next_stage(logs)
        elif self.model.stop_training:
            self.stopped_by = self._who_stopped(epoch)
        self.limit.progressed()
        pause = not last and not self._has_time_to_go_on()
        if over or self.stop or pause or (epoch + 1) % self.experiment.checkpoint.epochs == 0:
            self._save()
        if not last:
            self._raise_if_stopped(pause)

    def _who_stopped(self, epoch: int) -> str:
        for callback in self.callbacks:
            if isinstance(callback, keras.callbacks.EarlyStopping) and callback.stopped_epoch == epoch > 0:
                return f"EarlyStopping on {callback.monitor}"
        return "a callback"

    def why_it_ended(self) -> str:
        """One sentence for a run that is finished."""
        epochs = stages.end_of_training(self.experiment, self.stage_ends)
        if self.stopped_by is None:
            return f"all {self.position.epoch} epochs done"
        return f"stopped early by {self.stopped_by} after epoch {self.position.epoch} of {epochs}"

    def _finish(self, logs: Logs) -> None:
        """What `fit` does after its last epoch, then `last.keras`."""
        self.model.optimizer.finalize_variable_values(self.model.trainable_weights)
        self.listeners.on_train_end(logs)
        self.writer.save_model(self.run.last_model, self.position.epoch, self.writer.logs_of(self.position.epoch))

    def _save(self) -> None:
        self.writer.wait_for_checkpoint()
        progress = {
            "epoch": self.position.epoch,
            "step": self.position.step,
            "stage_ends": list(self.stage_ends),
            "stopped_by": self.stopped_by,
            "stop_training": bool(self.model.stop_training),
            "epoch_seconds": self.epoch_seconds,
            "features": self.frozen is not None,
            "best": self.best.state(),
            "callbacks": self.callback_values or self.callback_state.values(),
        }
        arrays = state.model_arrays(self.model) | self.callback_state.arrays()
        self.writer.save_checkpoint(self._global_step(), arrays, progress)
        self.saved_at = time.monotonic()

    def _checkpoint_is_due(self) -> bool:
        # One that is still being written when the next is due goes before it: training does not wait.
        is_late = time.monotonic() - self.saved_at >= self.experiment.checkpoint.seconds
        return is_late and not self.writer.is_saving()

    def _has_time_to_go_on(self) -> bool:
        """Whether the time limit leaves time for what comes next, and for saving the state after it."""
        if self.position.step < self.steps:
            return self._has_time_for_chunk(self.chunks, self.steps - self.position.step)
        # The epoch may be the last one, which ends with one model more.
        return self._has_time_for(self.ending_seconds, saves=2)

    def _has_time_for_chunk(self, chunks: ChunkSize, remaining: int, saves: int = 1) -> bool:
        return self._has_time_for(chunks.expected_seconds(remaining), saves)

    def _has_time_for(self, seconds: float | None, saves: int) -> bool:
        if not self.limit.binds():
            return True
        # What has not been timed yet traces first, as training's first chunk did.
        work = self.chunks.first_seconds if seconds is None else seconds
        return self.limit.leaves(work + saves * self.writer.seconds_to_save())

    def _raise_if_stopped(self, pause: bool) -> None:
        if self.stop:
            raise self._interrupted()
        if pause:
            raise self._paused()

    def _paused(self) -> Paused:
        self.writer.finish()
        return Paused(
            f"paused after {self._place()}: the time limit of {self.limit} is near; everything is saved. "
            f"Go on with: kerasrun resume {self.run}"
        )

    def _interrupted(self) -> Interrupted:
        assert self.stop.signal is not None
        self.writer.finish()
        return Interrupted(
            f"stopped by {signals.name(self.stop.signal)} after {self._place()}; everything is saved. "
            f"Go on with: kerasrun resume {self.run}",
            signals.exit_code(self.stop.signal),
        )

    def _place(self) -> str:
        step, epoch = self.position.step, self.position.epoch + 1
        return f"step {step} of {self.steps} in epoch {epoch} of {self.experiment.fit.epochs}"

    def _examples_seen(self) -> int:
        """In this epoch."""
        size = (len(self.train), self.experiment.fit.batch_size)
        return examples_before(self._global_step(), *size) - examples_before(self.position.epoch * self.steps, *size)

    def _global_step(self) -> int:
        return self.position.epoch * self.steps + self.position.step

    def _learning_rate(self) -> float:
        return float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))


def _floats(logs: Any) -> Logs:
    return {name: float(value) for name, value in logs.items()}


@contextlib.contextmanager
def _explained(batch_size: int) -> Any:
    """Turn what TensorFlow lacks (memory, a kernel) into advice, and a file that went bad into its own error."""
    try:
        with read_errors_as_they_were(), missing_kernels_explained():
            yield
    except tf.errors.ResourceExhaustedError as error:
        raise OutOfMemoryError(
            f"the device has no memory left for a batch of {batch_size}: try "
            f"-s fit.batch_size={max(1, batch_size // 2)}, "
            "a smaller image_size, or on a GPU precision: mixed_float16; the last checkpoint is kept"
        ) from error
