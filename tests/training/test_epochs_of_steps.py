"""`steps_per_epoch`, `validation_steps`, `validation_freq`: what an epoch is, and what validates after it."""

import shutil

import pytest

import kerasrun
from kerasrun.errors import DataError, UsageError
from kerasrun.runs.directory import open_run
from kerasrun.runs.metrics import Table
from tests.training.conftest import DIGITS
from tests.training.exactness import variables_digest
from tests.training.whole_and_cut import train_whole_and_cut

pytestmark = pytest.mark.tensorflow

# 23 batches of 64 are one pass; an epoch of 9 steps ends in the middle of one.
EXPERIMENT = """
data: {npz: {path: digits.npz}}
model: {MLP: {units: [8], dropout: 0.3}}
compile: {optimizer: {SGD: {learning_rate: 0.5}}}
fit: {batch_size: 64, epochs: 9, steps_per_epoch: 9, validation_data: test, validation_steps: 2, validation_freq: 2}
callbacks:
  - ReduceLROnPlateau: {patience: 1, factor: 0.5, min_delta: 10}
  - EarlyStopping: {patience: 2, min_delta: 10}
  - ModelCheckpoint: {filepath: 'weights.{epoch:02d}-{val_loss:.2f}.keras'}
  - ModelCheckpoint: {filepath: best-of-callback.keras, save_best_only: true}
  - CSVLogger: {filename: log.csv}
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The run that was left alone, and one that was cut after its second epoch and resumed."""
    folder = tmp_path_factory.mktemp("steps")
    shutil.copy(DIGITS, folder)
    train_whole_and_cut(folder, EXPERIMENT)
    cut = open_run(folder / "cut" / "run-1")
    kerasrun.resume(cut)
    return open_run(folder / "whole" / "run-1"), cut


@pytest.mark.long
def test_a_resumed_run_of_such_epochs_ends_with_the_same_bits(runs):
    whole, cut = runs
    for name in ("metrics.csv", "log.csv"):
        assert (cut.root / name).read_bytes() == (whole.root / name).read_bytes()
    for name in ("best.keras", "last.keras", "best-of-callback.keras"):
        assert variables_digest(cut.root / name) == variables_digest(whole.root / name)


def test_epochs_without_validation_have_empty_cells(runs):
    rows = Table(runs[0].metrics_file).rows()
    header = ["epoch", "loss", "accuracy", "val_loss", "val_accuracy", "learning_rate"]
    assert [list(row) for row in rows] == [header] * 6
    assert [row["epoch"] for row in rows if row["val_loss"] is not None] == [2, 4, 6]


def test_callbacks_and_the_best_model_see_the_epochs_that_validated(runs):
    # No value is better by 10 than that of epoch 2, the first one: epochs 4 and 6 are the two without an improvement.
    run, rows = runs[0].read_run(), Table(runs[0].metrics_file).rows()
    assert "EarlyStopping on val_loss after epoch 6 of 9" in run["reason"]
    assert [row["learning_rate"] for row in rows] == [0.5, 0.5, 0.5, 0.5, 0.25, 0.25]
    assert run["best"]["epoch"] == min((2, 4, 6), key=lambda epoch: rows[epoch - 1]["val_loss"])
    saved = sorted(path.name.partition("-")[0] for path in runs[0].root.glob("weights.*.keras"))
    assert saved == ["weights.02", "weights.04", "weights.06"]


def test_the_first_batches_validate(runs):
    assert runs[0].read_run()["examples"]["validation"] == 128


@pytest.mark.long
def test_as_many_steps_as_a_pass_has_change_nothing(train):
    text = "fit: {epochs: 2, batch_size: 32, validation_data: test}"
    plain = train(text)
    given = train(text, "fit.steps_per_epoch=7", "fit.validation_steps=2", "fit.validation_freq=[1, 2]")
    assert given.metrics_file.read_bytes() == plain.metrics_file.read_bytes()
    assert variables_digest(given.last_model) == variables_digest(plain.last_model)


def test_a_run_that_ends_before_it_validates_says_that_it_has_no_best_model(train, caplog):
    run = train(
        "fit: {epochs: 4, validation_data: test, validation_freq: 4}\n"
        "compile: {optimizer: {SGD: {learning_rate: 0.0}}}\n"
        "callbacks: [{EarlyStopping: {monitor: loss, patience: 1, min_delta: 1}}]"
    )
    assert run.read_run()["status"] == "finished"
    assert not run.best_model.exists()
    assert "no epoch had a val_loss, so there is no best model, only last.keras" in caplog.text


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("fit.validation_steps=3", "expected at most 2"),
        ("fit.validation_data=null", "validation_steps, but nothing validates"),
    ],
)
def test_what_the_data_cannot_give_is_told(train, setting, told):
    with pytest.raises(DataError, match=told):
        train("fit: {batch_size: 32, validation_data: test, validation_steps: 2}", setting)


def test_a_resumed_run_cannot_change_its_steps(runs):
    with pytest.raises(UsageError, match=r"cannot change fit\.steps_per_epoch"):
        kerasrun.resume(runs[0], overrides=["fit.steps_per_epoch=10"])
