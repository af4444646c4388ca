import errno
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest

import kerasrun
from kerasrun.errors import RunBusyError, RunDirectoryError
from kerasrun.runs.lock import Owner, lock, owner, process_start

HOLD = """
import sys
from pathlib import Path
from kerasrun.runs.directory import RunDirectory
from kerasrun.runs.lock import lock
with lock(RunDirectory(Path(sys.argv[1]))):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(run):
    """Another process that holds the run's lock."""
    environment = os.environ | {"PYTHONPATH": str(Path(kerasrun.__file__).parents[1])}
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, run.root], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    ) as process:
        assert process.stdout.readline() == b"held\n"
        yield process
        process.kill()


def leave(run, **changes):
    run.lock_file.write_text(json.dumps(asdict(replace(Owner.myself(), **changes))))


def test_a_second_process_is_told_who_writes(run, holder):
    with pytest.raises(RunBusyError) as caught, lock(run):
        pass
    who = owner(run)
    assert who.pid == holder.pid
    for essential in (str(run), f"process {holder.pid}", who.host, who.since):
        assert essential in str(caught.value)


def test_a_killed_process_frees_the_run_at_once(run, holder):
    holder.send_signal(signal.SIGKILL)
    os.waitid(os.P_PID, holder.pid, os.WEXITED | os.WNOWAIT)  # dead, and still in the table of processes
    assert run.lock_file.read_text()
    assert owner(run) is None
    with lock(run):
        assert owner(run).pid == os.getpid()


def test_a_process_that_ends_frees_the_run(run, holder):
    holder.communicate()
    assert holder.returncode == 0
    assert owner(run) is None
    with lock(run):
        pass


def test_the_lock_is_free_after_the_block_and_after_its_failure(run):
    with lock(run):
        pass
    assert owner(run) is None
    with pytest.raises(KeyError), lock(run):
        raise KeyError
    assert owner(run) is None
    with lock(run), pytest.raises(RunBusyError), lock(run):
        pass


def test_a_process_id_that_is_used_again_is_not_the_owner(run):
    leave(run, start="long ago")
    assert owner(run) is None
    with lock(run):
        pass


def test_a_machine_that_was_restarted_is_not_the_owner(run):
    leave(run, boot="another")
    assert owner(run) is None
    with lock(run):
        pass


def test_a_container_on_the_same_kernel_is_no_other_machine(run):
    leave(run, host="3f2a9c", start="long ago")
    assert owner(run) is None
    with lock(run):
        pass


def test_the_lock_of_another_machine_is_refused_with_how_to_remove_it(run):
    leave(run, host="far", boot="another", pid=77)
    assert owner(run).host == "far"
    with (
        pytest.raises(RunBusyError, match=rf"process 77 on another machine, far, .* remove {run.lock_file} and try"),
        lock(run),
    ):
        pass
    run.lock_file.unlink()
    with lock(run):
        pass


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"pid": 1}', "\x00" * 200])
def test_what_a_kill_left_in_the_file_locks_nobody_out(run, text):
    run.lock_file.write_text(text)
    assert owner(run) is None
    with lock(run):
        assert owner(run).pid == os.getpid()


@pytest.fixture
def without_locks(monkeypatch):
    """A file system whose kernel has no locks."""

    def flock(descriptor, operation):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock)


def test_without_locks_of_the_kernel_the_content_decides(run, without_locks, caplog):
    with lock(run), pytest.raises(RunBusyError, match=f"process {os.getpid()}"), lock(run):
        pass
    assert [record.getMessage() for record in caplog.records] == [
        f"{run} lies on a file system without locks: {run.lock_file} says that this process writes it, so start no "
        "second one"
    ]
    leave(run, start="long ago")
    with lock(run):
        pass


def test_without_locks_one_of_two_that_begin_in_the_same_instant_gives_way(run, without_locks, monkeypatch):
    monkeypatch.setattr(time, "sleep", lambda seconds: leave(run, pid=77, start="now"))
    with pytest.raises(RunBusyError, match="is being written by process 77"), lock(run):
        pass
    assert '"pid": 77' in run.lock_file.read_text()


@pytest.mark.parametrize("error", [errno.EROFS, errno.EACCES])
def test_a_folder_that_cannot_be_written_says_so(run, failing_disk, error):
    failing_disk.fail(0, error)
    with (
        pytest.raises(RunDirectoryError, match=r"\.lock cannot be written: .*; kerasrun must be able to write"),
        lock(run),
    ):
        pass


def test_a_lock_that_cannot_be_taken_leaves_no_open_file_and_is_free(run, failing_disk, open_files):
    def take():
        with lock(run):
            failing_disk.fail(None)

    opened = open_files()
    for at in range(3):  # open, ftruncate, write
        assert "No space left" in str(failing_disk.attempt(at, errno.ENOSPC, take))
        assert open_files() == opened
    take()


def test_the_owner_removes_what_a_killed_writer_left(run, leftovers):
    (run.root / ".tmp-1-abc-best.keras").write_text("half")
    with lock(run):
        assert leftovers(run.root) == []


def test_a_process_has_one_start_and_a_dead_one_none():
    assert process_start(os.getpid()) == process_start(os.getpid()) is not None
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    assert process_start(child.pid) is None


def test_a_process_may_be_named_by_half_a_letter(tmp_path):
    """Linux cuts names after 15 bytes."""
    program = tmp_path / ("é" * 8)
    program.write_text(f"#!{sys.executable}\nprint(1, flush=True)\ninput()\n")
    program.chmod(0o755)
    with subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        assert process_start(process.pid).isdecimal()
        process.stdin.write(b"\n")
        process.stdin.close()


def test_damage_to_what_a_killed_process_left_is_no_obstacle_or_is_told(run):
    leave(run)
    content = run.lock_file.read_bytes()
    for place in range(0, 8 * len(content), 5):
        damaged = bytearray(content)
        damaged[place // 8] ^= 1 << place % 8
        run.lock_file.write_bytes(damaged)
        try:
            with lock(run):
                pass
        except RunBusyError as error:
            assert str(run.lock_file) in str(error)  # noqa: PT017  either will do


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such pipes")
def test_a_pipe_in_place_of_the_file_is_told_and_nobody_waits(run):
    os.mkfifo(run.lock_file)
    with pytest.raises(RunDirectoryError, match=r"\.lock cannot be written: it is a pipe or a device"), lock(run):
        pass


def test_the_rest_of_a_run_is_not_walked(run):
    (run.root / "notes" / "deep").mkdir(parents=True)
    seen = []
    sys.addaudithook(lambda event, arguments: seen.append(str(arguments[0])) if event == "os.scandir" else None)
    with lock(run):
        pass
    assert not [one for one in seen if "notes" in one]
