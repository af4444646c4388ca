"""A machine that sleeps, a process that is stopped and clocks that jump change no bit of a training."""

import signal
import time
from pathlib import Path

import pytest

import kerasrun
from kerasrun.runs.directory import open_run
from tests import forked
from tests.training.exactness import variables_digest

pytestmark = pytest.mark.tensorflow

# A time of day that goes back by hours and a year and on again, and a clock that a suspended machine put minutes on.
JUMPING = """
import itertools, time
now, steady, asked = time.time, time.monotonic, itertools.count()
time.time = lambda: now() + (0, 3600, -86400, 31536000, -7200)[next(asked) % 5]
time.monotonic = lambda: steady() + 60 * (next(asked) // 100)
"""
EXPERIMENT = """
data: {npz: {path: digits.npz}}
model: {MLP: {units: [16], dropout: 0.2}}
fit: {epochs: 3, batch_size: 16, validation_data: test}
callbacks: [{TensorBoard: {}}, {EarlyStopping: {patience: 9}}]
checkpoint: {seconds: 0.2}
"""
TRAIN = "import kerasrun; kerasrun.train('clock.yaml', output='other')"


@pytest.fixture
def whole(tmp_path, digits, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "clock.yaml").write_text(EXPERIMENT)
    return kerasrun.train("clock.yaml")


def same_bits(whole):
    other = open_run("other/clock-1")
    assert other.read_run()["status"] == "finished"
    assert other.metrics_file.read_bytes() == whole.metrics_file.read_bytes()
    assert variables_digest(other.last_model) == variables_digest(whole.last_model)


@pytest.mark.long
def test_clocks_that_jump_change_nothing(whole):
    forked.run(["-c", JUMPING + TRAIN], Path.cwd()).check_returncode()
    same_bits(whole)


@pytest.mark.long
def test_a_process_that_is_stopped_and_goes_on_changes_nothing(whole):
    process, stops = forked.Forked(["-c", TRAIN], Path.cwd()), 0
    try:
        while process.poll() is None:
            time.sleep(0.2)
            process.send_signal(signal.SIGSTOP)
            time.sleep(0.1)
            process.send_signal(signal.SIGCONT)
            stops += 1
    finally:
        process.kill()
        said = process.communicate()
    assert (process.returncode, stops > 1) == (0, True), said
    same_bits(whole)
