"""`kerasrun doctor`: what it says of two processes, and that it refuses those that do not agree."""

import json
import re
from contextlib import ExitStack

import numpy as np
import pytest

from kerasrun.errors import UsageError
from kerasrun.training.doctor import Gain, Work, doctor
from kerasrun.workers.cluster import Place, free_addresses
from kerasrun.workers.network import Network
from tests import forked

# A worker passes on half of 1 MB twice, at 1 MB/s: a second, beside the message.
SLOW = Network("slow", 0.0, 1e6)


def test_a_gain_is_what_remains_of_computation_beside_what_the_network_takes():
    found = Gain.of(SLOW, workers=2, step=4.0, gradients=1_000_000)
    assert (found.computation, found.communication, found.step, found.gain) == (2.0, 1.0, 3.0, pytest.approx(4 / 3))


@pytest.mark.parametrize(
    ("steps", "sentence"),
    [
        ((4.0,), ""),
        ((1.0,), "\nno gain, one process is faster"),
        ((1.0, 4.0), "\nbelow 1×: no gain, one process is fa"),
    ],
)
def test_where_one_process_is_faster_it_says_so(steps, sentence):
    gains = tuple(Gain.of(SLOW, 2, step, 1_000_000) for step in steps)
    said = Work("lenet", 32, steps[0], 1_000_000, gains).to_text()
    assert sentence in said
    assert ("no gain" in said) == bool(sentence)


def test_changes_without_an_experiment_are_refused():
    with pytest.raises(UsageError, match="name its FILE"):
        doctor(overrides=["seed=2"])


@pytest.fixture
def together(tmp_path, monkeypatch):
    """Run a command in each of several processes of a cluster, to (stdout, stderr), exit code of each."""
    rng = np.random.default_rng(1)
    np.savez(tmp_path / "data.npz", x_train=rng.integers(0, 256, (40, 4, 4), np.uint8), y_train=np.arange(40) % 4)
    (tmp_path / "small.yaml").write_text("data: {npz: {path: data.npz}}\nmodel: {MLP: {units: [8]}}\n")

    def run(*commands):
        addresses = free_addresses(len(commands))
        with ExitStack() as stack:
            processes = []
            for rank, command in enumerate(commands):
                monkeypatch.setenv("TF_CONFIG", Place(rank, len(commands), addresses).tf_config())
                processes.append(forked.Forked(command, tmp_path))
                stack.callback(processes[-1].kill)
            return [(process.communicate(), process.wait()) for process in processes]

    return run


COMMAND = ("-m", "kerasrun", "doctor", "small.yaml")

# TensorFlow's cluster takes SIGTERM for itself, unless it is taken back.
ANOTHER_EXPERIMENT = """
import os, signal, sys, kerasrun
import numpy as np
arrays = dict(np.load("data.npz"))
arrays["x_train"][7, 0, 0] ^= 1
np.savez("other.npz", **arrays)
signal.signal(signal.SIGTERM, lambda *_: sys.exit("SIGTERM was heard"))
try:
    kerasrun.doctor("small.yaml", overrides=["data.npz.path=other.npz"])
except kerasrun.errors.WorkersError as error:
    print("error:", error, file=sys.stderr)
    os.kill(os.getpid(), signal.SIGTERM)
"""


@pytest.mark.long
@pytest.mark.tensorflow
def test_rank_0_tells_of_all_and_nothing_is_written(together, tmp_path):
    command = [*COMMAND, "--json", "-s", "fit.batch_size=8"]
    ((told, said), code), ((nothing, _), other) = together(command, command)
    assert (code, nothing, other) == (0, "", 0), said
    found = json.loads(told)
    assert len(found["workers"]) == 2
    small, large = found["sums"].values()
    assert 0 < small < large
    assert "here they gain nothing" in found["notes"][0]
    assert found["work"]["gradients"] == 4 * ((16 * 8 + 8) + (8 * 4 + 4))
    assert [one["workers"] for one in found["work"]["gains"]] == [2, 4, 8]
    assert {file.name for file in tmp_path.iterdir()} == {"data.npz", "small.yaml"}


@pytest.mark.tensorflow
def test_workers_that_do_not_agree_are_named_with_exit_code_1_and_hear_signals(together):
    (leader, code), (other, _) = together(COMMAND, ["-c", ANOTHER_EXPERIMENT])
    assert code == 1
    wrong = r"^error: worker 1 \(127.0.0.1:\d+\) has another experiment and content of the data than rank 0$"
    for told, said in (leader, other):
        assert not told
        assert re.search(wrong, said, re.MULTILINE)
    assert other[1].endswith("SIGTERM was heard\n")
