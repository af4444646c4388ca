"""Machines that share a search by a database, each with folders of its own."""

import time

import pytest
from optuna.storages import RDBStorage

from kerasrun.experiment.load import load
from kerasrun.many.study import Study
from tests.forked import Forked
from tests.many.postgresql import postgresql
from tests.training.conftest import write_digits, write_small

TRIALS = 8
SECTION = f"""
fit: {{epochs: 1, batch_size: 50, validation_data: test}}
sweep:
  trials: {TRIALS}
  monitor: val_accuracy
  parameters:
    compile.optimizer.Adam.learning_rate: {{low: 1e-4, high: 1e-1, log: true}}
    model.MLP.units: {{choice: [[4], [8]]}}
"""


def machine(folder, file, url):
    folder.mkdir(exist_ok=True)
    return Forked(["-m", "kerasrun", "sweep", file, "--storage", url, "-o", "runs"], folder)


def runs(folder):
    return {run.name for run in folder.glob("runs/small-sweep-1/trial-*")}


@pytest.mark.long
@pytest.mark.tensorflow
def test_two_machines_share_a_search_and_one_that_is_killed_goes_on(tmp_path):
    write_digits(tmp_path)
    file = write_small(tmp_path, SECTION)
    one, other = tmp_path / "one", tmp_path / "other"
    with postgresql() as url:
        machines = [machine(folder, file, url) for folder in (one, other)]
        while machines[0].poll() is None and len(runs(one)) < 2:
            time.sleep(0.01)
        machines[0].kill()
        machines[0].communicate()
        machines[0] = machine(one, file, url)
        told = [process.communicate()[1] for process in machines]
        storage = RDBStorage(url)
        trials = Study(load(file), storage, storage.get_all_studies()[0].study_name).trials()
        storage.engine.dispose()
    assert [process.wait() for process in machines] == [0, 0], told
    assert [trial.state.name for trial in trials] == ["COMPLETE"] * TRIALS
    assert runs(one)
    assert runs(other)
    assert not runs(one) & runs(other)
    assert {f"trial-{trial.number}" for trial in trials if "same_as" not in trial.user_attrs} == runs(one) | runs(other)
