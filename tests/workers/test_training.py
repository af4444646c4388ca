"""One run in several processes, from the command line to its files: small trainings on digits of 8×8 pixels."""

import csv
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import h5py
import numpy as np
import pytest

from kerasrun.workers.cluster import Place, free_addresses
from tests import forked

ROOT = Path(__file__).parents[2]
DIGITS = ROOT / "data" / "digits" / "digits.npz"
pytestmark = [
    pytest.mark.tensorflow,
    pytest.mark.skipif(sys.platform != "linux", reason="the workers are found in /proc"),
]

# Batches of 48, 48, 48, 48 and 8 examples.
EXPERIMENT = """
name: small
seed: 3
data: {npz: {path: digits.npz}}
model: {MLP: {units: [16], dropout: 0.2}}
compile: {optimizer: {Adam: {learning_rate: 0.01}}, metrics: [accuracy]}
fit: {batch_size: 48, epochs: 8, validation_data: test}
checkpoint: {seconds_between: 0}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The experiment, 200 + 60 digits, and two whole runs of one process: of whole batches, and of two shards."""
    folder = tmp_path_factory.mktemp("workers")
    with np.load(DIGITS) as digits:
        kept = {name: digits[name][: 200 if "train" in name else 60] for name in digits}
    np.savez(folder / "digits.npz", **{name: one[:, ::4, ::4] if one.ndim > 1 else one for name, one in kept.items()})
    (folder / "small.yaml").write_text(EXPERIMENT, encoding="utf-8")
    for name, options in {"one": (), "sharded": ("--shards", 2)}.items():
        done = forked.run(["-m", "kerasrun", "train", "small.yaml", "-o", name, *options], folder)
        assert done.returncode == 0, done.stderr
    return folder


@contextmanager
def started(folder, *arguments):
    """A parent whose workers are started as a user's, and all of it ended afterwards: without a parent, workers end."""
    process = subprocess.Popen(
        [sys.executable, "-m", "kerasrun", *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@contextmanager
def forked_parent(folder, *arguments):
    """The same with processes that need not load TensorFlow."""
    process = forked.Forked(["-m", "kerasrun", *arguments], folder)
    try:
        yield process
    finally:
        process.kill()


# Root may have everything read-only for one process alone, but a folder for temporary files.
READ_ONLY = """
import ctypes, tempfile, os
libc = ctypes.CDLL(None)
if os.geteuid() == 0 and libc.unshare(0x20000) == 0:  # CLONE_NEWNS
    libc.mount(None, b"/", None, 0x44000, None)  # MS_REC | MS_PRIVATE
    with open("/proc/self/mounts", "rb") as mounts:
        for line in mounts.readlines():
            libc.mount(None, line.split()[1], None, 0x1021, None)  # MS_REMOUNT | MS_BIND | MS_RDONLY
    libc.mount(b"tmpfs", b"/var/tmp", b"tmpfs", 0, None)
    tempfile.tempdir = os.environ["TMPDIR"] = "/var/tmp"
    assert not os.access(".", os.W_OK)
from kerasrun.cli import main
main()
"""


@pytest.fixture
def together(folder, monkeypatch):
    """Run a command for each rank, as where a cluster starts them, to the end of all; rank 0 alone can write."""

    def run(*commands):
        addresses = free_addresses(len(commands))
        with ExitStack() as stack:
            processes = []
            for rank, command in enumerate(commands):
                monkeypatch.setenv("TF_CONFIG", Place(rank, len(commands), addresses).tf_config())
                program = ["-c", READ_ONLY] if rank else ["-m", "kerasrun"]
                processes.append(forked.Forked([*program, *command], folder))
                stack.callback(processes[-1].kill)
            ends = [(process.communicate(), process.wait()) for process in processes]
        assert {code for _, code in ends} == {0}, ends

    return run


def worker(parent, rank):
    """The number of the process of a rank."""
    for child in Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split():
        variables = dict(one.split("=", 1) for one in Path(f"/proc/{child}/environ").read_text().split("\0") if one)
        if json.loads(variables["TF_CONFIG"])["task"]["index"] == rank:
            return int(child)
    raise AssertionError(f"no process of rank {rank}")


def forked_worker(parent, rank):
    """The same of a forked parent, which has them forked one after the other, each by a process that waits for it."""

    def children(pid):
        return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()

    (forking,) = children(parent.pid)
    (pid,) = children(children(forking)[rank])
    return int(pid)


def wait_for_checkpoint(runs):
    """Wait until training goes on from an epoch that is saved."""
    deadline = time.monotonic() + 60
    while not any(int(path.name) for path in runs.glob("*/checkpoints/[0-9]*") if path.name.isdecimal()):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def bits(run):
    """The digest of every variable in the newest checkpoint, and of the table."""
    found = hashlib.sha256((run / "metrics.csv").read_bytes())
    newest = max(path for path in run.glob("checkpoints/[0-9]*") if path.name.isdecimal())

    def add(name, entry):
        if isinstance(entry, h5py.Dataset):
            found.update(name.encode() + entry[()].tobytes())

    with h5py.File(newest / "state.h5") as state:
        state.visititems(add)
    return newest.name, found.hexdigest()


def rows(run):
    with (run / "metrics.csv").open(encoding="utf-8") as file:
        return np.array([[float(value) for value in row.values()] for row in csv.DictReader(file)])


@pytest.mark.long
def test_two_workers_of_which_one_is_killed_end_with_the_bits_of_one_process(folder):
    with started(folder, "train", "small.yaml", "--workers", 2, "-o", "killed") as parent:
        wait_for_checkpoint(folder / "killed")
        os.kill(worker(parent, 1), signal.SIGKILL)
        _, said = parent.communicate(timeout=120)
    assert parent.returncode == 0, said
    assert said.count("was killed by SIGKILL, after step ") == said.count("going on from the checkpoint of step ") == 1
    run = folder / "killed" / "small-1"
    assert bits(run) == bits(folder / "sharded" / "small-1")
    np.testing.assert_allclose(rows(run), rows(folder / "one" / "small-1"), rtol=0, atol=1e-6)


@pytest.mark.long
def test_compressed_gradients_are_the_same_bits_whoever_computes_them_and_nearly_those_of_whole_ones(folder, together):
    command = ["train", "small.yaml", "-s", "compress=float16", "-o"]
    done = forked.run(["-m", "kerasrun", *command, "rounded", "--shards", 2], folder)
    assert done.returncode == 0, done.stderr
    together([*command, "together"], [*command, "together"])
    run = folder / "rounded" / "small-1"
    assert bits(run) == bits(folder / "together" / "small-1") != bits(folder / "sharded" / "small-1")
    np.testing.assert_allclose(rows(run), rows(folder / "sharded" / "small-1"), rtol=0, atol=1e-3)


@pytest.mark.long
def test_a_worker_that_is_told_to_stop_has_all_save_once_and_others_go_on_without_the_run(folder, together):
    with forked_parent(folder, "train", "small.yaml", "--workers", 2, "-o", "stopped") as parent:
        wait_for_checkpoint(folder / "stopped")
        os.kill(forked_worker(parent, 1), signal.SIGTERM)
        _, said = parent.communicate(timeout=120)
    assert parent.returncode == 143, said
    assert said.count("stopped by SIGTERM") == 1

    run = folder / "stopped" / "small-1"
    together(["resume", run], ["resume", "nowhere/small-1", "-o", "nowhere"])
    assert bits(run) == bits(folder / "sharded" / "small-1")
    assert not (folder / "nowhere").exists()


# The layer is traced in both processes; once it has been called some times, one of them cannot go on.
PLUGIN = """
import json
import os
import keras
import tensorflow as tf

calls = []

def fail_later(x):
    calls.append(x)
    if len(calls) > 8:
        raise RuntimeError("this machine has no more")
    return x

@keras.saving.register_keras_serializable()
class Failing(keras.layers.Layer):
    def call(self, x):
        if json.loads(os.environ["TF_CONFIG"])["task"]["index"] == RANK:
            return tf.ensure_shape(tf.py_function(fail_later, [x], x.dtype), x.shape)
        return x
"""


def test_a_dry_run_in_two_processes_tries_a_batch_and_leaves_nothing(folder, together):
    together(*[["train", "small.yaml", "--dry-run", "-o", "dry"]] * 2)
    assert not (folder / "dry").exists()


@pytest.mark.long
@pytest.mark.parametrize(("rank", "prefix"), [(0, ""), (1, "worker 1: ")])
def test_an_error_in_a_step_of_one_alone_ends_all_with_one_message(folder, rank, prefix):
    (folder / "failing.py").write_text(PLUGIN.replace("RANK", str(rank)), encoding="utf-8")
    model = "model: {layers: [Flatten, Failing, {Dense: {units: 10, activation: softmax}}]}\nplugins: [failing.py]"
    text = EXPERIMENT.replace("model: {MLP: {units: [16], dropout: 0.2}}", model)
    (folder / "failing.yaml").write_text(text, encoding="utf-8")
    with forked_parent(folder, "-q", "train", "failing.yaml", "--workers", 2, "-o", "failed") as parent:
        _, said = parent.communicate(timeout=120)
    assert parent.returncode == 1, said
    assert said.startswith(f"{prefix}error: ")
    assert said.count("error: ") == 1


def test_a_batch_that_leaves_a_shard_empty_is_refused_in_one_sentence(folder):
    done = forked.run(["-m", "kerasrun", "-q", "train", "small.yaml", "-o", "refused", "--shards", 16], folder)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "error: the last batch of 200 examples in batches of 48 has 8, fewer than the 16 parts that workers share: set "
        "another fit.batch_size"
    )
    assert not (folder / "refused").exists()
