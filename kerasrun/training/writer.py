"""Write a run while it trains: checkpoints, models, a row for each epoch."""

import math
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from numpy.typing import NDArray

from kerasrun import model_file
from kerasrun.callbacks.base import Adapter
from kerasrun.engine import state
from kerasrun.engine.job import Job
from kerasrun.experiment.resolved import resolved_yaml
from kerasrun.runs import atomic, checkpoints, recovery
from kerasrun.runs.background import BackgroundWriter
from kerasrun.runs.directory import RunDirectory
from kerasrun.runs.metrics import Row, Table, cut_back, sizes
from kerasrun.runs.records import LoopState, SavedProgress
from kerasrun.workers import channel


@dataclass(frozen=True)
class _Held:
    """What `best.keras` is to have."""

    arrays: state.Arrays
    epoch: int
    logs: Mapping[str, float]


class RunWriter(BackgroundWriter):
    """Writes a run while it trains, and takes it back to a checkpoint.

    For a checkpoint training stops while the state is copied, for a model until Keras has written it to a private file;
    the rest is done in the background.
    """

    def __init__(self, run: RunDirectory, job: Job, callbacks: Sequence[Adapter]) -> None:
        super().__init__()
        self.run = run
        self.job = job
        self.callbacks = callbacks
        self._checkpoint: Future[None] | None = None
        self._model: Future[None] | None = None
        self._checkpoint_seconds: float | None = None
        self._tables = [Table(run.metrics_file), Table(run.timings_file)]
        self._best: _Held | None = None
        self._best_at = -math.inf

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._failure is None:
                self.write_best()
        except Exception as failure:  # noqa: BLE001  raised below, or reported beside what ended training
            self._failure = failure
        super().__exit__(kind, error, trace)

    def is_saving(self) -> bool:
        """Return whether a checkpoint is still being written."""
        return self._checkpoint is not None and not self._checkpoint.done()

    def wait_for_checkpoint(self) -> None:
        """Wait before the next state is copied, so that no more than one is in memory."""
        if self._checkpoint is not None:
            self._checkpoint.result()

    def seconds_to_save(self) -> float:
        """Return how long one more checkpoint will take, by the last one, which an earlier process may have written."""
        if self._checkpoint_seconds is None:
            self.wait_for_checkpoint()
            self._checkpoint_seconds = float(self.run.read_run().get("checkpoint_seconds", 0.0))
        return self._checkpoint_seconds * (2 if self.is_busy() else 1)

    def save_checkpoint(self, step: int, arrays: Mapping[str, NDArray[Any]], progress: LoopState) -> None:
        """Save the state at a global step.

        Args:
            arrays: copies, which nobody changes any more.
            progress: its epochs that are done are the rows of the tables.
        """
        for callback in self.callbacks:
            callback.flush()
        outputs = {path.as_posix(): sizes(self.run, self.run.root / path) for path in self._outputs()}
        self._checkpoint = self.submit(lambda: self._write_checkpoint(step, arrays, {**progress, "outputs": outputs}))

    def take_back(self, progress: SavedProgress) -> list[str]:
        """Cut everything that grows back to the checkpoint; return sentences for what cannot be brought back."""
        recovery.take_tables_back(self.run, progress["files"])
        recorded = progress["outputs"]  # of which other names are of callbacks that are gone, or of someone else
        outputs = [path for path in self._outputs() if path.as_posix() in recorded]
        return [
            note for path in outputs for note in cut_back(self.run, self.run.root / path, recorded[path.as_posix()])
        ]

    def append_epoch(self, epoch: int, logs: Mapping[str, float | None], seconds: float, examples: int) -> None:
        """Append a row to `metrics.csv`, and one to `timings.csv`; `epoch` counts from one."""
        speed = {"seconds": seconds, "examples_per_second": examples / seconds}
        rows: list[Row] = [{"epoch": epoch, **logs}, {"epoch": epoch, **speed}]
        self.submit(lambda: _append(self._tables, rows))

    def logs_of(self, epoch: int) -> dict[str, float]:
        """Return the logs of an epoch, counted from one; none for epoch 0, of a run that ended in its first epoch."""
        self.finish()
        rows = [row for row in Table(self.run.metrics_file).rows() if row["epoch"] == epoch]
        return {name: value for name, value in rows[0].items() if name != "epoch" and value is not None} if rows else {}

    def keep_best(self, epoch: int, logs: Mapping[str, float]) -> None:
        """Write `best.keras`; shortly after the last one, keep the model's weights in memory until `write_best`."""
        self._best = None
        is_early = time.monotonic() - self._best_at < self.job.experiment.checkpoint.seconds_between
        if is_early and not any(callback.changes_model for callback in self.callbacks):
            self._best = _Held(state.model_arrays(self.job.model), epoch, dict(logs))
        else:
            self._save_best(epoch, logs)

    def write_best(self) -> None:
        """Write `best.keras` if it is not yet what `keep_best` was given; the model is as before afterwards."""
        held, self._best = self._best, None
        if held is None:
            return
        now = state.model_arrays(self.job.model)
        state.restore_model(self.job.model, held.arrays)
        try:
            self._save_best(held.epoch, held.logs)
        finally:
            state.restore_model(self.job.model, now)

    def _save_best(self, epoch: int, logs: Mapping[str, float]) -> None:
        self.save_model(self.run.best_model, epoch, logs)
        self._best_at = time.monotonic()

    def save_model(self, path: Path, epoch: int, logs: Mapping[str, float]) -> None:
        """Write the model as it is, self-contained.

        Keras writes it now, to a private file; what takes long on a slow disk, the flush, is done in the background.
        """
        if self._model is not None:
            self._model.result()  # or a slow disk would fill with models that wait for their place
        private = atomic.private_name(path)
        with atomic.explained(path):
            try:
                model_file.save(self.job.model, self.job.info(epoch, logs), private)
                self._model = self.submit(
                    lambda: atomic.replace_from(private, path), otherwise=lambda: atomic.discard(private)
                )
            except BaseException:
                atomic.discard(private)
                raise

    def _write_checkpoint(self, step: int, arrays: Mapping[str, NDArray[Any]], progress: Mapping[str, Any]) -> None:
        # Here, after the rows of the epochs before, and before those of later ones.
        for table in self._tables:
            table.flush()
        files = recovery.files(self.run, resolved_yaml(self.job.experiment))
        begin = time.monotonic()
        keep = self.job.experiment.checkpoint.keep
        checkpoints.save(self.run, step, state.to_hdf5(arrays), {**progress, "files": files}, keep)
        self._checkpoint_seconds = time.monotonic() - begin
        channel.tell(saved=step)
        self.run.update_run(best=progress["best"], checkpoint_seconds=self._checkpoint_seconds)

    def _outputs(self) -> list[Path]:
        """Return what callbacks append to, relative to the run."""
        return [path.relative_to(self.run.root) for callback in self.callbacks for path in callback.outputs()]


def _append(tables: Sequence[Table], rows: Sequence[Row]) -> None:
    for table, row in zip(tables, rows, strict=True):
        table.append(row)
