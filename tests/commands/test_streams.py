"""Stdin, stdout and stderr that are closed, full, or have nobody at their other end."""

import contextlib
import os
import pty
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from kerasrun.runs.directory import open_run
from tests import forked
from tests.forked import Forked
from tests.training.conftest import write_digits
from tests.training.exactness import variables_digest

ROOT = Path(__file__).parents[2]
PLUGIN = """
import sys, warnings, keras

class Talks(keras.callbacks.Callback):
    stateless = True

    def on_epoch_end(self, epoch, logs=None):
        print("x" * 20000, flush=True)
        print("x" * 20000, file=sys.stderr, flush=True)
        warnings.warn(f"epoch {epoch}")
"""
EXPERIMENT = """
data: {npz: {path: digits.npz}}
model: {MLP: {units: [8], dropout: 0.2}}
plugins: [talks.py]
callbacks: [Talks]
fit: {epochs: 2}
"""


def full(stack):
    return stack.enter_context(Path("/dev/full").open("wb"))


def dead_pipe(stack):
    reading, writing = os.pipe()
    os.close(reading)
    return stack.enter_context(os.fdopen(writing, "wb", buffering=0))


def dead_terminal(stack):
    ours, theirs = pty.openpty()
    os.close(ours)
    return stack.enter_context(os.fdopen(theirs, "wb", buffering=0))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A folder with an experiment, and its training as `runs/talks-1` with nothing amiss."""
    folder = tmp_path_factory.mktemp("whole")
    np.save(folder / "x.npy", write_digits(folder)["x_test"])
    (folder / "talks.py").write_text(PLUGIN)
    (folder / "talks.yaml").write_text(EXPERIMENT)
    forked.run(["-m", "kerasrun", "train", "talks.yaml"], folder).check_returncode()
    return folder


def same_bits(run, other):
    assert run.read_run()["status"] == "finished"
    assert run.metrics_file.read_bytes() == other.metrics_file.read_bytes()
    assert variables_digest(run.last_model) == variables_digest(other.last_model)


def ended(folder, *arguments, stdout=None, stderr=None):
    """Return the exit code of a command whose streams are these, else the files `stdout` and `stderr`."""
    with (folder / "stdout").open("wb") as out, (folder / "stderr").open("wb") as err:
        return Forked(["-m", "kerasrun", *arguments], folder, stdout or out, stderr or err).wait()


@pytest.mark.tensorflow
@pytest.mark.parametrize("broken", [full, dead_pipe, dead_terminal])
def test_a_stderr_that_takes_nothing_changes_nothing(broken, whole):
    output = broken.__name__
    with contextlib.ExitStack() as stack:
        assert ended(whole, "train", "talks.yaml", "-o", output, stderr=broken(stack)) == 0
    assert (whole / "stdout").read_text() == f"{output}/talks-1\n"
    same_bits(open_run(whole / output / "talks-1"), open_run(whole / "runs" / "talks-1"))


@pytest.mark.tensorflow
@pytest.mark.parametrize(("broken", "code"), [(dead_pipe, 0), (full, 1)])
def test_what_trains_goes_on_when_both_are_broken(broken, code, whole):
    output = f"both-{broken.__name__}"
    with contextlib.ExitStack() as stack:
        both = dict.fromkeys(("stdout", "stderr"), broken(stack))
        assert ended(whole, "train", "talks.yaml", "-o", output, "-s", "fit.epochs=1", **both) == code
        assert ended(whole, "resume", f"{output}/talks-1", "-s", "fit.epochs=2", **both) == code
    same_bits(open_run(whole / output / "talks-1"), open_run(whole / "runs" / "talks-1"))


@pytest.mark.long
@pytest.mark.tensorflow
def test_all_three_streams_may_be_closed(whole):
    shutil.copytree(whole, whole.with_name("closed"), ignore=shutil.ignore_patterns("runs"))
    command = f"exec {sys.executable} -m kerasrun train talks.yaml <&- >&- 2>&-"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(["sh", "-c", command], cwd=whole.with_name("closed"), env=environment, check=False)
    assert done.returncode == 1  # the name of the run could not be printed
    same_bits(open_run(whole.with_name("closed") / "runs" / "talks-1"), open_run(whole / "runs" / "talks-1"))


@pytest.mark.tensorflow
@pytest.mark.parametrize("command", [["runs"], ["predict", "x.npy"], ["evaluate"]])
def test_what_prints_ends_without_a_word_when_nobody_reads_on(command, whole):
    with contextlib.ExitStack() as stack:
        assert ended(whole, *command, stdout=dead_pipe(stack)) == 1
    assert "stdout" not in (whole / "stderr").read_text()


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_disk_with_room_for_a_part_is_an_error(unbuffered, tmp_path):
    def limited():
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))

    settings = {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}  # half of a module would stay
    with (tmp_path / "stdout").open("wb") as stdout:
        done = subprocess.run(
            [sys.executable, "-m", "kerasrun", "train", "--help"],
            cwd=tmp_path,
            env={**os.environ, **settings, "PYTHONUNBUFFERED": unbuffered},
            stdout=stdout,
            stderr=subprocess.PIPE,
            preexec_fn=limited,
            check=False,
        )
    assert (done.returncode, done.stderr) == (1, b"error: stdout: File too large; what was printed is not complete\n")


@pytest.mark.parametrize("broken", [full, dead_pipe, dead_terminal])
@pytest.mark.parametrize(
    ("arguments", "code"), [(["train", "none.yaml"], 2), (["evaluate", "--nosuch"], 2), (["evaluate", "none"], 1)]
)
def test_the_exit_code_is_right_where_nothing_can_be_said(arguments, code, broken, tmp_path):
    with contextlib.ExitStack() as stack:
        stream = broken(stack)
        done = subprocess.run(
            [sys.executable, "-m", "kerasrun", *arguments],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=stream,
            stderr=stream,
            check=False,
        )
    assert done.returncode == code


def test_a_working_directory_that_was_removed_is_told(tmp_path):
    file = tmp_path / "e.yaml"
    file.write_text("data: {npz: {path: a.npz}}\nmodel: LeNet\n")
    gone = tmp_path / "gone"
    gone.mkdir()
    script = f"cd {gone} && rmdir {gone} && exec {sys.executable} -P -m kerasrun validate {file}"
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (
        2,
        "the working directory was removed; change to another one with cd\n",
    )
