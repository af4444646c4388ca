"""`kerasrun verify` from the command line, on a machine that does not keep the promise; tests/training/test_trial.py
has one that does.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import kerasrun

ROOT = Path(__file__).parents[2]

# In every process the examples come in another order.
DIFFERENT_IN_EVERY_PROCESS = """
import os
import numpy
seeded = numpy.random.default_rng
numpy.random.default_rng = lambda seed=None: seeded([*seed, os.getpid()])
"""


@pytest.fixture
def experiment(tmp_path):
    rng = np.random.default_rng(1)
    x, y = rng.integers(0, 256, (40, 4, 4), np.uint8), np.arange(40) % 4
    np.savez(tmp_path / "data.npz", x_train=x, y_train=y)
    file = tmp_path / "small.yaml"
    # Adam's first step is the same for all gradients of one sign, so that other examples could give equal weights.
    file.write_text(
        "data: {npz: {path: data.npz}}\nmodel: {MLP: {units: [8]}}\ncompile: {optimizer: SGD}\nfit: {batch_size: 8}\n"
    )
    return file


def command(*arguments, cwd, path=""):
    path = os.pathsep.join(filter(None, [str(path), str(ROOT)]))
    # Python would keep what it compiled of `sitecustomize` beside it.
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
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


@pytest.mark.long
@pytest.mark.tensorflow
def test_other_bits_are_a_no_that_names_the_variable(experiment, tmp_path):
    """Of a run whose threads are others than this machine's, and whose resolved experiment somebody has edited."""
    run = kerasrun.train(experiment, output=tmp_path / "runs")
    run.update_run(device={**run.read_run()["device"], "threads": {"intra_op": 1, "inter_op": 1}})
    run.resolved_file.write_text(run.resolved_file.read_text().replace("batch_size: 8", "batch_size: 0"))
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(DIFFERENT_IN_EVERY_PROCESS)
    before = contents(tmp_path)
    process = command(run.name, "--steps", "4", cwd=tmp_path, path=tmp_path / "site")
    stdout, stderr = process.communicate()
    assert process.returncode == 1, stderr
    # The first and the second training share a process.
    assert stdout.startswith(
        "cut after step 3 and resumed: model/0000/dense1/kernel differs first, after step 1; at the"
    )
    assert "TensorFlow starts three times" in stderr
    assert "resolved.yaml is not what kerasrun wrote" in stderr
    assert "error: this machine does not keep the promise of equal bits in 4 steps on CPU, 1 threads" in stderr
    assert contents(tmp_path) == before


@pytest.fixture
def verifying(experiment, tmp_path):
    """`kerasrun verify` when a process of its own has begun to train."""
    heard = signal.signal(signal.SIGINT, signal.default_int_handler)  # a test in the background inherits it ignored
    process = command(experiment, cwd=tmp_path)
    signal.signal(signal.SIGINT, heard)
    while not children(process.pid):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)
    yield process
    process.kill()
    process.communicate()


def children(pid):
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


@pytest.mark.tensorflow
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="Linux only")
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -signal.SIGKILL)]
)
def test_whatever_ends_it_leaves_nothing(verifying, tmp_path, number, code):
    before = [Path("data.npz"), Path("small.yaml")]
    (trainer,) = children(verifying.pid)
    verifying.send_signal(number)
    stderr = verifying.stderr.read()
    assert (verifying.wait(60), "Traceback" in stderr) == (code, False)
    ended = time.monotonic() + 60  # TensorFlow, if it is being loaded, keeps every thread waiting
    while Path(f"/proc/{trainer}").exists() or contents(tmp_path) != before:
        assert time.monotonic() < ended, contents(tmp_path)
        time.sleep(0.05)
