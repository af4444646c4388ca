"""A folder of runs: the same command finds it again, and each member goes on where it was."""

import os

import pytest

from kerasrun.errors import DamagedFileError, RunBusyError
from kerasrun.many.group import find_or_make, is_group
from kerasrun.runs import directory
from kerasrun.runs.lock import lock
from tests.training.conftest import write_digits, write_small


def test_the_same_experiment_finds_its_folder_and_another_one_gets_its_own(tmp_path):
    first = find_or_make(tmp_path, "repeat", "iris", "epochs: 1")
    other = find_or_make(tmp_path, "repeat", "iris", "epochs: 2")
    assert [first.root.name, other.root.name] == ["iris-repeat-1", "iris-repeat-2"]
    assert find_or_make(tmp_path, "repeat", "iris", "epochs: 1") == first
    assert is_group(first.root)
    assert not is_group(tmp_path)


def test_a_folder_whose_description_is_damaged_is_not_taken(tmp_path):
    first = find_or_make(tmp_path, "repeat", "iris", "epochs: 1")
    (first.root / "group.json").write_bytes(b"[" * 10_000)
    assert find_or_make(tmp_path, "repeat", "iris", "epochs: 1").root.name == "iris-repeat-2"


@pytest.mark.long
@pytest.mark.tensorflow
def test_a_member_is_trained_once_whatever_was_killed_before(tmp_path):
    write_digits(tmp_path)
    file = write_small(tmp_path, "fit: {epochs: 1, validation_data: test}")
    group = find_or_make(tmp_path / "runs", "repeat", "small", "text")
    directory.create(group.root, "seed", 3)  # all that a kill has left
    run = group.train(file, "seed", 3, overrides=["seed=3"])
    assert run.name == "seed-3"
    record = run.read_run()
    assert record["status"] == "finished"
    assert group.train(file, "seed", 3, overrides=["seed=3"]).read_run() == record


def test_a_member_that_another_process_begins_is_left_alone(tmp_path):
    group = find_or_make(tmp_path, "repeat", "iris", "text")
    run = directory.create(group.root, "seed", 1)
    with lock(run), pytest.raises(RunBusyError):
        group.train("no.yaml", "seed", 1)
    assert run.is_run()


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_a_group_that_cannot_be_read_is_told_by_its_file(tmp_path, make):
    file = find_or_make(tmp_path, "repeat", "iris", "epochs: 1").root / "group.json"
    file.unlink()
    make(file)
    with pytest.raises(DamagedFileError, match=r"iris-repeat-1/group\.json cannot be read: "):
        find_or_make(tmp_path, "repeat", "iris", "epochs: 1")
