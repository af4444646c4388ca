"""What a process tells its parent, and what becomes of it without one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kerasrun.errors import WorkersError
from kerasrun.workers.channel import VARIABLE, Channel


@pytest.fixture
def speaking():
    """Start a process with a channel; returns it, and the end of the pipe that its parent reads."""
    processes = []

    def start(code):
        reader, writer = os.pipe()
        script = f"from kerasrun.workers.channel import Channel\nchannel = Channel.from_environment()\n{code}"
        processes.append(
            subprocess.Popen(
                [sys.executable, "-c", script], env={**os.environ, VARIABLE: str(writer)}, pass_fds=[writer]
            )
        )
        os.close(writer)
        return processes[-1], os.fdopen(reader, "rb")

    yield start
    for process in processes:
        process.kill()
        process.wait()


def test_messages_are_objects_of_one_line_each(speaking):
    process, pipe = speaking("channel.tell(step=120, epoch=3); channel.tell(run='runs/a\\nb-1')")
    with pipe:
        told = [json.loads(line) for line in pipe]
    assert process.wait() == 0
    assert [message for message in told if message != {"alive": True}] == [
        {"step": 120, "epoch": 3},
        {"run": "runs/a\nb-1"},
    ]


def test_a_process_says_at_once_and_then_each_second_that_it_is_alive(speaking):
    _, pipe = speaking("import time; time.sleep(60)")
    with pipe:
        assert [json.loads(pipe.readline()) for _ in range(2)] == [{"alive": True}] * 2


def test_a_process_without_its_parent_ends_with_a_temporary_failure(speaking):
    process, pipe = speaking("import time; time.sleep(60)")
    pipe.readline()
    pipe.close()
    assert process.wait(timeout=10) == 75


def test_a_process_that_nobody_started_as_a_worker_has_no_channel(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    assert Channel.from_environment() is None


def test_what_a_worker_starts_has_no_part_in_its_channel(speaking):
    process, pipe = speaking(
        "import subprocess, sys\n"
        "number = channel._descriptor\n"
        "child = f'import os; assert \"KERASRUN_CHANNEL\" not in os.environ; os.fstat({number})'\n"
        "done = subprocess.run([sys.executable, '-c', child], close_fds=False, stderr=subprocess.PIPE, text=True)\n"
        "channel.tell(said=done.stderr.splitlines()[-1])"
    )
    with pipe:
        told = [json.loads(line) for line in pipe]
    assert process.wait() == 0
    assert {"said": "OSError: [Errno 9] Bad file descriptor"} in told


def test_messages_of_threads_do_not_mix(speaking):
    # Longer than what the system writes in one piece to a pipe (4096 bytes).
    process, pipe = speaking(
        "import threading\n"
        "tell = lambda letter: [channel.tell(run=letter * 9000) for _ in range(20)]\n"
        "threads = [threading.Thread(target=tell, args=(letter,)) for letter in 'ab']\n"
        "[thread.start() for thread in threads]; [thread.join() for thread in threads]"
    )
    with pipe:
        told = [json.loads(line) for line in pipe]
    assert process.wait() == 0
    assert sorted(message["run"][0] for message in told if "run" in message) == ["a"] * 20 + ["b"] * 20


@pytest.mark.parametrize("written", ["", "abc", "99", "-1", 20 * "9", "a file"])
def test_a_number_that_is_no_pipe_is_refused(monkeypatch, written):
    with Path(os.devnull).open() as file:
        monkeypatch.setenv(VARIABLE, str(file.fileno()) if written == "a file" else written)
        with pytest.raises(WorkersError, match="names no open pipe"):
            Channel.from_environment()
