"""What training writes into its run: checkpoints, models, a row for each epoch."""

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import keras
from numpy.typing import NDArray

from kerasrun import model_file
from kerasrun.experiment.resolved import resolved_yaml
from kerasrun.experiment.schema import Experiment
from kerasrun.model_file import ModelInfo
from kerasrun.reading.data import Data
from kerasrun.runs import atomic, checkpoints, recovery
from kerasrun.runs.background import BackgroundWriter
from kerasrun.runs.directory import RunDirectory
from kerasrun.runs.metrics import Row, Table, cut_back, sizes
from kerasrun.training.building import BuiltModel
from kerasrun.training.callbacks import flush
from kerasrun.training.state import to_hdf5


class RunWriter(BackgroundWriter):
    """Writes a run while it trains, and takes it back to a checkpoint.

    For a checkpoint training stops while the state is copied, for a model until Keras has written it to a private file;
    the rest is done in the background.
    """

    def __init__(
        self, run: RunDirectory, experiment: Experiment, data: Data, built: BuiltModel, callbacks: Sequence[Any]
    ) -> None:
        super().__init__()
        self.run = run
        self.experiment = experiment
        self.data = data
        self.model = built.model
        self.targets = built.targets
        self.callbacks = callbacks
        self._checkpoint: Future[None] | None = None
        self._model: Future[None] | None = None
        self._checkpoint_seconds: float | None = None

    def is_saving(self) -> bool:
        """Whether a checkpoint is still being written."""
        return self._checkpoint is not None and not self._checkpoint.done()

    def wait_for_checkpoint(self) -> None:
        """Before the next state is copied, so that no more than one is waiting in memory."""
        if self._checkpoint is not None:
            self._checkpoint.result()

    def seconds_to_save(self) -> float:
        """What saving one more checkpoint takes, by the last one: an earlier process's if this one has written none."""
        if self._checkpoint_seconds is None:
            self.wait_for_checkpoint()
            self._checkpoint_seconds = float(self.run.read_run().get("checkpoint_seconds", 0.0))
        return self._checkpoint_seconds * (2 if self.is_busy() else 1)

    def save_checkpoint(self, step: int, arrays: Mapping[str, NDArray[Any]], progress: Mapping[str, Any]) -> None:
        """Save the state at a global step.

        Args:
            arrays: copies, which nobody changes any more.
            progress: plain values; `epoch` counts the epochs that are done, and so the rows of the tables.
        """
        flush(self.callbacks)
        outputs = {path.as_posix(): sizes(self.run, self.run.root / path) for path in self._outputs()}
        self._checkpoint = self.submit(lambda: self._write_checkpoint(step, arrays, {**progress, "outputs": outputs}))

    def take_back(self, progress: Mapping[str, Any]) -> list[str]:
        """Take everything that grows back to where it was at the checkpoint; sentences for what cannot be."""
        recovery.take_tables_back(self.run, progress["files"])
        return [
            note
            for path, recorded in progress["outputs"].items()
            for note in cut_back(self.run, self.run.root / path, recorded)
        ]

    def append_epoch(self, epoch: int, logs: Mapping[str, float | None], seconds: float, examples: int) -> None:
        """A row in `metrics.csv`, and one in `timings.csv`; `epoch` counts from one."""
        speed = {"seconds": seconds, "examples_per_second": examples / seconds}
        metrics, timings = self.run.metrics_file, self.run.timings_file
        rows: dict[Path, Row] = {metrics: {"epoch": epoch, **logs}, timings: {"epoch": epoch, **speed}}
        self.submit(lambda: _append(rows))

    def logs_of(self, epoch: int) -> dict[str, float]:
        """The logs of an epoch, counted from one; none for epoch 0, of a run that ended before its first epoch did."""
        self.finish()
        rows = [row for row in Table(self.run.metrics_file).rows() if row["epoch"] == epoch]
        return {name: value for name, value in rows[0].items() if name != "epoch" and value is not None} if rows else {}

    def save_model(self, path: Path, epoch: int, logs: Mapping[str, float]) -> None:
        """The model as it is, self-contained.

        Keras writes it now, to a private file; what takes long on a slow disk, the flush, is done in the background.
        """
        info = ModelInfo(
            classes=self.data.classes,
            image_format=self.data.image_format,
            label_kind=self.data.label_kind,
            row_format=self.data.row_format,
            batch_size=self.experiment.fit.batch_size,
            outputs=self.targets.outputs,
            parts=self.targets.parts,
            experiment=self.experiment.name,
            deterministic=self.experiment.deterministic,
            plugins=model_file.needed_plugins(self.model),
            epoch=epoch,
            metrics=logs,
        )
        if self._model is not None:
            self._model.result()  # or a slow disk would fill with models that wait for their place
        private = atomic.private_name(path)
        with atomic.explained(path):
            try:
                model_file.save(self.model, info, private)
                self._model = self.submit(
                    lambda: atomic.replace_from(private, path), otherwise=lambda: atomic.discard(private)
                )
            except BaseException:
                atomic.discard(private)
                raise

    def _write_checkpoint(self, step: int, arrays: Mapping[str, NDArray[Any]], progress: Mapping[str, Any]) -> None:
        # Here, after the rows of the epochs before, and before those of later ones.
        files = recovery.files(self.run, resolved_yaml(self.experiment))
        begin = time.monotonic()
        checkpoints.save(self.run, step, to_hdf5(arrays), {**progress, "files": files}, self.experiment.checkpoint.keep)
        self._checkpoint_seconds = time.monotonic() - begin
        self.run.update_run(best=progress["best"], checkpoint_seconds=self._checkpoint_seconds)

    def _outputs(self) -> list[Path]:
        """What callbacks append to, relative to the run."""
        found = []
        for callback in self.callbacks:
            if isinstance(callback, keras.callbacks.TensorBoard):
                found += [Path(callback.log_dir, "train"), Path(callback.log_dir, "validation")]
            if isinstance(callback, keras.callbacks.CSVLogger):
                found.append(Path(callback.filename))
        return [path.relative_to(self.run.root) for path in found]


def _append(rows: Mapping[Path, Row]) -> None:
    for file, row in rows.items():
        Table(file).append(row)
