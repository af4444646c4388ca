import json
import os
import pickle

import pytest
from optuna.trial import TrialState

from kerasrun.errors import ExperimentError, RunDirectoryError, StorageError
from kerasrun.experiment.load import load
from kerasrun.many.study import Study, journal_in, lock_of
from tests.training.conftest import write_small

SECTION = """
sweep:
  trials: 9
  parameters:
    compile.optimizer.Adam.learning_rate: {low: 1e-4, high: 1e-1}
    fit.batch_size: {low: 2, high: 50}
"""


def study_of(tmp_path, more="  sampler: Random\n", section=SECTION):
    loaded = load(write_small(tmp_path, section + more))
    return Study(loaded, journal_in(tmp_path), "s", "minimize")


def add_trial(study):
    number = study.begin()
    study.suggested(number)
    study.end(number, TrialState.COMPLETE, 0.5)


def change(tmp_path, old, new):
    journal = tmp_path / "journal.log"
    assert old in journal.read_text()
    journal.write_text(journal.read_text().replace(old, new))


def test_a_pipe_in_place_of_the_journal_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "journal.log")
    with pytest.raises(StorageError, match=r"journal\.log: it is a named pipe, not a file"):
        journal_in(tmp_path)


class Call:
    """What a pickle of someone else may be: a call, of print."""

    def __reduce__(self):
        return print, ("called",)


def test_a_storage_has_no_code_called_where_a_sampler_unpickles_from_it(tmp_path, capsys):
    sampler = "  sampler: {CmaEs: {n_startup_trials: 1}}\n"
    add_trial(study_of(tmp_path, sampler))
    note = {"op_code": 9, "worker_id": "x", "trial_id": 0}
    note["system_attr"] = {"cma:optimizer:0": pickle.dumps(Call()).hex()}
    change(tmp_path, '{"op_code":6', json.dumps(note) + '\n{"op_code":6')
    with pytest.raises(StorageError, match=r"would have builtins\.print called"):
        add_trial(study_of(tmp_path, sampler))
    assert "called" not in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["{n_startup_trials: 1}", "{n_startup_trials: 1, use_separable_cma: true}"])
def test_cmaes_goes_on_from_what_it_pickled_itself(tmp_path, kind):
    for _ in range(8):
        add_trial(study_of(tmp_path, f"  sampler: {{CmaEs: {kind}}}\n"))
    assert "optimizer:0" in (tmp_path / "journal.log").read_text()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"values":[0.5]', '"values":["x"]'),
        ("FloatDistribution", "NoDistribution"),
        ("batch_size", "epochs"),
        ('\\"high\\": 50', '\\"high\\": 70'),
        (
            '"param_name":"fit.batch_size","param_value_internal":',
            '"param_name":"fit.batch_size","param_value_internal":9',
        ),
        ('"user_attrs":{}', '"user_attrs":{"run":[]}'),
        ('{"op_code":6', '[]\n{"op_code":6'),
        ('{"op_code":6', '{"op_code":99}\n{"op_code":6'),
        ('{"op_code":6', "[" * 100_000 + '\n{"op_code":6'),
        ('{"op_code":6', 'no JSON\n{"op_code":6'),
    ],
)
def test_a_journal_that_no_sweep_wrote_is_refused(tmp_path, old, new):
    add_trial(study_of(tmp_path))
    change(tmp_path, old, new)
    with pytest.raises(StorageError, match="holds what no sweep writes"):
        study_of(tmp_path).trials()


def test_nothing_of_a_sweep_is_written_through_a_link(tmp_path):
    for name in ("journal.log", "trials.lock"):
        (tmp_path / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RunDirectoryError, match="is a link"):
        lock_of(str(tmp_path / "trials")).acquire()
    with pytest.raises(StorageError, match="is a link"):
        journal_in(tmp_path)
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ("  sampler: Grid\n", "very many combinations"),
        ("  sampler: {TPE: {n_ei_candidates: 1000000000}}\n", "received 1000000000; expected at most 100,000"),
    ],
)
def test_a_sampler_that_would_fill_the_memory_is_refused_at_its_place(tmp_path, more, told):
    section = SECTION.replace("high: 1e-1", "high: 1e-1, step: 1e-9").replace("high: 50", "high: 50_000")
    with pytest.raises(ExperimentError, match=told):
        study_of(tmp_path, more, section)
