"""What `verify` has trained, all in this process; tests/commands/test_verify.py starts one for each."""

import json
from contextlib import ExitStack

import numpy as np
import pytest

from kerasrun.errors import TooFewStepsError
from kerasrun.runs import atomic
from kerasrun.training import trial
from kerasrun.training.verification import ALONE, ERROR, EXPERIMENT, SETTINGS, compared
from kerasrun.workers.cluster import Place, free_addresses
from tests.forked import Forked

pytestmark = pytest.mark.tensorflow


# Two steps an epoch; 40 examples validate.
SMALL = """
data: {npz: {path: data.npz}}
augmentation: [{RandomTranslation: {height_factor: 0.1, width_factor: 0.1}}]
model: {layers: [Flatten, {Dropout: {rate: 0.4}}, {Dense: {units: 4, activation: softmax}}]}
compile: {optimizer: Adam}
fit: {batch_size: 20, validation_data: validation}
callbacks: [{EarlyStopping: {patience: PATIENCE, min_delta: 1000}}]
"""


def prepare(folder, steps, patience, shards=1):
    """What `verify` leaves for the processes that train."""
    rng = np.random.default_rng(1)
    x, y = rng.integers(0, 256, (40, 4, 4), np.uint8), np.arange(40) % 4
    np.savez(folder / "data.npz", x_train=x, y_train=y, x_validation=x, y_validation=y)
    (folder / EXPERIMENT).write_text(SMALL.replace("PATIENCE", str(patience)))
    settings = {"steps": steps, "trust": False, "threads": None, "variables": {}}
    atomic.write_json(folder / SETTINGS, {**settings, "workers": 1, "shards": shards, "devices": []})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """With augmentation, Dropout, validation and a callback."""
    folder = tmp_path_factory.mktemp("trial")
    prepare(folder, 20, patience=20)
    for trials in (["once", "again"], ["cut"], ["resumed"]):
        trial.main(folder, trials)
    return folder


@pytest.mark.long
def test_equal_bits_are_a_yes(folder):
    found = compared(folder)
    assert (found.exact, found.steps, found.cut, found.differences) == (True, 20, 11, ())


def recorded(folder, name):
    return [when for when, _ in json.loads((folder / f"{name}.json").read_text())["records"]]


@pytest.mark.long
def test_steps_are_fused_as_users_have_them_where_no_cut_is_to_come(folder):
    steps = [f"after step {step}" for step in range(1, 21)]
    assert recorded(folder, "once") == ["before the first step", *steps, "at the end"]
    assert recorded(folder, "cut") == ["before the first step", *steps[:11]]
    again = recorded(folder, "again")
    assert len(again) < len(steps)
    assert again[-2:] == ["after step 20", "at the end"]


def test_a_training_that_ends_before_the_cut_is_no_yes(tmp_path, capsys):
    prepare(tmp_path, 8, patience=1)
    with pytest.raises(SystemExit):
        trial.main(tmp_path, ["once", "again"])
    error = json.loads((tmp_path / ERROR).read_text())
    assert error["kind"] == TooFewStepsError.__name__
    assert "4 steps are fewer than the 8 that were to be compared: stopped early by EarlyStopping" in error["message"]


@pytest.mark.long
def test_two_processes_give_the_bits_of_one(tmp_path, monkeypatch):
    prepare(tmp_path, 8, patience=20, shards=2)
    addresses = free_addresses(2)
    code = "import sys; from pathlib import Path; from kerasrun.training.trial import main; main(Path(), sys.argv[1:])"
    with ExitStack() as stack:
        processes = []
        for rank, trials in (
            (1, ["once", "again", "cut", "resumed"]),
            (0, ["once", "again", "cut", "resumed"]),
            (0, [ALONE]),
        ):
            monkeypatch.setenv("TF_CONFIG", Place(rank, 2, addresses).tf_config())
            processes.append(Forked(["-c", code, *trials], tmp_path))
            stack.callback(processes[-1].kill)
        ends = [(process.communicate()[1], process.wait()) for process in processes]
    assert [code for _, code in ends] == [0, 0, 0], ends
    found = compared(tmp_path)
    assert (found.exact, found.workers, found.shards, found.steps) == (True, 2, 2, 8)
