"""`rm`: what is removed, what is not, and where `latest` leads afterwards."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kerasrun import cli
from kerasrun.errors import ModelFileError, RunBusyError, RunDirectoryError, UsageError
from kerasrun.runs import checkpoints
from kerasrun.runs.directory import create, run_names
from kerasrun.runs.listing import summary_of
from kerasrun.runs.lock import lock
from kerasrun.runs.removal import remove, size


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """Three finished runs, each with a checkpoint and two models of 1,000 bytes."""
    monkeypatch.chdir(tmp_path)
    made = [create(tmp_path / "runs", "lenet") for _ in range(3)]
    for run in made:
        checkpoints.save(run, 0, bytes(1000), {}, keep=1)
        for file in (run.best_model, run.last_model):
            file.write_bytes(bytes(1000))
        run.metrics_file.write_text("epoch,loss\n1,0.5\n")
        run.update_run(status="finished")
    return made


def rm(*arguments):
    cli.app(["rm", *map(str, arguments)], standalone_mode=False)


def left():
    return run_names(Path("runs"))


def test_runs_are_removed_and_what_is_free_is_said(runs, capsys):
    rm("lenet-1", "runs/lenet-3", "lenet-1", "--yes")
    assert left() == ["lenet-2"]
    said = capsys.readouterr().out.splitlines()
    assert [line.split(": ")[0] for line in said] == ["runs/lenet-1", "runs/lenet-3"]
    assert all(line.endswith(" kB freed") for line in said)


def test_latest_leads_to_the_newest_that_is_left(runs):
    rm("lenet-1", "-y")
    latest = runs[0].root.parent / "latest"
    assert latest.resolve().name == "lenet-3"
    rm("latest", "-y")
    assert latest.resolve().name == "lenet-2"
    rm("lenet-2", "-y")
    assert list(latest.parent.iterdir()) == []


@pytest.mark.parametrize("next_command", [lambda: rm("lenet-2", "-y"), lambda: create(Path("runs"), "lenet")])
def test_a_removal_that_was_killed_is_finished_by_the_next_command(runs, monkeypatch, next_command):
    class Killed(BaseException):
        pass

    def die(entry):
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr("kerasrun.runs.atomic._remove", die)
        with pytest.raises(Killed):
            rm("lenet-1", "-y")
    (Path("runs") / ".mine").mkdir()
    assert len(list(Path("runs").glob(".tmp-*"))) == 1
    next_command()
    assert [path.name for path in Path("runs").glob(".*")] == [".mine"]


def test_the_best_model_and_the_numbers_can_be_kept(runs, capsys):
    run = runs[0]
    (run.root / "notes.txt").write_text("mine")
    rm("lenet-1", "--keep", "best", "--yes")
    assert sorted(path.name for path in run.root.iterdir()) == [
        *(".lock", "best.keras", "metrics.csv", "notes.txt", "run.json")
    ]
    progress = 2000 < int(float(capsys.readouterr().out.split(": ")[1].split()[0]) * 1000) < 3000
    assert progress, "the checkpoint and last.keras, 1,000 bytes each, and progress.json"
    run.best_model.unlink()
    with pytest.raises(ModelFileError, match="to be kept; nothing was removed"):
        rm("lenet-1", "--keep", "best", "--yes")


@pytest.mark.parametrize("status", ["running", "interrupted", "failed", "paused"])
def test_an_unfinished_run_stays_and_with_it_all_others_unless_forced(runs, status):
    runs[1].update_run(status=status)
    shown = "killed" if status == "running" else status
    with pytest.raises(
        RunDirectoryError, match=f"lenet-2 is not finished: it is {shown}\nnothing was removed; --force"
    ):
        rm("lenet-1", "lenet-2", "--yes")
    assert len(left()) == 3
    rm("lenet-1", "lenet-2", "--yes", "--force")
    assert left() == ["lenet-3"]


def test_a_run_that_a_process_writes_stays_unless_forced(runs):
    with lock(runs[0]):
        with pytest.raises(RunDirectoryError, match=r"lenet-1 is being written by process \d+"):
            rm("lenet-1", "--yes")
        with pytest.raises(RunBusyError):
            remove(runs[0], keep_best=False, force=False)  # one that was begun after it was looked at
        rm("lenet-1", "--yes", "--force")
    assert left() == ["lenet-2", "lenet-3"]


def test_no_link_is_followed(runs, tmp_path, capsys):
    elsewhere = tmp_path / "elsewhere"
    runs[0].root.rename(elsewhere)
    runs[0].root.symlink_to(elsewhere, target_is_directory=True)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "photo.png").touch()
    (runs[1].root / "exports").symlink_to(tmp_path / "mine", target_is_directory=True)
    rm("lenet-2", "--keep", "best", "--yes")
    rm("lenet-1", "lenet-2", "--yes")
    assert left() == ["lenet-3"]
    assert "runs/lenet-1: 0 B freed" in capsys.readouterr().out
    assert (elsewhere / "run.json").exists()
    assert (tmp_path / "mine" / "photo.png").exists()


@pytest.mark.parametrize("name", ["checkpoints", "exports"])
def test_the_files_behind_a_link_in_place_of_a_folder_are_not_counted(runs, tmp_path, name):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "film.mp4").write_bytes(bytes(10**6))
    if (runs[0].root / name).exists():
        (runs[0].root / name).rename(tmp_path / "before")
    (runs[0].root / name).symlink_to(tmp_path / "mine", target_is_directory=True)
    assert size(runs[0], keep_best=True) < 10**6


def test_what_is_no_run_is_never_removed(runs, tmp_path):
    (tmp_path / "photos").mkdir()
    for folder in ("photos", "runs", ".", "none"):
        with pytest.raises(RunDirectoryError):
            rm(folder, "--yes", "--force")
    assert (tmp_path / "photos").is_dir()


@pytest.mark.parametrize(("answer", "count"), [("y\n", 2), ("\n", 3), ("n\n", 3), ("", 3)])
def test_a_terminal_is_asked(runs, monkeypatch, capsys, answer, count):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    if count == 3:
        with pytest.raises(RunDirectoryError, match="nothing was removed"):
            rm("lenet-1")
    else:
        rm("lenet-1")
    assert len(left()) == count
    assert "remove runs/lenet-1: " in capsys.readouterr().err


def test_where_nobody_can_be_asked_nothing_is_removed(runs, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    with pytest.raises(UsageError, match="give --yes"):
        rm("lenet-1")
    assert len(left()) == 3


def test_folders_are_removed_however_deep_and_links_in_them_alone(runs, tmp_path):
    (tmp_path / "other" / "deep").mkdir(parents=True)
    (tmp_path / "other" / "file").write_text("mine")
    deep = runs[0].root / (1_200 * "a/")
    subprocess.run(["mkdir", "-p", str(deep)], check=True)
    for place in (runs[0].root, runs[0].root / "a", deep.parents[1195]):
        (place / "folder").symlink_to(tmp_path / "other")
        (place / "file").symlink_to(tmp_path / "other" / "file")
        (place / "other").mkdir()
        (place / "other" / "file").touch()
    try:
        rm("lenet-1", "--yes")
        assert left() == ["lenet-2", "lenet-3"]
        assert sorted(path.name for path in runs[0].root.parent.iterdir()) == ["latest", "lenet-2", "lenet-3"]
        assert (tmp_path / "other" / "file").read_text() == "mine"
        assert (tmp_path / "other" / "deep").is_dir()
    finally:  # pytest could not
        subprocess.run(["rm", "-rf", str(runs[0].root.parent)], check=True)


def test_a_path_longer_than_the_system_takes_is_removed(runs, capsys, monkeypatch):
    monkeypatch.chdir(runs[0].root)
    for _ in range(20):
        Path("d" * 240).mkdir()
        os.chdir("d" * 240)
    os.chdir(runs[0].root.parent.parent)
    try:
        assert summary_of(runs[0]).bytes is None
        cli.app(["runs"], standalone_mode=False)
        listed = capsys.readouterr().out.splitlines()
        assert [("lenet-1" in line, " -" in line) for line in listed if "lenet-" in line].count((True, True)) == 1
        rm("lenet-1", "lenet-2", "--yes")
    finally:  # pytest could not
        subprocess.run(["rm", "-rf", str(runs[0].root)], check=True)
    assert left() == ["lenet-3"]
    assert "runs/lenet-1: 0 B and more freed" in capsys.readouterr().out


def test_a_run_by_two_paths_is_one(runs, capsys):
    rm("runs/lenet-1", "runs/../runs/lenet-1", "--yes")
    assert left() == ["lenet-2", "lenet-3"]


def test_latest_leads_nowhere_but_to_its_own_folder(runs, tmp_path):
    elsewhere = create(tmp_path / "elsewhere", "mine")
    elsewhere.update_run(status="finished")
    latest = runs[0].root.parent / "latest"
    latest.unlink()
    latest.symlink_to(elsewhere.root)
    with pytest.raises(RunDirectoryError, match="leads to another folder"):
        rm("latest", "--yes")
    assert elsewhere.is_run()
