import pytest

from kerasrun.errors import CheckpointError, DamagedFileError
from kerasrun.runs import checkpoints, records, recovery
from kerasrun.runs.listing import list_runs
from kerasrun.runs.records import CHECKPOINT_FORMAT, RUN_FORMAT, RunRecord, SavedProgress
from tests.runs.conftest import PROGRESS
from tests.training.conftest import train_small, write_digits


def test_what_is_written_can_be_read(run):
    assert run.read_run()["format_version"] == RUN_FORMAT
    run.write_resolved("seed: 1\n")
    progress = {**PROGRESS, "files": recovery.files(run, "seed: 1\n")}
    checkpoints.save(run, 1, b"state", progress, keep=1)
    assert checkpoints.newest(run).progress == progress
    assert RUN_FORMAT in records._RUN_READERS
    assert CHECKPOINT_FORMAT in records._PROGRESS_READERS


def test_an_older_run_file_is_read_by_the_reader_of_its_format(run, monkeypatch):
    today = run.read_run()
    run.run_file.write_text('{"format_version": 1, "title": "lenet-1"}')
    today = {
        "format_version": RUN_FORMAT,
        "name": "lenet-1",
        "status": "running",
        "reason": None,
        "started": "2020-01-01",
    }
    reader = {1: lambda content: {**today, "name": content["title"]}}
    monkeypatch.setattr(records, "_RUN_READERS", {**records._RUN_READERS, **reader})
    assert run.read_run() == today
    run.update_run(status="finished")
    assert run.read_run() == {**today, "status": "finished"}


def test_an_older_checkpoint_is_read_by_the_reader_of_its_format(run, monkeypatch):
    checkpoints.save(run, 1, b"state", {"epochs_done": 2}, keep=1)
    reader = {CHECKPOINT_FORMAT: lambda content: {"epoch": content["progress"]["epochs_done"]}}
    monkeypatch.setattr(records, "_PROGRESS_READERS", reader)
    assert checkpoints.newest(run).progress == {"epoch": 2}


HUGE = 10**400
WRONG_IN_RUN = {
    "status": "gone",
    "name": None,
    "started": "9999-12-31T23:59:59-23:00",
    "epochs": HUGE,
    "best": {"monitor": "loss", "value": 0.5, "epoch": float("nan")},
    "device": {"kind": "cpu", "count": 1, "names": [], "models": [], "threads": {"intra_op": -1, "inter_op": 1}},
    "plugins": {"../a.py": ""},
    "checkpoint_seconds": float("inf"),
    "examples": {"train": -1, "validation": 0, "shape": [8], "dtype": "uint8"},
}


@pytest.mark.parametrize("key", WRONG_IN_RUN)
def test_a_run_file_of_another_structure_is_named_with_its_key_and_ends_no_list(run, key):
    run.update_run(**{key: WRONG_IN_RUN[key]})
    with pytest.raises(DamagedFileError, match=rf"run\.json is not what kerasrun writes: {key}.*received"):
        run.read_run()
    (listed,) = list_runs(run.root.parent)
    assert listed.status == "damaged"
    assert f": {key}" in listed.problem


@pytest.mark.parametrize("text", ["", "[]", "{", '{"a":' * 5000, "[" * 10**5, "9" * 5000, "null", '"\\ud800"', "\0"])
def test_a_run_file_of_no_structure_is_damaged(run, text):
    run.run_file.write_text(text)
    with pytest.raises(DamagedFileError, match=r"run\.json is damaged"):
        run.read_run()
    assert list_runs(run.root.parent)[0].status == "damaged"


@pytest.mark.parametrize("what", ["epoch", "seconds"])
def test_a_table_with_absurd_numbers_ends_no_list(run, what):
    for file in (run.metrics_file, run.timings_file):
        file.write_text("epoch,seconds\n" + {"epoch": f"{HUGE},1\n", "seconds": "1,1e308\n2,1e308\n3,-inf\n"}[what])
    (listed,) = list_runs(run.root.parent)
    assert listed.status == "damaged"
    assert what in listed.problem or "row 0" in listed.problem


WRONG_IN_PROGRESS = {
    "epoch": -1,
    "step": HUGE,
    "stage_ends": [None],
    "epoch_seconds": float("nan"),
    "best": {},
    "callbacks": {},
    "outputs": {"../../elsewhere": {}},
    "files": {"run": {}},
}


@pytest.mark.parametrize("key", WRONG_IN_PROGRESS)
def test_a_progress_of_another_structure_is_named_with_its_key(run, key):
    run.write_resolved("seed: 1\n")
    progress = {**PROGRESS, "files": recovery.files(run, "seed: 1\n"), key: WRONG_IN_PROGRESS[key]}
    checkpoints.save(run, 1, b"state", progress, keep=1)
    with pytest.raises(CheckpointError, match=rf"00000001 cannot be read: progress\.json is not .*: {key}"):
        checkpoints.newest(run)


@pytest.mark.tensorflow
def test_the_records_name_every_field_that_a_run_has(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_digits(tmp_path)
    run = train_small(tmp_path, "fit: {epochs: 1}")
    optional = {"from", "trust", "accepted_changes", "resumes"}
    assert set(run.read_run()) == RunRecord.__required_keys__ | RunRecord.__optional_keys__ - optional
    assert set(checkpoints.newest(run).progress) == SavedProgress.__required_keys__
