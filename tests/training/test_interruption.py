"""Real processes that are stopped: by Ctrl-C, by SIGTERM, by SIGUSR1, by kill."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kerasrun.runs.directory import open_run
from tests import forked
from tests.forked import Forked
from tests.training.exactness import variables_digest

pytestmark = pytest.mark.tensorflow

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}

# So many epochs of so little work that there is time to stop it; the real end is set by the test.
EXPERIMENT = """
data: {npz: {path: digits.npz}}
model: {MLP: {units: [64], dropout: 0.2}}
fit: {epochs: 40, batch_size: 1}
checkpoint: {seconds: 0.5}
"""


@pytest.fixture
def start(tmp_path, digits):
    """Begin training in a process of its own, and wait until a checkpoint beyond the first one is there.

    It is forked, unless it is to be as `fresh` as one that a user starts.
    """
    (tmp_path / "long.yaml").write_text(EXPERIMENT, encoding="utf-8")
    processes = []

    def run(fresh=False):
        command = ["-m", "kerasrun", "train", "long.yaml"]
        process = start_fresh(command, tmp_path) if fresh else Forked(command, tmp_path)
        processes.append(process)
        checkpoints = tmp_path / "runs" / "long-1" / "checkpoints"
        deadline = time.monotonic() + 60
        while not any(path.name.isdecimal() and int(path.name) for path in checkpoints.glob("0*")):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline, "no checkpoint within a minute"
            time.sleep(0.01)
        return process

    yield run
    for process in processes:
        if process.poll() is None:
            process.kill()
            process.communicate()


def start_fresh(arguments, folder):
    command = [sys.executable, *arguments]
    return subprocess.Popen(command, cwd=folder, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize(
    ("number", "name", "code"),
    [
        (signal.SIGINT, "Ctrl-C", 130),
        (signal.SIGTERM, "SIGTERM", 143),
        (signal.SIGUSR1, "SIGUSR1", 143),
        (signal.SIGHUP, "SIGHUP", 143),
    ],
)
def test_a_signal_saves_and_names_the_resume_command(start, tmp_path, number, name, code):
    process = start(fresh=number == signal.SIGTERM)
    begin = time.monotonic()
    process.send_signal(number)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == code
    assert time.monotonic() - begin < 10
    assert re.search(rf"stopped by {name} after step \d+ of 200 in epoch \d+ of 40; everything is saved", stderr)
    assert "kerasrun resume runs/long-1" in stderr
    assert "Traceback" not in stderr
    run = open_run(tmp_path / "runs" / "long-1")
    assert run.read_run()["status"] == "interrupted"
    assert run.read_run()["reason"].startswith(f"stopped by {name} after step")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_while_tensorflow_loads_leaves_the_run_as_it_was(start, tmp_path, number):
    process = start()
    process.kill()
    process.communicate()
    run = open_run(tmp_path / "runs" / "long-1")
    before = run.run_file.read_bytes(), sorted(path.name for path in run.checkpoints.iterdir())
    second = start_fresh(["-m", "kerasrun", "resume", "runs/long-1"], tmp_path)
    deadline = time.monotonic() + 60
    while f'"pid": {second.pid}' not in run.lock_file.read_text():  # taken just before TensorFlow is imported
        assert time.monotonic() < deadline
        time.sleep(0.01)
    second.send_signal(number)
    _, stderr = second.communicate(timeout=30)
    assert second.returncode == 143
    assert f"interrupted by {number.name} before training began" in stderr
    assert "Traceback" not in stderr
    assert (run.run_file.read_bytes(), sorted(path.name for path in run.checkpoints.iterdir())) == before


def test_a_killed_run_resumes_to_the_same_bits(start, tmp_path):
    import kerasrun

    process = start()
    process.kill()
    process.communicate()
    epochs = 3
    killed = open_run(tmp_path / "runs" / "long-1")
    done = len(killed.metrics_file.read_text().splitlines()) if killed.metrics_file.exists() else 0
    whole = kerasrun.train(
        tmp_path / "long.yaml", overrides=[f"fit.epochs={done + epochs}"], output=tmp_path / "uninterrupted"
    )
    kerasrun.resume(killed, overrides=[f"fit.epochs={done + epochs}"])
    assert killed.metrics_file.read_bytes() == whole.metrics_file.read_bytes()
    assert variables_digest(killed.last_model) == variables_digest(whole.last_model)


def test_a_second_process_on_the_run_is_refused_and_told_who_has_it(start, tmp_path):
    process = start()
    second = forked.run(["-m", "kerasrun", "resume", "runs/long-1"], tmp_path)
    assert second.returncode == 1
    assert str(process.pid) in second.stderr
    assert process.poll() is None
