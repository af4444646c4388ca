"""A search: its section is checked before the first trial, and a kill changes nothing of what comes out."""

import hashlib
import os
import pickle
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace

import pytest
from optuna.trial import TrialState

import kerasrun
from kerasrun.commands.sweep import sweep as command
from kerasrun.errors import (
    DamagedFileError,
    ExperimentError,
    FailedRunsError,
    Interrupted,
    RunDirectoryError,
    StorageError,
    UsageError,
)
from kerasrun.experiment.load import load
from kerasrun.experiment.search import check_values
from kerasrun.many.group import Group
from kerasrun.many.study import Study, journal_in, lock_of, open_storage
from kerasrun.many.sweep import Plan, sweep, work
from kerasrun.runs import directory
from tests.forked import Forked
from tests.many.test_cmaes_states import POINTER
from tests.training.conftest import write_digits, write_small

SECTION = """
fit: {epochs: 2, batch_size: 50, validation_data: test}
sweep:
  trials: 5
  monitor: val_accuracy
  parameters:
    compile.optimizer.Adam.learning_rate: {low: 1e-4, high: 1e-1, log: true}
    model.MLP.units: {choice: [[4], [8, 8]]}
"""


def refused(tmp_path, old, new):
    file = write_small(tmp_path, SECTION.replace(old, new))
    with pytest.raises(ExperimentError) as caught:
        check_values(load(file), file, ())
    return str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "place", "told"),
    [
        ("learning_rate", "lerning_rate", "9:5", "did you mean 'learning_rate'"),
        ("[8, 8]", "[8, 0]", "10:37", "[8, 0] is not taken; model.MLP.units.1: received 0"),
        ("low: 1e-4", "low: 0", "9:5", "log: true with low: 0; expected low above 0"),
        ("{choice: [[4], [8, 8]]}", "{}", "10:5", "no values"),
        ("val_accuracy", "val_acuracy", "7:12", "did you mean 'val_accuracy'"),
        ("model.MLP.units: {choice: [[4], [8, 8]]}", "device: {choice: [cpu]}", "10:5", "it cannot be searched"),
    ],
)
def test_a_value_that_the_experiment_refuses_is_told_with_its_place(tmp_path, old, new, place, told):
    message = refused(tmp_path, old, new)
    assert f"small.yaml:{place}: " in message
    assert told in message


@pytest.mark.parametrize(("choices", "layers"), [(600, 1), (200, 80)])
def test_more_values_than_can_be_tried_in_a_moment_are_refused_at_their_place(tmp_path, choices, layers):
    section = f"{SECTION}stages: [{', '.join(['{epochs: 1}'] * layers)}]\n".replace("epochs: 2, ", "")
    file = write_small(tmp_path, section.replace("[[4], [8, 8]]", str([[4]] * choices)))
    with pytest.raises(ExperimentError, match=r"sweep\.parameters: \d+ choices and bounds; expected at most 500"):
        check_values(load(file), file, ())


def study_of(tmp_path, sampler="TPE", name="s"):
    loaded = load(write_small(tmp_path, f"{SECTION}  sampler: {sampler}\n"))
    return Study(loaded, journal_in(tmp_path), name, "maximize")


def suggested(study, count):
    """The values of each trial; every other one has an end."""
    found = []
    for _ in range(count):
        number = study.begin()
        found.append(dict(study.suggested(number)))
        study.end(number, TrialState.COMPLETE, number % 3)
    return found


@pytest.mark.parametrize("sampler", ["TPE", "Random", "QMC", "CmaEs", "{TPE: {n_startup_trials: 2}}"])
def test_what_is_suggested_follows_from_the_seed_whatever_was_killed(tmp_path, sampler):
    whole = suggested(study_of(tmp_path, sampler, "whole"), 6)
    cut = suggested(study_of(tmp_path, sampler, "cut"), 4)
    killed = study_of(tmp_path, sampler, "cut")
    number = killed.begin()  # and nothing more
    again = study_of(tmp_path, sampler, "cut")
    cut.append(dict(again.suggested(number)))
    again.end(number, TrialState.COMPLETE, number % 3)
    assert [*cut, *suggested(again, 1)] == whole
    assert len({str(values) for values in whole}) == 6


@pytest.mark.parametrize("state", [POINTER, pickle.dumps(print)])
def test_a_state_of_a_stranger_never_reaches_pickle(tmp_path, state):
    study = study_of(tmp_path, "{CmaEs: {n_startup_trials: 1}}")
    suggested(study, 2)
    study._storage.set_trial_system_attr(study._trial_id(study.begin()), "cma:optimizer:0", state.hex())
    study.end(2, TrialState.COMPLETE, 1)
    with pytest.raises(StorageError, match=r"no sweep writes \(ValueError: it (calls numpy|holds builtins)\."):
        study.suggested(study.begin())


def test_a_grid_has_every_combination_once(tmp_path):
    text = SECTION.replace("low: 1e-4, high: 1e-1, log: true", "choice: [0.1, 0.01, 0.001]")
    loaded = load(write_small(tmp_path, f"{text}  sampler: Grid\n"))
    values = suggested(Study(loaded, journal_in(tmp_path), "s", "maximize"), 6)
    assert len({str(one) for one in values}) == 3 * 2


def test_a_sampler_that_optuna_has_not_is_told_with_its_place(tmp_path):
    with pytest.raises(ExperimentError, match=r"small.yaml:11:12: sweep.sampler: unknown sampler 'TPEE'.*'TPE'"):
        study_of(tmp_path, "TPEE")


def test_a_lock_ends_with_its_process(tmp_path):
    code = f"from kerasrun.many.study import lock_of; lock_of({str(tmp_path / 'x')!r}).acquire(); print(1, flush=True)"
    with subprocess.Popen([sys.executable, "-c", f"{code}; input()"], stdin=-1, stdout=-1) as holder:
        assert holder.stdout.readline() == b"1\n"
        holder.kill()
    lock = lock_of(str(tmp_path / "x"))
    begin = time.monotonic()
    assert lock.acquire()
    lock.release()
    assert time.monotonic() - begin < 10


def planned(tmp_path, train, trials=2):
    """A search whose trials do what `train` does in place of training."""

    class Untrained(Group):
        def train(self, file, name, number, **options):
            return train(self.member(name, number), options)

    file = write_small(tmp_path, SECTION)
    loaded = load(file, [f"sweep.trials={trials}"])
    study = Study(loaded, journal_in(tmp_path), "s", "maximize")
    return Plan(file, (), loaded, Untrained(tmp_path), study, False)


def test_a_trial_that_fails_is_noted_with_its_reason_and_the_search_goes_on(tmp_path):
    def train(run, options):
        raise kerasrun.errors.OutOfMemoryError("a batch of 50: there is not enough memory")

    plan = planned(tmp_path, train)
    work(plan)
    assert plan.result().counts == {"finished": 0, "pruned": 0, "failed": 2, "running": 0}
    assert "not enough memory" in plan.study.trial(1).user_attrs["reason"]


def test_an_interrupted_trial_is_the_first_to_go_on(tmp_path):
    seen = []

    def train(run, options):
        seen.append((run.name, options["overrides"]))
        raise Interrupted("stopped", 130)

    for _ in range(2):
        with pytest.raises(Interrupted, match="stopped in trial 0; everything is saved"):
            work(planned(tmp_path, train))
    assert seen[0] == seen[1]
    assert seen[0][0] == "trial-0"


@pytest.mark.parametrize("worker", ["../elsewhere", ""])
def test_a_storage_names_no_other_folder_than_that_of_a_worker(tmp_path, worker):
    plan = planned(tmp_path, None)
    plan.study.begin(group=str(tmp_path), worker=worker)
    with pytest.raises(StorageError, match="names a worker"):
        work(plan)
    assert not (tmp_path.parent / "elsewhere").exists()


@pytest.mark.parametrize("name", [".worker-1", "trial-0"])
def test_a_sweep_writes_through_no_link_in_its_folder(tmp_path, name):
    (tmp_path / "elsewhere").mkdir()
    group = tmp_path / "group"
    group.mkdir()
    (group / name).symlink_to(tmp_path / "elsewhere")
    plan = replace(planned(tmp_path, None), group=Group(group))
    with pytest.raises(RunDirectoryError, match="is a link"):
        work(plan)
    assert not list((tmp_path / "elsewhere").iterdir())


def test_the_winner_is_trained_again_by_what_decided_its_best_epoch_and_not_by_how_many_trials_there_were(tmp_path):
    overrides = []

    def train(run, options):
        overrides.extend(options["overrides"])
        best = {"monitor": "val_accuracy", "value": 0.5, "epoch": 1}
        directory.create(tmp_path, "trial", 0).update_run(status="finished", reason="", best=best)

    plan = replace(planned(tmp_path, train, trials=1), overrides=("sweep.trials=1", "fit.epochs=3"))
    work(plan)
    assert overrides[0] == "fit.epochs=3"
    assert set(plan.result().overrides) < set(overrides)
    assert "checkpoint.monitor=val_accuracy" in plan.result().overrides


def test_a_run_of_another_storage_is_not_taken_for_a_trial(tmp_path):
    directory.create(tmp_path, "trial", 0).update_run(status="finished", overrides=["fit.batch_size=9"])
    (tmp_path / "trial-0" / "checkpoints" / "00000001").mkdir(parents=True)
    with pytest.raises(UsageError, match="trial-0 has other values than trial 0 has in the storage"):
        work(planned(tmp_path, train=None))


@pytest.mark.parametrize(("missing", "error"), [("overrides", UsageError), ("device", RunDirectoryError)])
def test_a_trial_whose_record_lacks_what_it_was_is_told(tmp_path, missing, error):
    """A stranger may have taken it away: of a run that was killed early it is not there."""
    seen = []
    work(planned(tmp_path, lambda run, options: seen.append(options["overrides"]) or fails(), trials=1))
    (tmp_path / "again").mkdir()
    again = planned(tmp_path / "again", train=None, trials=1)
    device = {"kind": "cpu", "count": 1, "names": [], "models": [], "deterministic": True}
    known = {"overrides": seen[0], "device": {**device, "threads": {"intra_op": 1, "inter_op": 1}}}
    del known[missing]
    directory.create(tmp_path / "again", "trial", 0).update_run(status="finished", **known)
    (tmp_path / "again" / "trial-0" / "checkpoints" / "00000001").mkdir(parents=True)
    with pytest.raises(error, match=r"trial-0 has other values|run\.json does not say classes"):
        work(again)


def test_a_trial_that_ended_without_a_best_epoch_is_damaged(tmp_path):
    def train(run, options):
        directory.create(run.root.parent, "trial", 0).update_run(status="finished")

    with pytest.raises(
        DamagedFileError, match=r"trial-0.run\.json is damaged: it does not say which epoch was the best"
    ):
        work(planned(tmp_path, train, trials=1))


def fails():
    raise kerasrun.errors.NotFiniteError("no")


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.long
@pytest.mark.tensorflow
def test_a_search_that_is_killed_again_and_again_ends_as_one_that_is_not(tmp_path):
    write_digits(tmp_path)
    file = write_small(tmp_path, SECTION + "  pruner: Median\n")
    command = ["-m", "kerasrun", "sweep", file]
    Forked([*command, "-o", "whole"], tmp_path).communicate()
    whole, cut = (tmp_path / name / "small-sweep-1" for name in ("whole", "cut"))
    for reached in ("trial-0/checkpoints", "trial-1/metrics.csv", "trial-3/run.json"):
        process = Forked([*command, "-o", "cut"], tmp_path)
        while process.poll() is None and not (cut / reached).exists():
            time.sleep(0.005)
        process.kill()
        process.communicate()
    stdout, stderr = Forked([*command, "-o", "cut"], tmp_path).communicate()
    assert "5 finished" in stderr, stderr
    storages = [journal_in(group) for group in (whole, cut)]
    trials = [one.get_all_trials(one.get_all_studies()[0]._study_id) for one in storages]
    assert [one.params for one in trials[1]] == [one.params for one in trials[0]]
    for number in range(5):
        assert sha256(cut / f"trial-{number}" / "metrics.csv") == sha256(whole / f"trial-{number}" / "metrics.csv")
    best = max(trials[1], key=lambda one: one.value)
    assert stdout.strip() == best.user_attrs["run"] == str(cut / f"trial-{best.number}")


def test_a_line_that_a_full_disk_has_cut_spoils_no_other(tmp_path):
    suggested(study_of(tmp_path), 2)
    with (tmp_path / "journal.log").open("a") as journal:
        journal.write('{"op_code": 4, "wor')
    assert len(suggested(study_of(tmp_path), 1)) == 1
    assert len(study_of(tmp_path).trials()) == 3


def test_of_machines_that_begin_the_last_trial_at_once_one_does(tmp_path, monkeypatch):
    first, second = study_of(tmp_path), study_of(tmp_path)
    monkeypatch.setattr(second, "_storage", Late(second._storage, first))
    assert second.begin(limit=1) is None
    assert [one.number for one in second.trials()] == [0]
    assert second.begin(limit=2) == 2  # and none is missing when the search goes on
    assert len(suggested(first, 1)) == 1


class Late:
    """A storage to which another study is faster."""

    def __init__(self, storage, other):
        self.storage, self.other = storage, other

    def create_new_trial(self, *arguments):
        if not self.other.trials():
            assert self.other.begin(limit=1) == 0
        return self.storage.create_new_trial(*arguments)

    def __getattr__(self, name):
        return getattr(self.storage, name)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("nonsense", "Could not parse"),
        ("grpc://localhost", "expected grpc://HOST:PORT"),
        ("sqlite:////no/such/folder/x.db", "unable to open"),
    ],
)
def test_a_storage_that_is_not_there_is_told_before_there_is_a_folder(tmp_path, url, told):
    with pytest.raises(StorageError, match=told):
        sweep(write_small(tmp_path, SECTION), output=tmp_path / "runs", storage=url)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("suffix", ["", "-journal", "-wal", "-shm"])
def test_a_database_that_leads_elsewhere_is_not_opened(tmp_path, suffix):
    (tmp_path / "mine").write_text("")
    (tmp_path / f"a.db{suffix}").symlink_to(tmp_path / "mine")
    with pytest.raises(StorageError, match=rf"a\.db{suffix} is a link, and nothing is written through one"):
        open_storage(f"sqlite:///{tmp_path}/a.db")
    (tmp_path / f"a.db{suffix}").unlink()
    os.mkfifo(tmp_path / f"a.db{suffix}")
    with pytest.raises(StorageError, match="it is a named pipe, not a file"):
        open_storage(f"sqlite:///{tmp_path}/a.db")
    assert (tmp_path / "mine").read_text() == ""


def test_a_journal_that_names_another_file_is_not_rolled_back(tmp_path):
    # As it ends in a journal of a transaction of several databases.
    (tmp_path / "a.db-journal").write_bytes(b"mine" + bytes(8) + bytes.fromhex("d9d505f920a163d7"))
    with pytest.raises(StorageError, match=r"a\.db-journal names a file that is to be removed"):
        open_storage(f"sqlite:///{tmp_path}/a.db")


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "sqlite:///file:a.db?uri=true"])
def test_a_database_that_is_no_file_is_refused(url):
    with pytest.raises(StorageError, match="expected sqlite:///FILE: what is in memory ends with this process"):
        open_storage(url)


def test_a_file_of_sqlite_is_a_storage(tmp_path):
    storage = open_storage(f"sqlite:///{tmp_path}/a.db")
    assert storage.get_all_studies() == []
    assert sqlite3.connect(tmp_path / "a.db").execute("select count(*) from studies").fetchone() == (0,)


def test_tables_of_another_optuna_are_told(tmp_path):
    url = f"sqlite:///{tmp_path}/a.db"
    open_storage(url)
    with sqlite3.connect(tmp_path / "a.db") as database:
        database.execute("UPDATE alembic_version SET version_num = 'v99'")
    with pytest.raises(StorageError, match=rf"--storage {url}: .*no longer compatible with the table schema"):
        open_storage(url)


def test_a_sampler_is_refused_before_there_is_a_folder(tmp_path):
    with pytest.raises(ExperimentError, match="TPEE"):
        sweep(write_small(tmp_path, SECTION), overrides=["sweep.sampler=TPEE"], output=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_a_trial_that_was_killed_before_it_was_saved_is_begun_again_with_other_threads(tmp_path):
    def train(run, options):
        assert not run.root.exists()
        raise kerasrun.errors.NotFiniteError("no")

    plan = planned(tmp_path, train, trials=1)
    directory.create(tmp_path, "trial", 0).update_run(device={"threads": {"intra_op": 99}})
    work(plan)
    assert plan.result().counts["failed"] == 1


def test_where_no_trial_has_a_value_there_is_no_winner(tmp_path):
    write_digits(tmp_path)
    with pytest.raises(FailedRunsError, match="small-sweep-1: no trial has come to its end"):
        command(write_small(tmp_path, SECTION), best=True, output=tmp_path / "runs")
