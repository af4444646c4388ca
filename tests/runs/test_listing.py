import errno
import os

import pytest

from kerasrun.errors import RunDirectoryError
from kerasrun.runs import checkpoints
from kerasrun.runs.directory import create
from kerasrun.runs.listing import find_run, list_runs, newest_unfinished
from kerasrun.runs.lock import lock
from kerasrun.runs.metrics import Table


def test_without_an_argument_the_newest_run_is_meant(tmp_path):
    for name in ("lenet", "mlp"):
        create(tmp_path, name)
    assert find_run(None, tmp_path).name == "mlp-1"


def test_a_path_or_the_bare_name_of_a_run_is_found(tmp_path, monkeypatch):
    run = create(tmp_path / "runs", "lenet")
    create(tmp_path / "runs", "lenet")
    monkeypatch.chdir(tmp_path)
    for argument in (run.root, run.root.relative_to(tmp_path), run.root.relative_to(tmp_path / "runs")):
        assert find_run(argument, tmp_path / "runs") == run
    assert find_run(run.root.parent / "latest", tmp_path / "runs").name == "lenet-2"
    with pytest.raises(RunDirectoryError, match=r"did you mean .*/runs/lenet-\d\?"):
        find_run((run.root.parent / "lenet-7").relative_to(tmp_path / "runs"), tmp_path / "runs")


def test_without_runs_it_says_how_to_begin(tmp_path):
    for output in (tmp_path, tmp_path / "none"):
        for find in (lambda output: find_run(None, output), newest_unfinished):
            with pytest.raises(RunDirectoryError, match=r"no run in .* yet; start one with kerasrun train FILE"):
                find(output)


def test_where_there_are_groups_alone_they_are_named(tmp_path):
    for name in ("iris-repeat-2", "iris-repeat-10"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "group.json").touch()
    with pytest.raises(
        RunDirectoryError,
        match=r"no run in .* yet; groups of runs: iris-repeat-2 and iris-repeat-10; kerasrun runs -o .*iris-repeat-10",
    ):
        newest_unfinished(tmp_path)


def test_a_latest_that_leads_nowhere_names_the_runs_that_are_there(tmp_path):
    for name in ("lenet", "mlp"):
        create(tmp_path, name)
    (tmp_path / "mlp-1").rename(tmp_path / "moved")
    with pytest.raises(RunDirectoryError, match="latest points at mlp-1, which is gone; name a run: lenet-1, moved"):
        find_run(None, tmp_path)
    (tmp_path / "latest").unlink()
    with pytest.raises(RunDirectoryError, match="latest is missing; name a run: lenet-1, moved"):
        find_run(None, tmp_path)


@pytest.mark.parametrize("status", ["running", "interrupted", "failed", "paused"])
def test_resume_takes_the_newest_unfinished_run(tmp_path, status):
    runs = [create(tmp_path, name) for name in ("z", "b", "a", "m")]
    for run, value in zip(runs, ["interrupted", status, "finished", "running"], strict=True):
        run.update_run(status=value)
        checkpoints.save(run, 0, b"state", {}, keep=1)
    with lock(runs[3]):  # another process trains this one
        assert newest_unfinished(tmp_path) == runs[1]
    assert newest_unfinished(tmp_path) == runs[3]


def test_resume_takes_the_newest_run_where_all_are_finished(tmp_path):
    for _ in range(2):
        create(tmp_path, "lenet").update_run(status="finished")
    assert newest_unfinished(tmp_path).name == "lenet-2"


def test_a_run_is_listed_with_what_it_reached(tmp_path):
    run = create(tmp_path, "lenet")
    run.update_run(status="interrupted", epochs=12, best={"monitor": "val_loss", "value": 0.25, "epoch": 1})
    for epoch in range(2):
        Table(run.metrics_file).append({"epoch": epoch, "loss": 0.5})
        Table(run.timings_file).append({"epoch": epoch, "seconds": 1.5, "examples_per_second": 100.0})
    (summary,) = list_runs(tmp_path)
    assert (summary.name, summary.status, summary.epochs_done, summary.epochs) == ("lenet-1", "interrupted", 2, 12)
    assert (summary.best_name, summary.best_value, summary.seconds) == ("val_loss", 0.25, 3.0)
    assert summary.started == run.read_run()["started"]


def test_runs_are_listed_by_name_and_number_and_other_folders_are_not(tmp_path):
    for _ in range(11):
        create(tmp_path, "lenet")
    create(tmp_path, "big")
    (tmp_path / "photos").mkdir()
    (tmp_path / "notes.txt").touch()
    assert [run.name for run in list_runs(tmp_path)] == ["big-1", *(f"lenet-{number}" for number in range(1, 12))]
    assert list_runs(tmp_path / "none") == []


def test_who_is_running_is_told_from_who_was_killed(run):
    output = run.root.parent
    assert list_runs(output)[0].status == "killed"
    with lock(run):
        assert list_runs(output)[0].status == "running"


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"format_version": 9}', '{"format_version": 1, "status": "odd"}']
)
def test_a_damaged_run_is_listed_as_such(run, text):
    other = create(run.root.parent, "mlp")
    run.run_file.write_text(text)
    damaged, good = list_runs(run.root.parent)
    assert (damaged.name, damaged.status, damaged.epochs_done) == ("lenet-1", "damaged", None)
    assert str(run.run_file) in damaged.problem
    assert good.name == other.name
    assert newest_unfinished(run.root.parent) == other


def test_a_run_that_may_not_be_looked_into_hides_no_other(run, monkeypatch):
    other = create(run.root.parent, "other")
    stat = type(run.root).stat

    def refused(path, **options):
        if run.root in path.parents:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return stat(path, **options)

    monkeypatch.setattr(type(run.root), "stat", refused)
    closed, open_ = list_runs(run.root.parent)
    assert (closed.name, closed.status, open_.name) == (run.name, "damaged", other.name)
    assert "cannot be read: Permission denied" in closed.problem


def test_a_damaged_table_is_listed_as_damaged(run):
    run.metrics_file.write_text("epoch,loss\n0,abc\n")
    (summary,) = list_runs(run.root.parent)
    assert summary.status == "damaged"
    assert "metrics.csv:2" in summary.problem


def test_a_latest_that_cannot_be_read_is_named(tmp_path, run):
    output = run.root.parent
    (output / "latest").unlink()
    (output / "latest").write_bytes(bytes(2000))
    with pytest.raises(RunDirectoryError, match="latest cannot be read: it has more than 1,000 bytes"):
        find_run(None, output)
