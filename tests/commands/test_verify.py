"""`kerasrun verify` from the command line, on a machine that keeps the promise and on one that does not."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import kerasrun
from tests.training.exactness import write_experiment

pytestmark = pytest.mark.tensorflow
ROOT = Path(__file__).parents[2]

# In every process the examples come in another order.
DIFFERENT_IN_EVERY_PROCESS = """
import os
import numpy
seeded = numpy.random.default_rng
numpy.random.default_rng = lambda seed=None: seeded([*seed, os.getpid()])
"""


def command(*arguments, cwd, path=""):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [str(path), str(ROOT)]))}
    return subprocess.Popen(
        [sys.executable, "-m", "kerasrun", "verify", *map(str, arguments)],
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def contents(folder):
    return sorted(path.relative_to(folder) for path in folder.rglob("*"))


def test_equal_bits_are_a_yes_and_leave_nothing(tmp_path):
    """With augmentation, Dropout, BatchNormalization, validation and callbacks."""
    write_experiment(tmp_path)
    before = contents(tmp_path)
    process = command("exact.yaml", "--steps", "8", "--json", cwd=tmp_path)
    stdout, stderr = process.communicate()
    assert process.returncode == 0, stderr
    report = json.loads(stdout)
    assert (report["exact"], report["steps"], report["cut"], report["differences"]) == (True, 8, 5, [])
    assert "TensorFlow starts three times" in stderr
    assert contents(tmp_path) == before


def test_other_bits_are_a_no_that_names_the_variable(tmp_path):
    write_experiment(tmp_path)
    (tmp_path / "small.yaml").write_text("data: {npz: {path: digits.npz}}\nmodel: {MLP: {units: [8]}}\n")
    run = kerasrun.train(tmp_path / "small.yaml", output=tmp_path / "runs")
    run.update_run(device={**run.read_run()["device"], "threads": {"intra_op": 1, "inter_op": 1}})
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(DIFFERENT_IN_EVERY_PROCESS)
    before = contents(run.root)
    process = command(run.name, "--steps", "4", cwd=tmp_path, path=tmp_path / "site")
    stdout, stderr = process.communicate()
    assert process.returncode == 1, stderr
    # The first and the second training share a process.
    assert stdout.startswith(
        "cut after step 3 and resumed: model/0000/dense1/kernel differs first, after step 1; at the"
    )
    assert "error: this machine does not keep the promise of equal bits in 4 steps on CPU, 1 threads" in stderr
    assert contents(run.root) == before


def test_ctrl_c_leaves_nothing(tmp_path):
    write_experiment(tmp_path)
    before = contents(tmp_path)
    heard = signal.signal(signal.SIGINT, signal.default_int_handler)  # a test in the background inherits it ignored
    process = command("exact.yaml", cwd=tmp_path)
    signal.signal(signal.SIGINT, heard)
    while not list(tmp_path.glob(".verify-*/settings.json")):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert (process.returncode, "Traceback" in stderr) == (130, False)
    assert contents(tmp_path) == before
