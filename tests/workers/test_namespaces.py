"""Network namespaces as machines: each worker has an address of its own, and a cable that can be cut."""

import itertools
import json
import os
import shutil
import subprocess
import time

import numpy as np
import pytest

from kerasrun.runs.directory import RunDirectory
from tests.forked import Forked
from tests.training.exactness import DIGITS, variables_digest

pytestmark = pytest.mark.tensorflow

WORKERS = 3
_numbers = itertools.count()

EXPERIMENT = """
name: run
seed: 7
data: {npz: {path: digits.npz}}
model: {MLP: {units: [8], dropout: 0.2}}
compile: {optimizer: {Adam: {learning_rate: 1e-3}}}
fit: {batch_size: 31, epochs: 60, validation_data: test}
checkpoint: {epochs: 2}
"""

# One core for each, so that one process for all shards has as many threads for each of them.
IN_NAMESPACE = """
import ctypes, os, sys
namespace, core = sys.argv.pop(1), int(sys.argv.pop(1))
cores = sorted(os.sched_getaffinity(0))
os.sched_setaffinity(0, {cores[core % len(cores)]})
if namespace != "-" and ctypes.CDLL(None).setns(os.open("/run/netns/" + namespace, os.O_RDONLY), 0):
    sys.exit("cannot enter " + namespace)
from kerasrun.cli import main
main()
"""


class Machines:
    """Namespaces on one bridge, 5 ms from each other where the kernel can delay."""

    def __init__(self):
        self.bridge = f"kr{os.getpid() % 10**6}x{next(_numbers)}"
        self.started = []
        self.addresses = [f"10.77.5.{rank + 1}:2222" for rank in range(WORKERS)]

    def named(self, rank):
        return f"{self.bridge}-{rank}"

    def begin(self):
        ip("link", "add", self.bridge, "type", "bridge")
        ip("link", "set", self.bridge, "up")
        for rank in range(WORKERS):
            name, cable = self.named(rank), self.named(rank)
            ip("netns", "add", name)
            ip("link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", name)
            ip("link", "set", cable, "master", self.bridge, "up")
            ip("-n", name, "addr", "add", f"10.77.5.{rank + 1}/24", "dev", "eth0")
            ip("-n", name, "link", "set", "eth0", "up")
            ip("-n", name, "link", "set", "lo", "up")
            delay = ["tc", "-n", name, "qdisc", "add", "dev", "eth0", "root", "netem", "delay", "5ms"]
            if subprocess.run(delay, capture_output=True).returncode:
                print("this kernel cannot delay packets (netem): without delay")

    def end(self):
        for worker in self.started:
            worker.kill()
        for rank in range(WORKERS):
            subprocess.run(["ip", "netns", "del", self.named(rank)], capture_output=True)
        subprocess.run(["ip", "link", "del", self.bridge], capture_output=True)

    def start(self, monkeypatch, folder, *arguments):
        """The same command in each of them, as a cluster starts it."""
        begun = len(self.started)
        for rank in range(WORKERS):
            place = {"cluster": {"worker": self.addresses}, "task": {"type": "worker", "index": rank}}
            monkeypatch.setenv("TF_CONFIG", json.dumps(place))
            self.started.append(Forked(["-c", IN_NAMESPACE, self.named(rank), rank, *arguments], folder))
        monkeypatch.delenv("TF_CONFIG")
        return self.started[begun:]


def ip(*arguments):
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


@pytest.fixture
def machines():
    if not hasattr(os, "geteuid") or os.geteuid() or not shutil.which("ip") or not shutil.which("tc"):
        pytest.skip("needs root and iproute2")
    machines = Machines()
    try:
        try:
            machines.begin()
        except subprocess.CalledProcessError as error:
            pytest.skip(f"root may not make network namespaces here: {error.stderr.decode()}")
        yield machines
    finally:
        machines.end()


@pytest.fixture
def folder(tmp_path):
    with np.load(DIGITS) as digits:
        np.savez(tmp_path / "digits.npz", **{name: digits[name][:100] for name in digits})
    (tmp_path / "run.yaml").write_text(EXPERIMENT)
    return tmp_path


def ends(processes):
    """Exit code and last line of stderr of each, which may take a minute."""
    said = [process.communicate(60)[1] for process in processes]
    return [(process.returncode, text.splitlines()[-1]) for process, text in zip(processes, said, strict=True)]


def wait_for_a_checkpoint(run, after, seconds=60):
    end = time.monotonic() + seconds
    while not any(int(one.name) > after for one in run.checkpoints.glob("[0-9]*")):
        assert time.monotonic() < end
        time.sleep(0.005)


def content(run):
    return variables_digest(run.last_model), run.metrics_file.read_bytes()


@pytest.mark.long
def test_workers_whose_cable_was_cut_end_within_20_s_and_resume_to_the_same_bits(machines, folder, monkeypatch):
    command = ["train", "run.yaml", "--shards", WORKERS]
    alone = Forked(["-c", IN_NAMESPACE, "-", 0, *command, "-o", "alone"], folder)
    assert ends([alone])[0][0] == 0

    workers = machines.start(monkeypatch, folder, *command)
    run = RunDirectory(folder / "runs" / "run-1")
    wait_for_a_checkpoint(run, after=10)
    ip("link", "set", machines.named(1), "down")
    cut_at = time.monotonic()
    ended = ends(workers)
    assert time.monotonic() - cut_at < 20
    for rank, lost in enumerate([1, 0, 1]):
        code, said = ended[rank]
        assert code == 143
        assert f"worker {lost} ({machines.addresses[lost]})" in said.partition(" lost, ")[0]
        assert f" of worker {rank} ({machines.addresses[rank]}); start all again" in said

    ip("link", "set", machines.named(1), "up")
    ended = ends(machines.start(monkeypatch, folder, "resume", "runs/run-1"))
    assert [code for code, _ in ended] == [0] * WORKERS, ended
    assert content(run) == content(RunDirectory(folder / "alone" / "run-1"))
