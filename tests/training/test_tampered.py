"""Runs that somebody changed with care, so that their checksums are right, and networks that fail when they compute."""

import json
import shutil
import zipfile

import numpy as np
import pytest

import kerasrun
from kerasrun.errors import CheckpointError, ModelFileError, RunDirectoryError
from kerasrun.runs.directory import open_run
from kerasrun.runs.records import sha256_of_fields
from tests.training.conftest import train_small, write_digits

pytestmark = pytest.mark.tensorflow
TEXT = """
fit: {epochs: 2, validation_split: 0.2}
checkpoint: {seconds_between: 0}
callbacks: [{EarlyStopping: {patience: 9}}, {CSVLogger: {filename: log.csv}}, TensorBoard]
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    write_digits(folder)
    return train_small(folder, TEXT)


@pytest.fixture
def cut(trained, tmp_path):
    """A copy of the run with one checkpoint, at the end of the first of its two epochs."""
    run = open_run(shutil.copytree(trained.root, tmp_path / "runs" / trained.root.name))
    for folder in sorted(run.checkpoints.iterdir()):
        if json.loads((folder / "progress.json").read_bytes())["progress"]["epoch"] != 1:
            shutil.rmtree(folder)
    run.last_model.unlink()
    run.update_run(status="interrupted")
    return run


def changed(run, **progress):
    (file,) = run.checkpoints.glob("*/progress.json")
    content = json.loads(file.read_bytes())
    del content["sha256"]
    content["progress"] |= progress
    file.write_text(json.dumps({**content, "sha256": sha256_of_fields(content)}))


def test_what_is_not_tampered_with_goes_on(cut):
    kerasrun.resume(cut)
    assert cut.read_run()["status"] == "finished"


@pytest.mark.parametrize(
    "progress", [{"epoch": 0}, {"step": 1}, {"step": 10**6}, {"stage_ends": [1]}, {"stage_ends": [1, 0]}]
)
def test_a_place_that_is_not_that_of_the_checkpoint_is_refused(cut, progress):
    before = cut.metrics_file.read_bytes()
    changed(cut, **progress)
    with pytest.raises(CheckpointError, match=r"is of step \d+, but says that it is of step"):
        kerasrun.resume(cut)
    assert cut.metrics_file.read_bytes() == before


@pytest.mark.parametrize(
    ("place", "state", "words"),
    [
        (0, {"callback": "EarlyStopping"}, "nothing' as"),
        (
            0,
            {"callback": "EarlyStopping", "wait": "x", "stopped_epoch": 0, "best": 0.5, "best_epoch": 0},
            "'x' as wait",
        ),
        (2, {"callback": "TensorBoard", "_global_train_batch": 0.5, "_global_test_batch": 0}, "0.5 as _global_train"),
    ],
)
def test_what_a_callback_does_not_keep_is_refused(cut, place, state, words):
    (file,) = cut.checkpoints.glob("*/progress.json")
    states = json.loads(file.read_bytes())["progress"]["callbacks"]
    states[place] = state
    changed(cut, callbacks=states)
    with pytest.raises(CheckpointError, match=words):
        kerasrun.resume(cut)


@pytest.mark.parametrize("name", ["tensorboard", "log.csv"])
def test_a_file_where_a_folder_was_and_the_other_way_round_are_told(cut, name):
    path = cut.root / name
    if path.is_dir():
        shutil.rmtree(path)
        path.write_text("x")
    else:
        path.unlink()
        path.mkdir()
    with pytest.raises(RunDirectoryError, match="cannot be written"):
        kerasrun.resume(cut)


def test_a_run_that_does_not_say_what_it_computed_on_is_told(cut):
    content = cut.read_run()
    del content["device"]
    cut.write_run(content)
    with pytest.raises(RunDirectoryError, match=r"run\.json does not say device"):
        kerasrun.resume(cut)
    with pytest.raises(RunDirectoryError, match=r"run\.json does not say device"):
        kerasrun.evaluate(cut)


def test_a_network_that_fails_when_it_computes_is_the_fault_of_its_file(cut, tmp_path):
    with zipfile.ZipFile(cut.best_model) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(files["config.json"])
    scaling = next(layer for layer in config["config"]["layers"] if layer["class_name"] == "Rescaling")
    scaling["config"]["offset"] = [0.0] * 3000
    with zipfile.ZipFile(cut.best_model, "w") as archive:
        for name, content in {**files, "config.json": json.dumps(config)}.items():
            archive.writestr(name, content)
    np.save(tmp_path / "x.npy", np.zeros((2, 32, 32, 1), np.uint8))
    with pytest.raises(ModelFileError, match=r"best\.keras: (its network fails|Keras cannot load this model): "):
        kerasrun.predict(tmp_path / "x.npy", model=cut.best_model)
    with pytest.raises(ModelFileError, match=r"best\.keras: (its network fails|Keras cannot load this model): "):
        kerasrun.evaluate(cut)
