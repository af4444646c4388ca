import errno
import itertools
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import kerasrun
from kerasrun.errors import CheckpointError
from kerasrun.runs import checkpoints, records
from kerasrun.runs.directory import RunDirectory
from kerasrun.runs.records import CHECKPOINT_FORMAT

PROGRESS = {"epoch": 3, "best": 0.1 + 0.2, "limit": float("inf"), "sizes": {"log.txt": 5}, "größe": None}


@pytest.fixture(autouse=True)
def any_progress(monkeypatch):
    """What a progress must have is tried in test_records."""
    monkeypatch.setattr(records, "_PROGRESS_READERS", {CHECKPOINT_FORMAT: lambda content: content["progress"]})


def steps(run):
    return sorted(path.name for path in run.checkpoints.iterdir())


def save(run, step, keep=2):
    checkpoints.save(run, step, f"state {step}".encode(), {"saved": step}, keep=keep)


def test_a_checkpoint_comes_back_as_it_was_saved(run):
    checkpoints.save(run, 12, b"state", PROGRESS, keep=2)
    found = checkpoints.newest(run)
    assert (found.step, found.progress, found.notes) == (12, PROGRESS, ())
    assert found.state_file == run.checkpoints / "00000012" / "state.h5"
    assert found.state_file.read_bytes() == b"state"
    assert steps(run) == ["00000012"]


def test_only_the_newest_are_kept(run):
    for step in (1, 2, 9, 10, 100_000_000):
        save(run, step, keep=3)
    assert steps(run) == ["00000009", "00000010", "100000000"]
    save(run, 100_000_001, keep=1)
    assert steps(run) == ["100000001"]


def test_saving_removes_later_steps_but_never_itself(run):
    save(run, 5)
    save(run, 10)
    save(run, 7, keep=1)
    assert steps(run) == ["00000007"]


def test_the_same_step_is_replaced(run):
    save(run, 5)
    save(run, 10)
    checkpoints.save(run, 10, b"again", {"saved": "again"}, keep=2)
    assert checkpoints.newest(run).state_file.read_bytes() == b"again"
    assert steps(run) == ["00000005", "00000010"]


def test_no_checkpoint_is_an_error(run):
    with pytest.raises(
        CheckpointError, match=r"no checkpoint in .*/lenet-1/checkpoints; start again with kerasrun train"
    ):
        checkpoints.newest(run)


@pytest.mark.parametrize(
    ("weights", "option"), [("best.keras", "--best"), ("last.keras", "--last"), ("checkpoint 00000120", "--epoch 3")]
)
def test_a_branch_without_a_checkpoint_is_told_to_begin_again_as_a_branch(run, weights, option):
    run.update_run(**{"from": {"run": "/runs/first-1", "weights": weights, "epoch": 3, "sha256": ""}})
    with pytest.raises(CheckpointError, match=rf"kerasrun train .*resolved\.yaml --from /runs/first-1 {option}$"):
        checkpoints.newest(run)


def test_every_readable_checkpoint_is_found_and_every_other_one_named(run):
    for step in (1, 2, 3):
        checkpoints.save(run, step, b"state", {"epoch": step}, keep=3)
    (run.checkpoints / "00000002" / "state.h5").write_bytes(b"")
    found, reasons = checkpoints.readable(run)
    assert [(each.step, each.progress) for each in found] == [(3, {"epoch": 3}), (1, {"epoch": 1})]
    (reason,) = reasons
    assert "00000002 cannot be read: state.h5 has 0 bytes" in reason


def flip_a_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def change_progress(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


DAMAGES = {
    "flipped bit in state": (lambda folder: flip_a_bit(folder / "state.h5"), "state.h5 is not what was written"),
    "truncated state": (lambda folder: os.truncate(folder / "state.h5", 3), "state.h5 has 3 bytes, expected 8"),
    "longer state": (lambda folder: os.truncate(folder / "state.h5", 30), "state.h5 has 30 bytes, expected 8"),
    "emptied state": (lambda folder: os.truncate(folder / "state.h5", 0), "state.h5 has 0 bytes, expected 8"),
    "deleted state": (lambda folder: (folder / "state.h5").unlink(), "state.h5 cannot be read"),
    "state is a folder": (lambda folder: replace_by_folder(folder / "state.h5"), "state.h5 cannot be read"),
    "deleted progress": (lambda folder: (folder / "progress.json").unlink(), "progress.json cannot be read"),
    "emptied progress": (lambda folder: os.truncate(folder / "progress.json", 0), "progress.json is not JSON"),
    "truncated progress": (lambda folder: os.truncate(folder / "progress.json", 90), "progress.json is not JSON"),
    "binary progress": (
        lambda folder: (folder / "progress.json").write_bytes(b"\xff" * 90),
        "progress.json is not JSON",
    ),
    "another progress": (lambda folder: (folder / "progress.json").write_text("[]"), "is not a JSON object"),
    "changed progress": (
        lambda folder: change_progress(folder / "progress.json", progress={}),
        "checksum or step differs",
    ),
    "changed step": (lambda folder: change_progress(folder / "progress.json", step=11), "checksum or step differs"),
    "no checksum": (lambda folder: change_progress(folder / "progress.json", sha256=None), "checksum or step differs"),
    "older format": (lambda folder: change_progress(folder / "progress.json", format_version=1), "its format is 1"),
    "newer format": (lambda folder: change_progress(folder / "progress.json", format_version=4), "its format is 4"),
    "empty folder": (lambda folder: [path.unlink() for path in folder.iterdir()], "progress.json cannot be read"),
    "a file": (lambda folder: replace_by_file(folder), "progress.json cannot be read"),
}


def replace_by_folder(path):
    path.unlink()
    path.mkdir()


def replace_by_file(folder):
    shutil.rmtree(folder)
    folder.write_text("")


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_newest_checkpoint_falls_back_and_says_so(run, damage):
    do, reason = DAMAGES[damage]
    save(run, 5)
    save(run, 10)
    do(run.checkpoints / "00000010")
    found = checkpoints.newest(run)
    assert (found.step, found.state_file.read_bytes()) == (5, b"state 5")
    (note,) = found.notes
    assert str(run.checkpoints / "00000010") in note
    assert reason in note
    assert "checkpoint 00000005 serves instead" in note


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_can_be_saved_again(run, damage):
    save(run, 5)
    save(run, 10)
    DAMAGES[damage][0](run.checkpoints / "00000010")
    save(run, 10)
    assert checkpoints.newest(run).notes == ()
    assert steps(run) == ["00000005", "00000010"]


def test_every_flipped_bit_is_noticed(run):
    save(run, 10)
    paths = sorted((run.checkpoints / "00000010").iterdir())
    assert [path.name for path in paths] == ["progress.json", "state.h5"]
    for path in paths:
        content = path.read_bytes()
        assert content
        for place in range(len(content)):
            for bit in range(8):
                damaged = bytearray(content)
                damaged[place] ^= 1 << bit
                path.write_bytes(damaged)
                try:
                    found = checkpoints.newest(run)
                except CheckpointError:
                    continue
                assert found.progress == {"saved": 10}, (path.name, place, bit)  # white space between the values
        path.write_bytes(content)


def test_none_readable_lists_each_with_its_reason(run):
    save(run, 5)
    save(run, 10)
    flip_a_bit(run.checkpoints / "00000010" / "state.h5")
    (run.checkpoints / "00000005" / "progress.json").unlink()
    with pytest.raises(CheckpointError) as caught:
        checkpoints.newest(run)
    first, ten, five, last = str(caught.value).split("\n")
    assert "can be read" in first
    assert "00000010 cannot be read: state.h5 is not what was written" in ten
    assert "00000005 cannot be read: progress.json cannot be read (No such file or directory)" in five
    assert "kerasrun train" in last


def test_leftovers_are_ignored_and_removed_by_the_next_save(run, leftovers):
    save(run, 5)
    half = run.checkpoints / ".tmp-123-00000010"
    half.mkdir()
    (half / "state.h5").write_bytes(b"half")
    assert checkpoints.newest(run).step == 5
    save(run, 6)
    assert leftovers(run.root) == []


@pytest.mark.parametrize("step", [7, 10])  # a new step, and one that replaces the newest
@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO, errno.EACCES])
def test_any_operation_that_fails_leaves_a_good_newest_checkpoint(
    tmp_path, failing_disk, leftovers, open_files, step, error
):
    for at in itertools.count():
        failing_disk.fail(None)
        run = run_before(tmp_path / str(at), step)
        before = checkpoints.newest(run)
        opened = open_files()
        failure = failing_disk.attempt(at, error, checkpoints.save, run, step, b"new", {"saved": "new"}, keep=2)
        failed = failing_disk.failed
        if not failed:
            break
        assert f"cannot be written: {os.strerror(error)}" in str(failure)
        assert open_files() == opened
        assert_old_or_new(checkpoints.newest(run), before, step)
        if failed not in ("unlink", "rmdir", "open"):  # with these a folder is removed, and that is tried once
            assert leftovers(run.root) == [], failed
        failing_disk.fail(None)
        save(run, 11)
        assert leftovers(run.root) == []
        assert checkpoints.newest(run).step == 11
        assert len(steps(run)) == 2
    assert failure is None
    assert at >= 20


def run_before(root, step):
    """A run with two checkpoints, the newer of them of `step` if that is 10."""
    run = RunDirectory(root)
    root.mkdir()
    save(run, 5)
    save(run, 10 if step == 10 else 6)
    return run


def assert_old_or_new(found, before, step):
    assert found.notes == ()
    assert (found.step, found.progress) in [(before.step, before.progress), (step, {"saved": "new"})]
    content = b"new" if found.progress["saved"] == "new" else f"state {before.step}".encode()
    assert found.state_file.read_bytes() == content


@pytest.mark.parametrize("step", [7, 10])
def test_a_kill_before_any_operation_leaves_a_good_newest_checkpoint(tmp_path, leftovers, step):
    before = checkpoints.newest(run_before(tmp_path / "base", step))
    script = Path(__file__).with_name("killed_save.py")
    environment = os.environ | {"PYTHONPATH": str(Path(kerasrun.__file__).parents[1])}
    subprocess.run([sys.executable, script, tmp_path, str(step)], env=environment, check=True)
    places = len(list(tmp_path.iterdir())) - 1
    assert places >= 20
    for place in range(places):
        run = RunDirectory(tmp_path / str(place))
        assert_old_or_new(checkpoints.newest(run), before, step)
        for again in (step, 11):  # going on from there heals everything
            save(run, again)
            assert checkpoints.newest(run).state_file.read_bytes() == f"state {again}".encode()
        assert leftovers(run.root) == []
        assert len(steps(run)) == 2
        assert all(name.isdecimal() for name in steps(run))
