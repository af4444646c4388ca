"""Trackers are told each epoch once, whatever they or the run go through, and training does not notice them."""

import contextlib
import importlib.util
import json
import logging
import os
import signal
import sqlite3
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import yaml

import kerasrun
from kerasrun.errors import ExperimentError, MissingProgramError, UsageError
from kerasrun.experiment.changes import check_changes
from kerasrun.runs.directory import RunDirectory, create
from kerasrun.runs.lock import lock
from kerasrun.runs.metrics import Table
from kerasrun.trackers.base import Tracker, tracker
from kerasrun.training import tracking
from kerasrun.training.tracking import Following, Tracking, require_packages
from tests.forked import Forked
from tests.training.conftest import train_small, write_digits

SMALL = "data: {npz: {path: digits.npz}}\nmodel: LeNet\n"


class Fake:
    """A tracker with a store of its own that fails when it is told to."""

    packages, environment, beside = (), {}, ("store.db",)
    refusal = classmethod(Tracker.refusal.__func__)
    store, faults, begun = [], [], []

    def begin(self, run, kept, keep):
        self.begun.append(run)
        self._fail("begin")
        keep(id=kept.get("id", run.unique))
        return max((epoch for epoch, _ in self.store), default=0)

    def send(self, points):
        self._fail("send")
        for point in points:
            self.store.append((point.epoch, dict(point.values)))
            self._fail(point.epoch)

    def end(self, *told):
        self._fail("end")
        self.told = told

    def _fail(self, where):
        if where in self.faults:
            raise OSError(f"no server at {where}")


@pytest.fixture
def run(tmp_path):
    return begun_run(tmp_path)


def begun_run(tmp_path):
    """A run that has begun, without an epoch."""
    run = create(tmp_path / "runs", "small", experiment="small", versions={"kerasrun": "1"}, seed=3)
    callbacks = [{"CSVLogger": {"filename": "a.csv"}}]
    run.write_resolved(
        yaml.safe_dump({"seed": 3, "fit": {"epochs": 9}, "callbacks": callbacks, "size": [8, 9], "x": None})
    )
    return run


@pytest.fixture
def fake(monkeypatch, caplog):
    caplog.set_level(logging.WARNING, "kerasrun")
    kind = type("Fake", (Fake,), {"store": [], "faults": [], "begun": []})
    monkeypatch.setattr(tracking, "tracker", lambda name: kind)
    monkeypatch.setattr(tracking, "lacking", lambda name: None)
    return kind


def follow(run):
    """The tracker as the process of another training sees it."""
    folder = run.root / "tracking" / "fake"
    folder.mkdir(parents=True, exist_ok=True)
    return Following(run, "fake", folder)


def train_epoch(run, epoch):
    Table(run.metrics_file).append({"epoch": epoch, "loss": 1 / epoch, "val_loss": None})
    Table(run.timings_file).append({"epoch": epoch, "seconds": 2.0})


def epochs(fake):
    return [epoch for epoch, _ in fake.store]


def test_each_epoch_is_sent_once_as_its_row_says(run, fake):
    following = follow(run)
    for epoch in (1, 2, 3):
        train_epoch(run, epoch)
        following.catch_up()
        following.catch_up()
    assert fake.store == [(1, {"loss": 1.0}), (2, {"loss": 0.5}), (3, {"loss": 1 / 3})]


@pytest.mark.parametrize("fault", ["begin", "send", 2])
def test_a_tracker_that_fails_is_one_warning_and_has_every_epoch_once_when_it_works_again(run, fake, fault, caplog):
    following = follow(run)
    fake.faults.append(fault)
    for epoch in (1, 2, 3):
        train_epoch(run, epoch)
        following.catch_up()
        following.catch_up()  # nothing new: it is not asked again
    assert len(fake.begun) <= 3
    assert [one.message.count(f"fake is not told of {run}: OSError") for one in caplog.records] == [1]
    fake.faults.clear()
    train_epoch(run, 4)
    following.catch_up()
    assert epochs(fake) == [1, 2, 3, 4]


@pytest.mark.parametrize("name", [".tracking", ".tracking/fake", "store.db"])
def test_nothing_is_written_through_a_link_beside_the_runs(run, fake, name, tmp_path, caplog):
    (tmp_path / "outside").mkdir()
    link = run.root.parent / name
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(tmp_path / "outside")
    train_epoch(run, 1)
    follow(run).catch_up()
    assert fake.begun == []
    assert list((tmp_path / "outside").iterdir()) == []
    assert f"{link} is a link, and nothing is written through one" in caplog.text


def test_what_a_killed_process_has_sent_is_not_sent_again(run, fake):
    train_epoch(run, 1)
    train_epoch(run, 2)
    follow(run).catch_up()
    Table(run.metrics_file).rewrite(Table(run.metrics_file).rows()[:1])  # as a resume takes it back
    Table(run.timings_file).rewrite(Table(run.timings_file).rows()[:1])
    resumed = follow(run)
    resumed.catch_up()
    for epoch in (2, 3):
        train_epoch(run, epoch)
        resumed.catch_up()
    assert epochs(fake) == [1, 2, 3]


def test_trackers_of_runs_beside_each_other_begin_one_after_the_other(tmp_path, fake, monkeypatch):
    inside, seen = [], []

    def begin(self, run, kept, keep):
        inside.append(run)
        seen.append(len(inside))
        time.sleep(0.2)
        inside.pop()
        return 0

    monkeypatch.setattr(fake, "begin", begin)
    threads = [threading.Thread(target=follow(begun_run(tmp_path)).catch_up) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [1, 1]


def test_the_end_sends_what_is_left_and_says_how_the_run_ended(run, fake):
    for epoch in (1, 2):
        train_epoch(run, epoch)
    best = {"monitor": "loss", "value": 0.5, "epoch": 2}
    run.update_run(status="finished", reason="all 2 epochs done", best=best)
    following = follow(run)
    following.end()
    status, reason, best = following.tracker.told
    assert (status, reason, best.epoch, best.values) == ("finished", "all 2 epochs done", 2, {"loss": 0.5})
    assert epochs(fake) == [1, 2]


def test_a_run_that_was_killed_is_told_as_killed(run, fake):
    following = follow(run)
    following.end()
    assert following.tracker.told == ("killed", "", None)


def test_what_fails_at_the_end_names_the_resume_that_tries_again(run, fake, caplog):
    fake.faults.append("end")
    follow(run).end()
    assert caplog.messages[-1].endswith(f"kerasrun resume {run} tries again")


def test_parameters_are_the_resolved_experiment_by_key_paths(run):
    told = tracking.tracked(run)
    assert told.parameters == {
        "seed": 3,
        "fit.epochs": 9,
        "callbacks.0.CSVLogger.filename": "a.csv",
        "size.0": 8,
        "size.1": 9,
    }
    assert (told.experiment, told.group, told.runs) == ("small", None, run.root.parent)


def test_a_run_of_a_group_is_of_its_experiment_beside_the_other_runs(tmp_path):
    group = tmp_path / "runs" / "lenet-sweep-2"
    run = create(group, "trial", experiment="trial", versions={"kerasrun": "1"})
    run.write_resolved("{seed: 1}")
    (group / "group.json").write_text("{}")
    told = tracking.tracked(run)
    assert (told.experiment, told.group, told.runs) == ("lenet", "lenet-sweep-2", tmp_path / "runs")


def test_a_tracker_that_hangs_does_not_hold_up_the_end_of_a_run(run, monkeypatch, caplog):
    caplog.set_level(logging.WARNING, "kerasrun")
    monkeypatch.setattr(tracking, "SECONDS_AT_THE_END", 0.5)
    folder = run.root / "tracking" / "tensorboard_hparams"
    folder.mkdir(parents=True)
    begin = time.monotonic()
    with lock(RunDirectory(folder)), Tracking(run) as following:  # its process waits for this lock
        following.begin(["tensorboard_hparams"])
    assert time.monotonic() - begin < 30
    assert caplog.messages == [f"tensorboard_hparams is still being told of {run}, by a process that ends by itself"]
    (process, _), *_ = following.processes.values()
    assert process.wait(60) == 0
    assert len(list((run.root / "tensorboard").iterdir())) == 1


def test_a_name_that_is_no_tracker_is_told_with_its_place(tmp_path):
    file = tmp_path / "small.yaml"
    file.write_text(SMALL + "track: [tensorboard_hparams, mlflw]\n")
    with pytest.raises(ExperimentError, match=r"small.yaml:3:30: track.1: received 'mlflw'; expected .*mean 'mlflow'"):
        kerasrun.load(file)
    assert kerasrun.load(file, overrides="track=wandb").experiment.track == ("wandb",)


def test_a_package_that_is_not_installed_is_told_with_its_place_and_the_command(tmp_path, monkeypatch):
    file = tmp_path / "small.yaml"
    file.write_text(SMALL + "track: [tensorboard_hparams, mlflow]\n")
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "mlflow" else found(name))
    with pytest.raises(MissingProgramError, match=r"small.yaml:3:30: track.1: .*pip install 'kerasrun\[mlflow\]'"):
        require_packages(kerasrun.load(file))


def test_a_resume_without_the_package_goes_on_with_a_warning(run, fake, monkeypatch, caplog):
    monkeypatch.setattr(tracking, "lacking", lambda name: "fake not installed; pip install 'kerasrun[fake]'")
    follow(run).catch_up()
    assert "fake not installed; pip install 'kerasrun[fake]'; after the next epoch it is tried again" in caplog.text
    assert fake.store == []


def test_a_resume_may_change_what_tracks(tmp_path):
    file = tmp_path / "small.yaml"
    file.write_text(SMALL)
    before, after = (kerasrun.load(file, overrides=text).experiment for text in ((), "track=wandb"))
    check_changes(before, after)
    with pytest.raises(UsageError, match="cannot change seed"):
        check_changes(before, after.model_copy(update={"seed": 2}))


LONG = """
data: {npz: {path: digits.npz}}
model: {MLP: {units: [16], dropout: 0.2}}
fit: {epochs: 9999, batch_size: 2, validation_split: 0.1}
"""


@pytest.fixture(scope="module")
def killed_twice(tmp_path_factory):
    """A run that was killed two times, once with its trackers, and went on to its end; all that are installed track."""
    folder = tmp_path_factory.mktemp("tracked")
    write_digits(folder)
    names = [name for name in ("mlflow", "wandb") if importlib.util.find_spec(name)] + ["tensorboard_hparams"]
    (folder / "long.yaml").write_text(f"{LONG}track: [{', '.join(names)}]\n")
    os.environ["WANDB_CACHE_DIR"] = str(folder / "cache")
    run = folder / "runs" / "long-1"
    for time_, command in enumerate((["train", "long.yaml"], ["resume"]), start=1):
        enough, deadline = len(rows(run)) + 3, time.monotonic() + 120
        process = Forked(["-m", "kerasrun", *command], folder)
        while len(rows(run)) < enough or set(begun(run, time_)) < set(names):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.kill()
        process.communicate()
        if time_ == 2:
            for one in processes_of(run):
                os.kill(one, signal.SIGKILL)
    ended = Forked(["-m", "kerasrun", "resume", "-s", f"fit.epochs={len(rows(run)) + 3}"], folder)
    stderr = ended.communicate()[1]
    assert ended.returncode == 0, stderr
    assert "is not told of" not in stderr
    deadline = time.monotonic() + 120
    while processes_of(run):  # on a busy machine, after the end of the run
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return run


def begun(run, times):
    """Yield the trackers that have begun to be told so often, as far as their files say."""
    if len(list(run.parent.glob("wandb/offline-run-*/*.wandb"))) >= times:
        yield "wandb"
    if (run / "tracking" / "mlflow" / "id.json").exists():
        yield "mlflow"
    if any((run / "tensorboard").glob("events*")):
        yield "tensorboard_hparams"


def rows(run):
    file = run / "metrics.csv"
    return file.read_text().splitlines()[1:] if file.exists() else []


def processes_of(run):
    found = subprocess.run(["pgrep", "-f", f"kerasrun.training.tracking {run}"], capture_output=True, text=True)
    return [int(one) for one in found.stdout.split()]


@pytest.mark.long
@pytest.mark.tensorflow
def test_tensorboard_has_each_epoch_once_and_the_parameters_after_two_kills(killed_twice):
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
    from tensorboard.plugins.hparams import metadata

    (file,) = (killed_twice / "tensorboard").iterdir()
    values = [(value, event.step) for event in EventFileLoader(str(file)).Load() for value in event.summary.value]
    assert [step for value, step in values if value.tag == "val_loss"] == list(range(1, len(rows(killed_twice)) + 1))
    start, end = (
        metadata.parse_session_start_info_plugin_data(value.metadata.plugin_data.content)
        if value.tag == metadata.SESSION_START_INFO_TAG
        else metadata.parse_session_end_info_plugin_data(value.metadata.plugin_data.content)
        for value, _ in values
        if value.tag in (metadata.SESSION_START_INFO_TAG, metadata.SESSION_END_INFO_TAG)
    )
    assert start.hparams["fit.batch_size"].number_value == 2
    assert end.status == 1  # success


READ = """
import json, sys
from mlflow import MlflowClient
client = MlflowClient(sys.argv[1])
(experiment,) = [one for one in client.search_experiments() if one.name != "Default"]
(run,) = client.search_runs([experiment.experiment_id])
points = {key: [[one.step, one.value] for one in client.get_metric_history(run.info.run_id, key)]
          for key in run.data.metrics}
print(json.dumps([experiment.name, run.info.run_id, run.info.status, run.data.params, run.data.tags, points]))
"""


@pytest.mark.long
@pytest.mark.tensorflow
def test_mlflow_has_each_epoch_once_in_one_run_after_two_kills(killed_twice):
    pytest.importorskip("mlflow", reason="pip install 'kerasrun[mlflow]'")
    store = f"sqlite:///{killed_twice.parent / 'mlflow.db'}"
    environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"}
    read = subprocess.run([sys.executable, "-c", READ, store], capture_output=True, env=environment, check=True)
    experiment, number, status, parameters, tags, points = json.loads(read.stdout)
    assert (experiment, status, parameters["fit.batch_size"]) == ("long", "FINISHED", "2")
    assert number == json.loads((killed_twice / "tracking" / "mlflow" / "id.json").read_text())["run_id"]
    assert (tags["kerasrun.run"], tags["kerasrun.status"]) == (str(killed_twice), "finished")
    written = Table(killed_twice / "metrics.csv").rows()
    assert sorted(points["val_loss"]) == [[row["epoch"], row["val_loss"]] for row in written]
    assert sorted(points["loss"]) == [[row["epoch"], row["loss"]] for row in written]


@pytest.mark.long
@pytest.mark.tensorflow
def test_wandb_has_files_of_one_id_after_two_kills(killed_twice):
    pytest.importorskip("wandb", reason="pip install 'kerasrun[wandb]'")
    kept = json.loads((killed_twice / "tracking" / "wandb" / "id.json").read_text())
    files = sorted((killed_twice.parent / "wandb").glob("offline-run-*/*.wandb"))
    assert kept["epoch"] == len(rows(killed_twice))
    assert len(files) == 3
    assert {file.name for file in files} == {f"run-{kept['id']}.wandb"}


@pytest.mark.tensorflow
def test_a_run_has_the_same_bytes_tracked_or_not_and_a_tracker_that_cannot_write_ends_nothing(
    tmp_path, caplog, monkeypatch
):
    monkeypatch.setattr(tracking, "SECONDS_AT_THE_END", 120)
    write_digits(tmp_path)
    caplog.set_level(logging.WARNING, "kerasrun")
    fit = "fit: {epochs: 2}\n"
    plain = train_small(tmp_path, fit)
    broken = train_small(
        tmp_path, fit + "track: tensorboard_hparams\ncallbacks: [{CSVLogger: {filename: tensorboard}}]\n"
    )
    assert plain.metrics_file.read_bytes() == broken.metrics_file.read_bytes()
    assert broken.read_run()["status"] == "finished"
    assert "tensorboard_hparams is not told of" in caplog.text
    assert f"kerasrun resume {broken} tries again" in caplog.text
    Path(broken.root / "tensorboard").unlink()
    kerasrun.resume(broken)
    assert len(list((broken.root / "tensorboard").iterdir())) == 1


def test_a_journal_that_names_another_file_is_not_rolled_back(tmp_path):
    """SQLite removes the file whose name is at the end of a journal, when it has rolled that back."""
    pytest.importorskip("mlflow")
    victim = tmp_path / "precious.txt"
    victim.write_text("precious")
    database = tmp_path / "mlflow.db"
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE t (x)")
    pages, magic, name = database.stat().st_size // 4096, bytes.fromhex("d9d505f920a163d7"), bytes(victim)
    header = (magic + struct.pack(">5I", 0, 0, pages, 512, 4096)).ljust(512, b"\0")
    end = struct.pack(">I", 0x40000000 // 4096 + 1) + name + struct.pack(">II", len(name), sum(name)) + magic
    Path(f"{database}-journal").write_bytes(header + end)
    assert f"{database}-journal names a file that is to be removed" in tracker("mlflow").refusal(tmp_path)
    with contextlib.closing(sqlite3.connect(database)) as connection:  # what would have come of it
        connection.execute("SELECT * FROM t")
    assert not victim.exists()
    assert tracker("mlflow").refusal(tmp_path) is None


@pytest.mark.long
@pytest.mark.parametrize("folder", ["wandb", ".wandb"])
def test_wandb_reads_no_settings_of_the_working_directory(tmp_path, folder):
    pytest.importorskip("wandb")
    (tmp_path / folder).mkdir()
    (tmp_path / folder / "settings").write_text("[default]\nentity = stranger\nbase_url = https://stranger.example\n")
    code = "import wandb; {}; print(wandb.setup().settings.entity, wandb.setup().settings.base_url)"
    said = []
    for begin in ("wandb.setup()", "from kerasrun.trackers.wandb import _elsewhere; _elsewhere(wandb.setup)"):
        command = [sys.executable, "-P", "-c", code.format(begin)]
        environment = {**os.environ, "WANDB_SILENT": "true", "WANDB_CONFIG_DIR": str(tmp_path / "none")}
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, check=True)
        said.append(done.stdout)
    assert "stranger stranger" in said[0].replace("https://", "")
    assert "stranger" not in said[1]


@pytest.mark.long
def test_wandb_reads_no_values_of_the_working_directory(tmp_path):
    pytest.importorskip("wandb")
    (tmp_path / "config-defaults.yaml").write_text("theirs: {value: 1}\n")
    init = "wandb.init, mode='offline', dir=sys.argv[1], settings=wandb.Settings(silent=True)"
    environment = {**os.environ, "WANDB_CONFIG_DIR": str(tmp_path / "none")}
    for begin in (init.replace(",", "(", 1) + ")", f"_elsewhere({init})"):
        code = f"import sys, wandb; from kerasrun.trackers.wandb import _elsewhere; print(dict({begin}.config))"
        command = [sys.executable, "-P", "-c", code, str(tmp_path)]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
        assert ("theirs" in done.stdout) == begin.startswith("wandb"), done.stderr


def test_every_place_where_wandb_may_write_is_looked_at(tmp_path):
    pytest.importorskip("wandb")
    (tmp_path / ".wandb").symlink_to(tmp_path)
    assert ".wandb is a link" in tracker("wandb").refusal(tmp_path)
