"""Which run `train FILE --resume` goes on with; that it goes on, tests/torture shows."""

import numpy as np
import pytest

from kerasrun import cli
from kerasrun.engine.prepared import open_data
from kerasrun.errors import RunBusyError, UsageError
from kerasrun.experiment.changes import allowed_changes
from kerasrun.experiment.load import load
from kerasrun.runs import checkpoints
from kerasrun.runs.directory import create, run_names
from kerasrun.runs.lock import lock
from kerasrun.training import train
from kerasrun.training.resuming import same_experiment
from kerasrun.training.resuming.branching import Branch
from kerasrun.workers.cluster import ONE_PROCESS
from kerasrun.workers.timeouts import SECONDS_TO_COME

EXPERIMENT = "data: {npz: {path: a.npz}}\nmodel: {MLP: {units: [8]}}\nfit: {epochs: 2, validation_split: 0.5}\n"


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arrays = {"x_train": np.arange(8.0).reshape(4, 2).astype(np.float32), "y_train": np.array([0, 1, 0, 1])}
    for name in ("a.npz", "moved.npz"):
        np.savez(tmp_path / name, **arrays)
    np.savez(tmp_path / "other.npz", **{**arrays, "y_train": np.array([1, 0, 1, 0])})
    path = tmp_path / "small.yaml"
    path.write_text(EXPERIMENT, encoding="utf-8")
    return path


@pytest.fixture
def begun(file, tmp_path):
    """A run of the experiment, as `train` begins it, with a checkpoint if it came so far."""

    def begin(*overrides, saved=True, branch=None, **fields):
        experiment = load(file, overrides).experiment
        asked = same_experiment.asked(experiment, branch)
        run = create(tmp_path / "runs", experiment.name, **{same_experiment.KEY: asked})
        run.update_run(data_fingerprint=open_data(experiment).fingerprint, **fields)
        if saved:
            checkpoints.save(run, 0, b"state", {}, keep=1)
        return run

    return begin


@pytest.fixture
def found(file, tmp_path):
    def find(*overrides, place=ONE_PROCESS, shards=None, branch=None):
        experiment = load(file, overrides).experiment
        asked = same_experiment.asked(experiment, branch)
        return same_experiment.find(experiment, asked, tmp_path / "runs", place, shards)

    return find


def test_the_newest_run_of_the_experiment_goes_on_whatever_others_there_are(begun, found):
    assert found() is None
    begun()
    second = begun(shards=2)
    begun("seed=2")
    begun("name=other")
    assert found() == found(shards=2) == second


@pytest.mark.parametrize(
    "change",
    ["fit.epochs=5", "fit.verbose=2", "checkpoint.keep=3", "time_limit=1h", "device=cpu", "data.npz.path=moved.npz"],
)
def test_what_a_resume_may_change_makes_no_other_experiment_and_is_handed_to_it(begun, found, file, change):
    run = begun()
    assert found(change) == run
    key, _, value = change.partition("=")
    ((told, _, given),) = [
        one.partition("=") for one in allowed_changes(load(file).experiment, load(file, [change]).experiment)
    ]
    assert (told, given.rpartition("/")[2]) == (key, "3600.0" if value == "1h" else value)


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ("seed=2", "seed"),
        ("fit.batch_size=16", "fit"),
        ("model.MLP.units=[9]", "model"),
        ("data.npz.limit=3", "data"),
        ("data.npz.path=other.npz", "paths of the data"),
    ],
)
def test_another_experiment_is_named_with_what_differs_and_left_alone(begun, found, caplog, change, part):
    run = begun()
    assert found(change) is None
    assert caplog.messages == [f"{run} is of another experiment, it differs in {part}: a new run begins"]
    assert run.is_run()


def test_other_weights_to_begin_with_or_other_shards_make_another_experiment(begun, found, tmp_path):
    run = begun(branch=Branch(tmp_path / "big-1"), shards=2)
    assert found(branch=Branch(tmp_path / "big-1", "best")) == run
    assert found() is found(branch=Branch(tmp_path / "big-1", "last")) is None
    assert found(branch=Branch(tmp_path / "big-1"), shards=4) is None


def test_the_last_stage_may_have_other_epochs_and_no_stage_another_optimizer(begun, found, file):
    stages = "stages: [{epochs: 1}, {epochs: 1, optimizer: SGD}]\n"
    file.write_text(EXPERIMENT.replace("epochs: 2, ", "") + stages, encoding="utf-8")
    run = begun()
    assert found("stages.1.epochs=5") == run
    before, after = load(file).experiment, load(file, ["stages.1.epochs=5"]).experiment
    assert allowed_changes(before, after) == ["stages.1.epochs=5"]
    assert found("stages.1.optimizer=Adam") is None


def test_a_run_that_was_killed_before_its_first_checkpoint_is_begun_again_under_its_name(begun, found, tmp_path):
    for _ in range(10):
        assert begun(saved=False).name == "small-1"
        assert found() is None
        assert run_names(tmp_path / "runs") == []


def test_a_run_whose_checkpoints_alone_are_gone_is_never_removed(begun, found):
    run = begun(saved=False)
    run.best_model.touch()
    assert found() == run


def test_a_run_that_another_process_has_just_begun_is_not_begun_again(begun, found):
    run = begun(saved=False)
    with lock(run), pytest.raises(RunBusyError, match="is being written by process"):
        found()
    assert run.is_run()


def test_a_finished_run_is_left_alone_unless_it_is_to_have_more_epochs(begun, file, tmp_path, monkeypatch, caplog):
    run = begun(status="finished", reason="all 2 epochs done")
    run.write_resolved(EXPERIMENT.replace("a.npz", str(tmp_path / "a.npz")) + "name: small\n")
    resumed = []
    monkeypatch.setattr(train, "resume", lambda run, **options: resumed.append((run, options)) or run)
    options = {"output": tmp_path / "runs", "resume": True}
    with caplog.at_level("INFO", "kerasrun"):
        assert train.train(file, overrides=["fit.verbose=0"], **options) == run
    assert caplog.messages == [f"{run} is finished: all 2 epochs done; nothing to do"]
    assert resumed == []
    assert train.train(file, overrides=["fit.epochs=3"], **options) == run
    assert resumed == [(run, {"overrides": ["fit.epochs=3"], "trust": False, "start_timeout": SECONDS_TO_COME})]


def test_a_dry_run_has_nothing_to_go_on_with(file):
    with pytest.raises(UsageError, match="--dry-run keeps no run"):
        cli.app(["train", str(file), "--resume", "--dry-run"], standalone_mode=False)
