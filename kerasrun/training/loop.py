"""The training loop: like `Model.fit`, but it can begin at any step and fuses many steps into one call.

`fit` begins epochs at their start, its callbacks reset themselves when training begins, and it fetches the logs of
every step; so the loop is our own, over Keras's public parts: `train_step`, `compute_loss`, `CallbackList`.
"""

import contextlib
import logging
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kerasrun.callbacks import CallbackState, build_callbacks, closed_if_interrupted
from kerasrun.engine import stages, state
from kerasrun.engine.chunks import TARGET_SECONDS, ChunkSize
from kerasrun.engine.errors import not_finite
from kerasrun.engine.job import Job
from kerasrun.errors import CheckpointError, Interrupted
from kerasrun.experiment.logs import log_names
from kerasrun.keras_objects import build
from kerasrun.pipeline.order import examples_before
from kerasrun.runs import atomic, checkpoints
from kerasrun.runs.checkpoints import Checkpoint
from kerasrun.runs.directory import RunDirectory
from kerasrun.runs.records import LoopState
from kerasrun.training.best import best_for
from kerasrun.training.computation import Batches, Computation
from kerasrun.training.progress import TrainingProgress
from kerasrun.training.resuming.fingerprint import FingerprintCheck
from kerasrun.training.stopping import signals
from kerasrun.training.stopping.pruned import Pruned
from kerasrun.training.stopping.signals import StopRequest
from kerasrun.training.stopping.time_limit import Paused, TimeLimit
from kerasrun.training.writer import RunWriter
from kerasrun.workers import channel
from kerasrun.workers.child_processes import exit_code

logger = logging.getLogger("kerasrun")

Logs = dict[str, float]
Watch = Callable[[int, Mapping[str, float]], str | None]
"""Is given an epoch, counted from one, and its logs; returns why the run is to end there, if it is."""


@dataclass
class Position:
    """The place of training: `step` counts the steps taken in `epoch`, which counts from zero."""

    epoch: int = 0
    step: int = 0


def check_parts(job: Job) -> None:
    """Make once what the loop makes beside the model, to know before there is a run whether it can be.

    Raises:
        KerasrunError: if a callback, an optimizer or what decides the best model cannot serve.
    """
    callbacks = build_callbacks(job.experiment.callbacks, Path.cwd())
    later = [build("optimizers", stage.optimizer) for stage in job.experiment.stages[1:] if stage.optimizer is not None]
    for optimizer in (job.model.optimizer, *later):
        for callback in callbacks:
            callback.check_optimizer(optimizer)
    best_for(job.model, job.monitor, job.experiment.checkpoint.mode)


class TrainingLoop:
    """Trains a run from its position to its end. Everything that changes meanwhile is here or in the model."""

    def __init__(self, run: RunDirectory, job: Job, limit: TimeLimit | None = None, watch: Watch | None = None) -> None:
        self.run = run
        self.watch = watch
        self.job = job
        self.experiment = experiment = job.experiment
        self.model = job.model
        self.train = job.train
        self.steps = job.steps
        self.columns = log_names(experiment, validates=job.validation is not None)
        self.computation = Computation(job)
        self.batches: Batches | None = None
        self.callbacks = build_callbacks(experiment.callbacks, run.root)
        self.callback_state = CallbackState(self.callbacks)
        self.writer = RunWriter(run, job, self.callbacks)
        self.fingerprint = FingerprintCheck(run, job, self.writer)
        self.has_stepped = False
        """True once this process has trained, so that what it saves relies on what it read."""
        every_step = any(callback.needs_every_step() for callback in self.callbacks)
        self.chunks = ChunkSize(fixed=1 if every_step else None)
        self.best = best_for(job.model, job.monitor, experiment.checkpoint.mode)
        self.position = Position()
        self.progress = TrainingProgress(experiment.fit, job.steps, self.columns, self.chunks)
        self.stop = StopRequest()
        self.limit = limit or TimeLimit()
        self.ending_seconds: float | None = None
        """The time after the steps of the last epoch that validated, if any is to: validation, the best model, the
        callbacks."""
        self.saved_at = time.monotonic()
        self.epoch_seconds = 0.0
        self.stage = 0
        """The stage that the model is in."""
        self.stage_ends: list[int] = []
        """The number of epochs, in total, after which each finished stage ended."""
        self.stopped_by: str | None = None
        """The callback that ended training early."""

    def start(self) -> None:
        """Train from the first step to the end. A first checkpoint is saved before it."""
        with self._announced():
            self.listeners.on_train_begin()
            self.computation.measure_budget()
            self.computation.choose_frozen_part(self.callbacks)
            self._save()
            self.writer.finish()  # no step is taken that a resume could not follow
            self._train()

    def resume(self, checkpoint: Checkpoint, best_from: Checkpoint | None = None) -> None:
        """Go on from a checkpoint to the end; what was written after it is taken back.

        Args:
            best_from: the checkpoint from which a lost `best.keras` is made again.
        """
        progress = checkpoint.progress
        here = progress["epoch"] * self.steps + progress["step"]
        if progress["step"] > self.steps or here != checkpoint.step or self._has_other_stages(progress["stage_ends"]):
            raise CheckpointError(
                f"{checkpoint.state_file.parent} is of step {checkpoint.step}, but says that it is of step "
                f"{progress['step']} in epoch {progress['epoch'] + 1}, after {len(progress['stage_ends'])} stages"
            )
        begun = bool(progress["epoch"] or progress["step"])
        for callback in self.callbacks:
            callback.keep_files(begun=begun)
        for note in self.writer.take_back(progress):
            logger.warning("%s", note)
        if best_from:
            self._rebuild_best(best_from)
        self.stage_ends = list(progress["stage_ends"])
        self._bring_into_stage(len(self.stage_ends))
        with self._announced():
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
            self.computation.restore_frozen_state(progress["features"])
            self._train()

    def _has_other_stages(self, ends: list[int]) -> bool:
        """Return whether stages cannot have ended after these epochs."""
        return len(ends) > max(0, len(self.experiment.stages) - 1) or sorted(ends) != ends

    def try_one_batch(self) -> None:
        """Train on one batch, end the epoch, save, restore, and look whether every variable came back."""
        with self._announced():
            self.listeners.on_train_begin()
            self.listeners.on_epoch_begin(0)
            begin = time.perf_counter()
            self._chunk(self.computation.batches(0))
            self.epoch_seconds = time.perf_counter() - begin
            self.fingerprint.require()
            logs, is_best = self._ending(0, validates=self.computation.evaluator is not None)
            self._write_row(0, logs, is_best)
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
            *(
                min(self.experiment.fit.batch_size, len(self.train)),
                self.epoch_seconds,
                f"{self.model.count_params():,}",
            ),
            saved.state_file.stat().st_size / 1e6,
        )

    @contextlib.contextmanager
    def _announced(self) -> Any:
        """Prepare callbacks, catch signals, show progress, and keep stdout for results."""
        for callback in self.callbacks:
            for folder in callback.folders():
                atomic.make_folders(folder)
            for written in callback.writes():
                atomic.require_files(written)
                atomic.remove_leftovers(written.parent)
        self._gather_listeners()
        redirected, closed = contextlib.redirect_stdout(sys.stderr), closed_if_interrupted(self.callbacks, self.run)
        self.job.team.stop = self.stop
        with self.stop, self.progress.shown(), redirected, self.writer, closed:
            yield

    def _gather_listeners(self) -> None:
        self.model.stop_training = False
        self.listeners = keras.callbacks.CallbackList(
            [adapter.callback for adapter in self.callbacks],
            model=self.model,
            epochs=self.experiment.fit.epochs,
            steps=self.steps,
        )
        for adapter in self.callbacks:
            # Unflushed, since Keras does not wait for the disk either.
            adapter.write_whole(partial(atomic.replacing, flushed=False))

    def _bring_into_stage(self, stage: int) -> None:
        """Go through the stages before it, which choose what learns; then make again what was traced."""
        if stage == self.stage:
            return
        self.computation.enter_stage(self.stage, stage)
        self.stage = stage
        self.batches = None

    def _begin_next_stage(self, logs: Logs) -> None:
        """End a stage as `fit` ends, and begin the next as another `fit` begins."""
        self.writer.write_best()  # of this stage's network
        self.model.optimizer.finalize_variable_values(self.model.trainable_weights)
        self.listeners.on_train_end(logs)
        self.stage_ends.append(self.position.epoch)
        logger.info("%s", stages.description(self.experiment, len(self.stage_ends)))
        self._bring_into_stage(len(self.stage_ends))
        self.progress.begin_stage()
        self.computation.choose_frozen_part(self.callbacks)
        for callback in self.callbacks:
            callback.keep_files(begun=True)
        self._gather_listeners()
        self.listeners.on_train_begin()

    def _train(self) -> None:
        logs: Logs = {}
        last = stages.end_of_training(self.experiment, self.stage_ends)
        if self.experiment.stages and self.position == Position():
            logger.info("%s", stages.description(self.experiment, 0))
        # An epoch that a callback has cut short still ends as every epoch does.
        while self.position.epoch < last and (self.position.step or not self.model.stop_training):
            if self.batches is None or self.computation.can_read_faster():
                self.batches = self._begin_batches()
            logs = self._epoch(self.batches)
            last = stages.end_of_training(self.experiment, self.stage_ends)
        self._finish(logs)

    def _begin_batches(self) -> Batches:
        def gives_up() -> bool:
            return bool(self.stop) or not self._has_time(TARGET_SECONDS, files=1)

        if not self.computation.compute_frozen_part(gives_up):
            self._save()
            raise self._stopped()
        return self.computation.batches(self._global_step())

    def _epoch(self, batches: Batches) -> Logs:
        epoch = self.position.epoch
        begin = time.perf_counter()
        if self.position.step == 0:
            self.epoch_seconds = 0.0
            self.computation.begin_epoch()
            self.listeners.on_epoch_begin(epoch)
        self.computation.share_changes()
        self.progress.begin_epoch(epoch, self.position.step, stages.end_of_training(self.experiment, self.stage_ends))
        # As in `fit`, a callback may cut an epoch short, but for its first step.
        while self.position.step < self.steps and not (self.position.step and self.model.stop_training):
            self._chunk(batches)
            pause = not self._has_time_to_go_on()
            if self.stop or pause or self._checkpoint_is_due():
                self.epoch_seconds += time.perf_counter() - begin
                begin = time.perf_counter()
                if not self.chunks.fixed:  # else that was done, before callbacks changed what this process has
                    self.computation.check_state(self._global_step())
                self._save()
                if self.stop or pause:
                    raise self._stopped()
        channel.tell(phase="saving")  # and what else it does alone at the end of an epoch
        self.fingerprint.require()
        self.computation.check_state(self._global_step())
        ending = time.perf_counter()
        validates = self.computation.evaluator is not None and self.experiment.fit.validates_after(epoch + 1)
        logs, is_best = self._ending(epoch, validates=validates)
        if validates or self.computation.evaluator is None:
            self.ending_seconds = time.perf_counter() - ending
        self.epoch_seconds += time.perf_counter() - begin
        self._end_epoch(epoch, logs, is_best)
        return logs

    def _ending(self, epoch: int, *, validates: bool) -> tuple[Logs, bool]:
        """Do what follows the steps of an epoch; return its logs, and whether its model is the best so far."""
        logs = self.computation.metrics.values()
        is_best = self._validate(epoch, logs) if validates else self._keep_if_best(epoch, logs)
        self._announce_end(epoch, logs)
        return logs, is_best

    def _chunk(self, batches: Batches) -> None:
        count = 1 if self.model.stop_training else self.chunks.next(self.steps - self.position.step)
        if self.chunks.fixed:
            self.listeners.on_train_batch_begin(self.position.step)
            self.computation.share_changes()
        with self.chunks.measured(count):
            bad = self.computation.train(batches, count)
        self.has_stepped = True
        self.writer.check()
        self.fingerprint.look()
        if bad is not None:
            raise not_finite(self.position.step + bad, self.position.epoch, self._learning_rate())
        self.position.step += count
        channel.tell(step=self._global_step(), epoch=self.position.epoch + 1)
        self.limit.progressed()
        if self.chunks.fixed:
            self.computation.check_state(self._global_step())
            self.listeners.on_train_batch_end(self.position.step - 1, self.computation.metrics.values())
        else:
            for callback in self.callbacks:
                callback.after_fused_steps()
        logs = self.computation.metrics.values() if self.progress.wants_logs() else {}
        self.progress.steps_done(self.position.step, logs)

    def _keep_if_best(self, epoch: int, logs: Logs) -> bool:
        logs["learning_rate"] = self._learning_rate()
        # An epoch that does not validate has no value to compare.
        is_best = self.best.monitor in logs and self.best.improves(epoch, logs[self.best.monitor])
        channel.tell(phase="saving")
        if is_best:
            self.writer.keep_best(epoch + 1, logs, may_wait=not self._is_time_to_save())
        return is_best

    def _announce_end(self, epoch: int, logs: Logs) -> None:
        """Tell the callbacks; those that watch a value of a validation are told of epochs that have one."""
        told = dict(logs)  # which callbacks may add to
        for adapter in self.callbacks:
            if adapter.watched().isdisjoint(set(self.columns) - logs.keys()):
                adapter.callback.on_epoch_end(epoch, told)

    def _rebuild_best(self, checkpoint: Checkpoint) -> None:
        self._bring_into_stage(len(checkpoint.progress["stage_ends"]))
        state.restore_model(self.model, state.from_hdf5(checkpoint.state_file))
        epoch = checkpoint.progress["epoch"]
        with self.writer:
            self.writer.save_model(self.run.best_model, epoch, self.writer.logs_of(epoch))

    def _validate(self, epoch: int, logs: Logs) -> bool:
        """Add the validation's values to the logs, and keep the model if it is the best so far."""
        evaluator = self.computation.evaluator
        assert evaluator is not None

        def gives_up() -> bool:
            # What is given up is the whole of it.
            seconds = evaluator.predictor.chunks.expected_seconds(len(evaluator.split))
            return bool(self.stop) or not self._has_time(seconds, files=2)

        self.progress.validating(len(evaluator.split))
        # Validation uses the variables of the training metrics, and callbacks hear of it.
        training_metrics = [variable.value.read_value() for variable in self.model.metrics_variables]
        callback_values = self.callback_state.values()
        self.listeners.on_test_begin()
        self.computation.share_changes()
        metrics = self.computation.validate(gives_up, see=lambda outputs: self.progress.validated(len(outputs)))
        if metrics is None:  # the state as it was before is saved: a resume validates from the beginning
            for callback in self.callbacks:
                callback.give_up_validation()
            for variable, value in zip(self.model.metrics_variables, training_metrics, strict=True):
                variable.assign(value)
            self._save(callback_values)
            raise self._stopped()
        logs |= {f"val_{name}": value for name, value in metrics.items()}
        # Before `on_test_end`, where averages are taken out again: best.keras is what was measured.
        is_best = self._keep_if_best(epoch, logs)
        self.listeners.on_test_end(metrics)
        return is_best

    def _end_epoch(self, epoch: int, logs: Logs, is_best: bool) -> None:
        self._write_row(epoch, logs, is_best)
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
        # Before the checkpoint: an epoch that a resume does not repeat was told.
        why = self.watch(epoch + 1, logs) if self.watch else None
        pruned = None if last else why
        pause = not last and not self._has_time_to_go_on()
        if over or self.stop or pause or pruned or self._checkpoint_is_due_after(epoch + 1):
            self._save()
        if pruned:
            self.writer.finish()
            raise Pruned(pruned)
        if not last and (self.stop or pause):
            raise self._stopped()

    def _write_row(self, epoch: int, logs: Logs, is_best: bool) -> None:
        row = {**dict.fromkeys(self.columns), **logs}
        self.writer.append_epoch(epoch + 1, row, self.epoch_seconds, self._examples_seen())
        self.progress.end_epoch(epoch, logs, self.epoch_seconds, is_best)

    def _who_stopped(self, epoch: int) -> str:
        return next(filter(None, (callback.who_stopped(epoch) for callback in self.callbacks)), "a callback")

    def why_it_ended(self) -> str:
        """Return a sentence for a run that is finished."""
        epochs = stages.end_of_training(self.experiment, self.stage_ends)
        if self.stopped_by is None:
            return f"all {self.position.epoch} epochs done"
        return f"stopped early by {self.stopped_by} after epoch {self.position.epoch} of {epochs}"

    def _finish(self, logs: Logs) -> None:
        """Do what `fit` does after its last epoch, then write `last.keras`."""
        self.model.optimizer.finalize_variable_values(self.model.trainable_weights)
        self.listeners.on_train_end(logs)
        self.writer.save_model(self.run.last_model, self.position.epoch, self.writer.logs_of(self.position.epoch))

    def _save(self, callback_values: list[dict[str, Any]] | None = None) -> None:
        channel.tell(phase="saving")
        if self.has_stepped:
            self.fingerprint.require()
        self.writer.wait_for_checkpoint()
        self.writer.write_best()  # before the checkpoint that names it
        progress: LoopState = {
            "epoch": self.position.epoch,
            "step": self.position.step,
            "stage_ends": list(self.stage_ends),
            "stopped_by": self.stopped_by,
            "stop_training": bool(self.model.stop_training),
            "epoch_seconds": self.epoch_seconds,
            "features": self.computation.frozen_state(),
            "best": self.best.state(),
            "callbacks": callback_values or self.callback_state.values(),
        }
        arrays = state.model_arrays(self.model) | self.callback_state.arrays()
        self.writer.save_checkpoint(self._global_step(), arrays, progress)
        self.saved_at = time.monotonic()

    def _checkpoint_is_due(self) -> bool:
        # One that is still being written when the next is due goes before it, and so does the reading of the data:
        # training does not wait.
        is_late = time.monotonic() - self.saved_at >= self.experiment.checkpoint.seconds
        return is_late and not self.writer.is_saving() and self.job.data.is_read

    def _checkpoint_is_due_after(self, epoch: int) -> bool:
        return epoch % self.experiment.checkpoint.epochs == 0 and self._is_time_to_save()

    def _is_time_to_save(self) -> bool:
        return time.monotonic() - self.saved_at >= self.experiment.checkpoint.seconds_between

    def _has_time_to_go_on(self) -> bool:
        remaining = self.steps - self.position.step
        if remaining:
            return self._has_time(self.chunks.expected_seconds(remaining), files=1)
        return self._has_time(self.ending_seconds, files=2)

    def _has_time(self, seconds: float | None, files: int) -> bool:
        """Return whether the time limit leaves time for more work, and for saving what comes of it.

        Args:
            seconds: how long the work took the last time; None if it was never timed: it takes as long as the first
                chunk then, which was traced as well.
            files: 1 for a checkpoint, 2 for a model too.
        """
        work = self.chunks.first_seconds if seconds is None else seconds
        files = max(files, 1 + self.writer.holds_best())
        return not self.limit.binds() or self.limit.leaves(work + files * self.writer.seconds_to_save())

    def _stopped(self) -> Interrupted | Paused:
        """Wait until everything is written, and return what ends training before its end."""
        self.writer.finish()
        step, epoch = self.position.step, self.position.epoch + 1
        place = f"step {step} of {self.steps} in epoch {epoch} of {self.experiment.fit.epochs}"
        saved = f"everything is saved. Go on with: kerasrun resume {self.run.quoted}"
        number = self.stop.signal
        if number is None:
            return Paused(f"paused after {place}: the time limit of {self.limit} is near; {saved}")
        return Interrupted(f"stopped by {signals.name(number)} after {place}; {saved}", exit_code(number))

    def _examples_seen(self) -> int:
        """Return the number of examples that trained in this epoch."""
        size = (len(self.train), self.experiment.fit.batch_size)
        return examples_before(self._global_step(), *size) - examples_before(self.position.epoch * self.steps, *size)

    def _global_step(self) -> int:
        return self.position.epoch * self.steps + self.position.step

    def _learning_rate(self) -> float:
        return float(self.model.optimizer.learning_rate)
