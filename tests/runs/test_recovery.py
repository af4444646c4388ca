"""What a checkpoint keeps of the other files, and how it serves where they are damaged."""

import pytest

from kerasrun.errors import CheckpointError
from kerasrun.runs import checkpoints, recovery
from kerasrun.runs.directory import open_run
from kerasrun.runs.listing import list_runs
from kerasrun.runs.metrics import Table
from tests.runs.conftest import PROGRESS

RESOLVED = "seed: 1\nfit: {epochs: 3}\n"
BEST = {"monitor": "loss", "value": 0.5, "epoch": 1}
NAMES = ("run.json", "resolved.yaml", "metrics.csv", "timings.csv")


@pytest.fixture
def begun(run):
    """A run after its first epoch, with a checkpoint, and with a second epoch behind it."""
    run.write_resolved(RESOLVED)
    run.update_run(epochs=3)
    Table(run.metrics_file).append({"epoch": 1, "loss": 0.5})
    Table(run.timings_file).append({"epoch": 1, "seconds": 2.0})
    progress = {**PROGRESS, "best": BEST, "files": recovery.files(run, RESOLVED)}
    checkpoints.save(run, 7, b"state", progress, keep=1)
    run.update_run(best=BEST)
    Table(run.metrics_file).append({"epoch": 2, "loss": 0.25})
    return run


def contents(run):
    return {name: (run.root / name).read_text() for name in NAMES}


def cut(path, size):
    path.write_bytes(path.read_bytes()[:size])


DAMAGES = {
    "emptied": lambda path: path.write_bytes(b""),
    "truncated": lambda path: cut(path, 9),
    "deleted": lambda path: path.unlink(),
    "flipped": lambda path: path.write_bytes(path.read_bytes().replace(b"e", b"g", 1)),
}


def test_what_is_whole_is_left_alone(begun):
    before = contents(begun)
    assert recovery.restore(begun, checkpoints.newest(begun)) == ()
    assert contents(begun) == before
    assert recovery.read(begun).notes == ()


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", NAMES)
def test_a_damaged_file_is_named_and_put_back_from_the_checkpoint(begun, name, damage):
    before = begun.read_run()
    DAMAGES[damage](begun.root / name)
    (note,) = recovery.restore(begun, checkpoints.newest(begun))
    assert str(begun.root / name) in note
    assert "checkpoint 00000007" in note
    assert begun.read_run() == before
    assert begun.resolved_file.read_text() == RESOLVED
    assert [row["epoch"] for row in Table(begun.metrics_file).rows()][:1] == [1]
    assert recovery.restore(begun, checkpoints.newest(begun)) == ()


def test_all_of_them_together_come_back(begun):
    for name in NAMES:
        (begun.root / name).unlink()
    assert open_run(begun.root) == begun
    assert list_runs(begun.root.parent)[0].status == "damaged"
    assert len(recovery.restore(begun, checkpoints.newest(begun))) == len(NAMES)
    assert list_runs(begun.root.parent)[0].status == "killed"


@pytest.mark.parametrize("name", ["run.json", "resolved.yaml"])
def test_reading_takes_what_is_lost_from_the_checkpoint_and_writes_nothing(begun, name):
    (begun.root / name).unlink()
    record = recovery.read(begun)
    assert (record.content["epochs"], record.resolved) == (3, RESOLVED)
    (note,) = record.notes
    assert f"{begun.root / name} is missing" in note
    assert not (begun.root / name).exists()


def test_an_edited_experiment_is_told_and_undone(begun):
    begun.resolved_file.write_text(RESOLVED.replace("3", "5"))
    (note,) = recovery.restore(begun, checkpoints.newest(begun))
    assert "was edited (a resume takes changes from -s only)" in note
    assert begun.resolved_file.read_text() == RESOLVED


def test_without_any_checkpoint_both_reasons_are_told(begun):
    begun.run_file.write_text("{")
    (begun.checkpoints / "00000007" / "state.h5").unlink()
    with pytest.raises(CheckpointError, match=r"(?s)run.json is damaged: it is not JSON.*state.h5 cannot be read"):
        recovery.read(begun)


def test_rows_after_the_checkpoint_are_cut_off(begun):
    recovery.take_tables_back(begun, checkpoints.newest(begun).progress["files"])
    assert Table(begun.metrics_file).rows() == [{"epoch": 1, "loss": 0.5}]
