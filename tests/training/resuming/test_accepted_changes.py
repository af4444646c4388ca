"""A run whose surroundings have changed is refused, untouched, unless the changes are accepted."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

import kerasrun
from kerasrun import model_file
from kerasrun.errors import RunDirectoryError
from kerasrun.runs import checkpoints
from kerasrun.runs.directory import RunDirectory
from kerasrun.runs.metrics import Table
from kerasrun.training.resuming.kept_models import best_model
from tests import forked
from tests.training.conftest import DIGITS

pytestmark = pytest.mark.tensorflow

# 60 examples in batches of 16: four steps an epoch.
EXPERIMENT = """
data: {npz: {path: digits.npz}}
model: {MLP: {units: [8]}}
fit: {batch_size: 16, epochs: 2, validation_data: test}
checkpoint: {seconds_between: 0}
"""
STEP = 6


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """`runs/small-1` that is finished, and `runs/small-2` that was left in its second epoch.

    `runs/small-3` was left in its fourth epoch; its last checkpoint is that of the second, its best model of the third.
    """
    from kerasrun.training.loop import TrainingLoop

    folder = tmp_path_factory.mktemp("trained")
    with np.load(DIGITS) as archive:
        np.savez(folder / "digits.npz", **{name: archive[name][:60] for name in archive})
    (folder / "small.yaml").write_text(EXPERIMENT, encoding="utf-8")
    kerasrun.train(folder / "small.yaml", output=folder / "runs")
    chunk = TrainingLoop._chunk

    def left_in_the_second_epoch(self, iterator):
        self.chunks.fixed = 1
        chunk(self, iterator)
        if self._global_step() == STEP:
            self._save()
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(TrainingLoop, "_chunk", left_in_the_second_epoch)
        with pytest.raises(KeyboardInterrupt):
            kerasrun.train(folder / "small.yaml", output=folder / "runs")

    def left_in_the_fourth_epoch(self, iterator):
        chunk(self, iterator)
        if self.position.epoch == 3:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(TrainingLoop, "_chunk", left_in_the_fourth_epoch)
        longer = ["fit.epochs=4", "checkpoint.epochs=2"]
        with pytest.raises(KeyboardInterrupt):
            kerasrun.train(folder / "small.yaml", overrides=longer, output=folder / "runs")
    run = RunDirectory(folder / "runs" / "small-3")
    assert (checkpoints.newest(run).progress["epoch"], checkpoints.newest(run).progress["best"]["epoch"]) == (2, 2)
    assert model_file.read_info(run.best_model).epoch == 3
    return folder


@pytest.fixture
def killed(trained, tmp_path):
    """The run that was left, and data of its own beside it."""
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True, symlinks=True)
    return kerasrun.open_run(tmp_path / "runs" / "small-2")


@pytest.fixture
def ahead(killed):
    """The run whose best model is younger than its last checkpoint."""
    return kerasrun.open_run(killed.root.parent / "small-3")


def data(run):
    return run.root.parents[1] / "digits.npz"


def resume(run, *overrides, **arguments):
    return kerasrun.resume(run, overrides=[f"data.npz.path={data(run)}", *overrides], **arguments)


def change_data(run, **arrays):
    file = data(run)
    with np.load(file) as archive:
        before = dict(archive)
    np.savez(file, **before | arrays)


def content(run):
    """Every file of a run but its log."""
    files = (path for path in run.root.rglob("*") if path.is_file() and path.name != "log.txt")
    return {path: path.read_bytes() for path in files}


def command(run, *arguments):
    return ["-m", "kerasrun", "resume", run.root, "-s", f"data.npz.path={data(run)}", *arguments]


def test_changed_data_are_refused_and_nothing_is_touched(killed):
    change_data(killed, x_train=np.zeros((60, 32, 32), np.uint8))
    before = content(killed)
    with pytest.raises(RunDirectoryError, match=r"data \w{12} → \w{12}"):
        resume(killed)
    assert content(killed) == before


@pytest.mark.long
def test_accepted_data_are_trained_on_from_the_very_step_and_then_belong_to_the_run(killed):
    was = killed.read_run()["data_fingerprint"]
    with np.load(DIGITS) as archive:
        change_data(killed, x_train=archive["x_train"][60:120], y_train=archive["y_train"][60:120])
    resume(killed, accept_changes=True)
    ended = killed.read_run()
    (accepted,) = ended["accepted_changes"]
    assert accepted["step"] == STEP
    assert accepted["changes"] == [f"data {was[:12]} → {ended['data_fingerprint'][:12]}"]
    assert (ended["status"], ended["reason"]) == ("finished", "all 2 epochs done")
    resume(killed, "fit.epochs=3")
    assert len(killed.metrics_file.read_text().splitlines()) == 4
    assert killed.read_run()["accepted_changes"] == [accepted]


@pytest.mark.parametrize(
    ("count", "words"),
    [(90, "training examples 60 → 90"), (30, "training examples 60 → 30")],
)
def test_another_number_of_training_examples_cannot_be_accepted(killed, count, words):
    with np.load(DIGITS) as archive:
        change_data(killed, x_train=archive["x_train"][:count], y_train=archive["y_train"][:count])
    before = content(killed)
    with pytest.raises(RunDirectoryError, match=rf"{words} \(cannot be accepted\)"):
        resume(killed, accept_changes=True)
    assert content(killed) == before


@pytest.mark.long
def test_more_examples_to_validate_on_can_be_accepted(killed):
    with np.load(DIGITS) as archive:
        change_data(killed, x_test=archive["x_test"][:80], y_test=archive["y_test"][:80])
    resume(killed, accept_changes=True)
    examples = killed.read_run()["examples"]
    assert (examples["train"], examples["validation"]) == (60, 80)


@pytest.mark.long
def test_a_best_model_of_an_epoch_that_is_trained_on_other_data_is_not_kept(ahead):
    run = ahead
    with np.load(data(run)) as archive:
        change_data(run, y_test=(archive["y_test"] + 1) % 10)
    was = Table(run.metrics_file).rows()[1]["val_loss"]
    resume(run, accept_changes=True)
    best = run.read_run()["best"]
    assert (best["epoch"], best["value"]) == (2, was)
    assert model_file.read_info(run.best_model).epoch == 2
    assert model_file.read_info(run.best_model).metrics["val_loss"] == was


def test_where_no_checkpoint_has_the_best_model_it_is_that_of_the_epochs_to_come(ahead):
    run = ahead
    with np.load(data(run)) as archive:
        change_data(run, y_test=(archive["y_test"] + 1) % 10)
    experiment = kerasrun.load(run.resolved_file).experiment
    checkpoint = checkpoints.newest(run)
    shutil.rmtree(run.checkpoints)
    best = best_model(run, experiment, checkpoint, same_course=False)
    assert "best.keras: of epoch 3, but the best one is epoch 2, which no checkpoint has" in best.lost[0]
    assert best.begin_at(checkpoint).progress["best"]["epoch"] is None


@pytest.mark.parametrize(("deterministic", "best"), [(True, 2), (False, 3)])
def test_where_an_epoch_may_not_be_repeated_with_the_same_bits_its_best_model_stays_the_best(
    ahead, deterministic, best
):
    run = ahead
    experiment = kerasrun.load(run.resolved_file).experiment.model_copy(update={"deterministic": deterministic})
    checkpoint = checkpoints.newest(run)
    found = best_model(run, experiment, checkpoint)
    assert found.is_whole
    value = Table(run.metrics_file).rows()[best - 1]["val_loss"]
    assert found.begin_at(checkpoint).progress["best"] == {"monitor": "val_loss", "value": value, "epoch": best}


def test_examples_that_the_network_was_not_built_for_cannot_be_accepted(killed):
    change_data(killed, x_train=np.zeros((60, 5), np.float32), x_test=np.zeros((60, 5), np.float32))
    with pytest.raises(RunDirectoryError) as refused:
        resume(killed, accept_changes=True)
    assert "shape of an example 32, 32, 1 → 5 (cannot be accepted)" in str(refused.value)
    assert "type of an example uint8 → float32 (cannot be accepted)" in str(refused.value)


@pytest.mark.long
def test_a_device_may_be_named_where_the_same_one_is_meant(killed, trained):
    resume(killed, "device=cpu")
    whole = kerasrun.open_run(trained / "runs" / "small-1")
    assert killed.metrics_file.read_bytes() == whole.metrics_file.read_bytes()
    assert "accepted_changes" not in killed.read_run()


def test_the_command_refuses_with_exit_1_and_accepts(killed):
    recorded = killed.read_run()
    killed.update_run(
        versions={**recorded["versions"], "tensorflow": "2.20.0"}, device={**recorded["device"], "kind": "gpu"}
    )
    before = content(killed)
    refused = forked.run(command(killed), killed.root)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert f"tensorflow 2.20.0 → {recorded['versions']['tensorflow']}" in refused.stderr
    assert "device gpu → cpu" in refused.stderr
    assert content(killed) == before
    accepted = forked.run(command(killed, "--accept-changes"), killed.root)
    assert accepted.returncode == 0, accepted.stderr
    assert "accepted, so that the run will not end with the same bits: device gpu → cpu" in accepted.stderr
    (entry,) = json.loads(killed.run_file.read_text())["accepted_changes"]
    assert len(entry["changes"]) == 2


@pytest.mark.long
def test_the_command_sets_variables_that_change_bits_as_they_were(killed, trained, monkeypatch):
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    done = subprocess.run([sys.executable, *command(killed)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    whole = kerasrun.open_run(trained / "runs" / "small-1")
    assert killed.metrics_file.read_bytes() == whole.metrics_file.read_bytes()
