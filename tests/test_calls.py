"""kerasrun in Python: what a program or a notebook sees of a call. IPython shows what `_render_traceback_` returns."""

import importlib.machinery
import importlib.util
import signal
import sys
import types
from pathlib import Path

import numpy as np
import pytest

import kerasrun
from kerasrun.errors import ExperimentError, MissingProgramError
from kerasrun.experiment.resolved import settings
from kerasrun.runs import directory
from kerasrun.training.stopping.signals import Stopped
from tests.forked import run
from tests.training.conftest import write_digits

CONFIG = Path(__file__).parents[1] / "configs" / "linear_regression.yaml"
TRAIN = f"kerasrun.train({str(CONFIG)!r}, overrides=['fit.epochs=3', 'fit.verbose=2'])"


def test_the_calls_are_listed():
    assert dir(kerasrun) == sorted(kerasrun.__all__)
    assert {"train", "resume", "evaluate", "predict", "export", "verify"} < set(dir(kerasrun))
    assert all(callable(getattr(kerasrun, name)) for name in dir(kerasrun) if not name.startswith("_"))
    assert "overrides" in kerasrun.train.__annotations__
    with pytest.raises(AttributeError, match="fit"):
        _ = kerasrun.fit


def test_one_setting_is_not_a_list_of_letters():
    assert kerasrun.load(CONFIG, overrides="fit.epochs=3").experiment.fit.epochs == 3


def test_settings_are_a_mapping_as_well_with_values_of_numpy_and_paths(tmp_path):
    changes = {"compile.optimizer": {"SGD": {"learning_rate": np.float64(0.01)}}, "fit.epochs": np.int64(3)}
    changes |= {"data.csv.train": tmp_path / "a b.csv", "data.csv.target": "${HOME}: {yes}", "track": ("wandb",)}
    experiment = kerasrun.load(CONFIG, overrides=changes).experiment
    assert experiment.compile.optimizer.arguments == {"learning_rate": 0.01}
    assert (experiment.fit.epochs, experiment.data.train) == (3, tmp_path / "a b.csv")
    assert (experiment.data.target, experiment.track) == ("${HOME}: {yes}", ("wandb",))


def test_an_experiment_is_a_mapping_as_well_with_paths_from_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = {"data": {"npz": {"path": "digits.npz"}}, "model": {"MLP": {"units": (8,)}}, "fit": {"epochs": 2}}
    experiment = kerasrun.load(given).experiment
    assert (experiment.name, experiment.data.path, experiment.fit.epochs) == ("experiment", tmp_path / "digits.npz", 2)
    with pytest.raises(ExperimentError, match=r"^experiment:8:3: fit.epoch: unknown key .*mean 'epochs'"):
        kerasrun.load({**given, "fit": {"epoch": 2}})


@pytest.mark.tensorflow
def _holding_itself():
    given = {"seed": 1}
    given["data"] = given
    return given


@pytest.mark.parametrize(
    ("given", "essential"),
    [
        (_holding_itself(), "holds itself"),
        ({"seed": 10**5000}, "no experiment can have this value: Exceeds the limit"),
        ({"data": object()}, "no experiment can have this value: cannot represent an object: <object"),
    ],
)
def test_a_mapping_that_no_file_can_hold_is_an_experiments_mistake(given, essential):
    with pytest.raises(ExperimentError, match=essential):
        kerasrun.load(given)
    with pytest.raises(ExperimentError, match=essential):
        settings(given)


def test_a_run_of_a_mapping_is_resumed_like_every_other(tmp_path, monkeypatch):
    write_digits(tmp_path)
    monkeypatch.chdir(tmp_path)
    given = {"data": {"npz": {"path": "digits.npz"}}, "model": {"MLP": {"units": [8]}}}
    run = kerasrun.train(given, overrides={"fit.epochs": 1})
    assert run.name == "experiment-1"
    assert kerasrun.resume(run, overrides={"fit.epochs": 2}).read_run()["best"]["epoch"] == 2


def test_records_of_runs_become_a_data_frame_where_pandas_is_installed(tmp_path, monkeypatch):
    run = directory.create(tmp_path, "small")
    run.update_run(
        status="finished", best={"monitor": "loss", "value": 0.5, "epoch": 1}, overrides=["fit.batch_size=2"]
    )
    found = kerasrun.list_runs(tmp_path)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingProgramError, match="pip install pandas"):
        found.to_pandas()
    monkeypatch.undo()
    pandas = types.ModuleType("pandas", "with a DataFrame that is its rows")
    pandas.__spec__, pandas.DataFrame = importlib.machinery.ModuleSpec("pandas", None), list
    monkeypatch.setitem(sys.modules, "pandas", pandas)
    (row,) = found.to_pandas()
    assert (row["run"], row["status"], row["loss"], row["fit.batch_size"]) == ("small-1", "finished", 0.5, 2)


def test_runs_are_listed_as_records(tmp_path):
    run = directory.create(tmp_path, "small")
    run.update_run(status="finished", best={"monitor": "loss", "value": 0.5, "epoch": 1}, overrides=["seed=2"])
    (found,) = kerasrun.list_runs(str(tmp_path))
    assert (found.name, found.status, found.best_value, found.overrides) == ("small-1", "finished", 0.5, {"seed": "2"})


def test_an_error_is_one_line_in_a_notebook():
    with pytest.raises(ExperimentError) as error:
        kerasrun.load("none.yaml")
    (line,) = error.value._render_traceback_()
    assert line.startswith("ExperimentError: none.yaml: no such file")


def test_an_interruption_is_one_line_in_a_notebook(monkeypatch):
    def interrupted(path):
        raise KeyboardInterrupt

    monkeypatch.setattr(directory, "open_run", interrupted)
    with pytest.raises(KeyboardInterrupt) as error:
        kerasrun.open_run("run-1")
    assert isinstance(error.value, Stopped)
    assert error.value._render_traceback_() == [
        "interrupted by Ctrl-C before training began, or after it; nothing was lost"
    ]


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    "configured",
    [
        "",
        "logging.basicConfig(level='INFO', format='%(message)s')",
        "kerasrun.load; logging.basicConfig(format='%(message)s')",
    ],
)
def test_each_epoch_is_said_once_whatever_the_program_does_with_logging(configured, tmp_path):
    done = run(["-c", f"import logging, kerasrun\n{configured}\n{TRAIN}"], tmp_path)
    assert done.returncode == 0
    said = [line.partition(":")[0] for line in done.stderr.splitlines() if line.startswith("epoch ")]
    assert said == ["epoch 1/3", "epoch 2/3", "epoch 3/3"]
    assert done.stdout == ""


@pytest.mark.tensorflow
def test_ctrl_c_in_a_notebook_saves_and_is_one_line_however_often_it_is_pressed(tmp_path):
    program = f"""
import os, signal, sys, time
import kerasrun
from kerasrun.training.progress import TrainingProgress

def pressed(self, *arguments):
    for _ in range(3):
        os.kill(os.getpid(), {signal.SIGINT:d})
        time.sleep(0.2)

TrainingProgress.end_epoch = pressed
sys.ps1 = "In : "  # as IPython sets it
try:
    {TRAIN}
except kerasrun.errors.Interrupted as error:
    print(*error._render_traceback_(), sep="\\n")
print("the notebook goes on")
"""
    done = run(["-c", program], tmp_path)
    assert done.stdout.splitlines() == [
        "Interrupted: stopped by Ctrl-C after step 0 of 5 in epoch 2 of 3; everything is saved. Go on with: "
        "kerasrun resume runs/linear_regression-1",
        "the notebook goes on",
    ]
    assert "Ctrl-C: stopping after the steps at hand\n" in done.stderr
