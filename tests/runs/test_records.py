import pytest

from kerasrun.runs import checkpoints, records
from kerasrun.runs.records import CHECKPOINT_FORMAT, RUN_FORMAT, RunRecord, SavedProgress
from tests.training.conftest import train_small, write_digits


def test_what_is_written_can_be_read(run):
    assert run.read_run()["format_version"] == RUN_FORMAT
    checkpoints.save(run, 1, b"state", {"epoch": 0}, keep=1)
    assert checkpoints.newest(run).progress == {"epoch": 0}
    assert RUN_FORMAT in records._RUN_READERS
    assert CHECKPOINT_FORMAT in records._PROGRESS_READERS


def test_an_older_run_file_is_read_by_the_reader_of_its_format(run, monkeypatch):
    run.run_file.write_text('{"format_version": 1, "title": "lenet-1"}')
    reader = {1: lambda content: {"format_version": RUN_FORMAT, "name": content["title"]}}
    monkeypatch.setattr(records, "_RUN_READERS", {**records._RUN_READERS, **reader})
    assert run.read_run() == {"format_version": RUN_FORMAT, "name": "lenet-1"}
    run.update_run(status="finished")
    assert run.read_run() == {"format_version": RUN_FORMAT, "name": "lenet-1", "status": "finished"}


def test_an_older_checkpoint_is_read_by_the_reader_of_its_format(run, monkeypatch):
    checkpoints.save(run, 1, b"state", {"epochs_done": 2}, keep=1)
    reader = {CHECKPOINT_FORMAT: lambda content: {"epoch": content["progress"]["epochs_done"]}}
    monkeypatch.setattr(records, "_PROGRESS_READERS", reader)
    assert checkpoints.newest(run).progress == {"epoch": 2}


@pytest.mark.tensorflow
def test_the_records_name_every_field_that_a_run_has(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_digits(tmp_path)
    run = train_small(tmp_path, "fit: {epochs: 1}")
    optional = {"from", "trust", "accepted_changes"}
    assert set(run.read_run()) == RunRecord.__required_keys__ | RunRecord.__optional_keys__ - optional
    assert set(checkpoints.newest(run).progress) == SavedProgress.__required_keys__
