"""Each operation on the disk fails once while a run is resumed and trained to its end; then it is resumed once more.

What training computes was computed before, and is written again by the true writer: a disk fails in some hundred
places, and nothing of that depends on where the numbers come from.
"""

import contextlib
import errno
import io
import itertools
import os
import re
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

import kerasrun
from kerasrun import model_file
from kerasrun.errors import CheckpointError, RunDirectoryError
from kerasrun.runs import checkpoints, directory, environment
from kerasrun.runs.directory import RunDirectory
from kerasrun.runs.metrics import Table
from kerasrun.training import train as training
from kerasrun.training import writer as writing
from kerasrun.training.best import Best
from kerasrun.training.writer import RunWriter
from tests.runs.failing_disk import FailingDisk
from tests.training.exactness import variables_digest
from tests.training.stand_ins import job_of
from tests.training.whole_and_cut import train_whole_and_cut

pytestmark = pytest.mark.tensorflow

DIGITS = Path(__file__).parents[2] / "data" / "digits"
EXPERIMENT = f"""
data: {{npz: {{path: {DIGITS / "digits.npz"}}}}}
model: {{MLP: {{units: [4]}}}}
fit: {{batch_size: 512, epochs: 3, validation_data: test}}
checkpoint: {{seconds_between: 0}}
"""
END = 9  # steps
ERRORS = (errno.ENOSPC, errno.EIO, errno.EACCES)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """`whole/run-1`, and `cut/run-1`, which was stopped after the second of its three epochs."""
    folder = tmp_path_factory.mktemp("failing")
    train_whole_and_cut(folder, EXPERIMENT)
    return folder


@pytest.fixture
def whole(folder):
    return RunDirectory(folder / "whole" / "run-1")


@pytest.fixture
def replayed(whole, monkeypatch):
    """Let `resume` write the third epoch and the end of the whole run, instead of training."""
    saved = checkpoints.newest(whole)
    state = saved.state_file.read_bytes()
    progress = {name: value for name, value in saved.progress.items() if name not in ("files", "outputs")}
    files = {path.name: path.read_bytes() for path in (whole.best_model, whole.last_model)}
    times = Table(whole.timings_file).rows()[-1]
    rows = {row["epoch"]: row for row in Table(whole.metrics_file).rows()}
    best = Best("val_loss", smallest=True)
    best.restore(progress["best"])

    class Loop:
        def __init__(self, run, experiment):
            job = SimpleNamespace(experiment=experiment, model=None, info=lambda epoch, logs: None)
            self.run, self.best = run, best
            self.writer = RunWriter(run, job, [])

        def resume(self, checkpoint, best_from=None):
            assert best_from is None, "the best model was lost"
            with self.writer:
                self.writer.take_back(checkpoint.progress)
                if checkpoint.step < END:
                    logs = {name: value for name, value in rows[3].items() if name != "epoch"}
                    self.writer.save_model(self.run.best_model, 3, logs)
                    self.writer.append_epoch(3, logs, times["seconds"], round(times["examples_per_second"]))
                    self.writer.save_checkpoint(END, state, progress)
                self.writer.save_model(self.run.last_model, 3, self.writer.logs_of(3))

        def why_it_ended(self):
            return "all 3 epochs done"

    def save(model, info, path):
        path.write_bytes(files["last.keras" if "last" in path.name else "best.keras"])

    monkeypatch.setattr(environment, "_git", lambda folder: None)  # a process of its own, with pipes that it closes
    monkeypatch.setattr(training, "build", lambda prepared, *_, **__: job_of(prepared))
    monkeypatch.setattr(training, "loop_for", lambda run, job, *_: Loop(run, job.experiment))
    monkeypatch.setattr(writing.model_file, "save", save)
    monkeypatch.setattr(writing.state, "to_hdf5", lambda arrays: arrays)


def what_training_left(run):
    """All that must be as if nothing had failed."""
    ended = run.read_run()
    newest = checkpoints.newest(run)
    return {
        "checkpoint": (newest.step, newest.state_file.read_bytes(), newest.notes, newest.progress["epoch"]),
        "models": [path.read_bytes() for path in (run.best_model, run.last_model)],
        "metrics.csv": run.metrics_file.read_bytes(),
        "run.json": {key: ended[key] for key in ("status", "reason", "best", "epochs", "data_fingerprint")},
        "resolved.yaml": run.resolved_file.read_text(),
        "half written": [path.name for path in run.root.rglob(".tmp-*")],
    }


def assert_whole_generations(run):
    """The newest checkpoint can be read, and what it tells of is there."""
    newest = checkpoints.newest(run)
    assert newest.notes == ()
    assert newest.step in (6, END)
    assert model_file.read_info(run.best_model).epoch in range(newest.progress["best"]["epoch"], 4)
    epochs = [row["epoch"] for row in Table(run.metrics_file).rows()]
    assert epochs == list(range(1, len(epochs) + 1))
    assert len(epochs) >= newest.progress["epoch"]
    assert run.read_run()["data_fingerprint"]


@pytest.mark.long
def test_any_operation_of_a_run_that_fails_loses_nothing(folder, tmp_path, replayed, whole, monkeypatch):
    disk = FailingDisk(monkeypatch)
    expected = what_training_left(whole)
    operations = set()
    for at in itertools.count():
        disk.fail(None)
        run = RunDirectory(tmp_path / "run-1")
        shutil.rmtree(run.root, ignore_errors=True)
        shutil.copytree(folder / "cut" / "run-1", run.root)
        error = ERRORS[at % len(ERRORS)]  # each of them at each operation: tests/runs
        failure = disk.attempt(at, error, kerasrun.resume, run)
        if not disk.failed:
            break
        operations.add(disk.failed)
        disk.fail(None)
        assert_whole_generations(run)
        if failure is None:  # what failed was not needed: the lock's text, a line of the log, something to be removed
            assert what_training_left(run) | {"half written": []} == expected, disk.failed
        else:
            assert f"cannot be written: {os.strerror(error)}" in str(failure)
            kerasrun.resume(run)
            assert what_training_left(run) == expected, (at, disk.failed)
    assert at > 100
    assert operations >= {"open", "write", "fsync", "close", "replace", "mkdir", "unlink", "rmdir"}


class Begun(BaseException):
    """The first step would come now."""


@pytest.mark.long
def test_any_operation_that_fails_before_the_first_step_leaves_no_run_or_one_that_says_so(
    folder, tmp_path, whole, monkeypatch
):
    best = {"monitor": "val_loss", "value": None, "epoch": None}
    progress = {**checkpoints.newest(whole).progress, "epoch": 0, "best": best}

    class Loop:
        def __init__(self, run, job):
            self.writer = RunWriter(run, job, [])

        def start(self):
            with self.writer:
                self.writer.save_checkpoint(0, b"state", progress)
            raise Begun

        def resume(self, checkpoint, best_from=None):
            assert checkpoint.step == 0
            raise Begun

    def attempt():
        with contextlib.suppress(Begun):
            kerasrun.train(folder / "run.yaml", output=output)

    monkeypatch.setattr(environment, "_git", lambda folder: None)

    def build(prepared, device, **_):
        return job_of(prepared, device=device, model=SimpleNamespace(jit_compile=False))

    monkeypatch.setattr(training, "build", build)
    monkeypatch.setattr(training, "overview", lambda *about: "")
    monkeypatch.setattr(training, "loop_for", lambda run, job, *_: Loop(run, job))
    monkeypatch.setattr(writing.state, "to_hdf5", lambda arrays: arrays)
    disk = FailingDisk(monkeypatch)
    output = tmp_path / "first"
    disk.fail(None)
    directory.create(output, "run")  # each operation of this fails in tests/runs
    begun = 0
    for at in itertools.count(len(disk.calls)):
        output = tmp_path / str(at)
        failure = disk.attempt(at, ERRORS[at % len(ERRORS)], attempt)
        if not disk.failed:
            break
        disk.fail(None)
        run = RunDirectory(output / "run-1")
        try:
            kerasrun.resume(run)
        except CheckpointError as error:
            assert failure is not None
            assert re.search("train it again|start again with kerasrun train", str(error))  # noqa: PT017  or it begins
        except Begun:
            begun += 1
    assert begun > 10


class FullFile(io.FileIO):
    """Writes fail, once or from then on."""

    def __init__(self, path, mode, plan):
        super().__init__(path, mode)
        self.plan = plan

    def write(self, data):
        self.plan.writes += 1
        if self.plan.writes == self.plan.at or (self.plan.for_good and self.plan.writes > self.plan.at):
            super().write(bytes(data)[:5])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(data)


@pytest.mark.parametrize("for_good", [False, True])
def test_a_model_that_keras_cannot_write_to_its_end_leaves_the_old_one(folder, tmp_path, monkeypatch, whole, for_good):
    import builtins

    model, info = model_file.load(whole.best_model)
    run = RunDirectory(tmp_path / "run-1")
    shutil.copytree(folder / "whole" / "run-1", run.root)
    before = run.best_model.read_bytes()
    real, plan = io.open, SimpleNamespace(writes=0, at=0, for_good=for_good)

    def full_open(file, mode="r", *arguments, **options):
        if str(file).endswith(".keras") and mode in ("wb", "r+b"):
            raw = FullFile(file, mode, plan)
            return io.BufferedWriter(raw) if mode == "wb" else io.BufferedRandom(raw)
        return real(file, mode, *arguments, **options)

    monkeypatch.setattr(builtins, "open", full_open)
    monkeypatch.setattr(io, "open", full_open)
    experiment = kerasrun.load(run.resolved_file).experiment
    job = SimpleNamespace(experiment=experiment, model=model, info=lambda epoch, logs: replace(info, epoch=epoch))
    for at in itertools.count(1):
        plan.writes, plan.at = 0, at
        with RunWriter(run, job, []) as writer:
            try:
                writer.save_model(run.best_model, 3, info.metrics)
            except RunDirectoryError as failure:
                assert "No space left on device" in str(failure)  # noqa: PT017  with the last one there is none
            else:
                break
        assert run.best_model.read_bytes() == before, at
        assert list(run.root.rglob(".tmp-*")) == [], at
    assert at > 3
    assert model_file.load(run.best_model)[1].metrics == info.metrics


@pytest.mark.long
# `run.json` is written three times before the first checkpoint; without one, a run cannot be resumed.
@pytest.mark.parametrize(
    ("name", "failing_call"),
    [("state.h5", 2), ("best.keras", 2), ("metrics.csv", 2), ("run.json", 5), ("last.keras", 1)],
)
def test_a_training_in_which_one_write_fails_is_resumed_to_the_same_bits(
    folder, tmp_path, monkeypatch, whole, name, failing_call
):
    from kerasrun.runs import atomic

    calls, flush = [], atomic.flush

    def failing(path):
        if name in path.name:
            calls.append(path)
            if len(calls) == failing_call:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
        flush(path)

    with monkeypatch.context() as patch:
        patch.setattr(atomic, "flush", failing)
        with pytest.raises(RunDirectoryError, match=f"{name}|checkpoints/0000000.*reports a fault"):
            kerasrun.train(folder / "run.yaml", output=tmp_path)
    run = RunDirectory(tmp_path / "run-1")
    assert run.read_run()["status"] == "failed"
    kerasrun.resume(run)
    assert run.metrics_file.read_bytes() == whole.metrics_file.read_bytes()
    for file in ("best.keras", "last.keras"):
        assert variables_digest(run.root / file) == variables_digest(whole.root / file)
