"""`--workers` and what goes with it, as far as nothing is started."""

import resource
import sys
from types import SimpleNamespace

import pytest

from kerasrun.commands._workers import begin_workers
from kerasrun.commands.doctor import doctor
from kerasrun.commands.resume import resume
from kerasrun.commands.train import train
from kerasrun.errors import ExperimentError, UsageError, WorkersError
from kerasrun.runs import environment, listing
from kerasrun.workers import parent
from kerasrun.workers.arrival import JOB
from kerasrun.workers.worker import gpu_of


@pytest.mark.parametrize(
    ("workers", "shards", "sentence"),
    [
        ("x", 0, "--workers x: expected a number of processes up to 4096, or slurm"),
        (6_000 * "9", 0, f"--workers {6_000 * '9'}: expected a number of processes up to 4096, or slurm"),
        ("0", 0, "--workers 0: expected a number of processes up to 4096, or slurm"),
        ("4097", 0, "--workers 4097: expected a number of processes up to 4096, or slurm"),
        ("3", 4, "--workers 3: cannot share 4 shards evenly; take a divisor of 4"),
    ],
)
def test_numbers_that_do_not_fit_are_refused_in_one_sentence(workers, shards, sentence):
    with pytest.raises(UsageError) as error:
        begin_workers(workers, shards=shards)
    assert str(error.value) == sentence


def test_more_processes_than_the_machine_can_start_are_told_in_one_sentence():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
    try:
        with pytest.raises(WorkersError, match=r"--workers 4096: this machine cannot start so many processes: .*open"):
            begin_workers("4096")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_mistake_in_the_file_is_told_before_processes_begin(tmp_path, monkeypatch):
    monkeypatch.setattr(parent, "run", None)
    file = tmp_path / "wrong.yaml"
    file.write_text("fit: {epochs: 0}", encoding="utf-8")
    with pytest.raises(ExperimentError, match=r"wrong.yaml:1:15"):
        train(file, workers="1000")


def test_one_worker_is_this_process():
    assert not begin_workers("1", shards=4)


def test_windows_has_no_parent_of_workers(monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(UsageError, match="Windows cannot pass a pipe on"):
        begin_workers("2", shards=0)


@pytest.mark.parametrize(
    ("seen", "devices", "given"),
    [
        (None, (), ["0", "1", "2"]),
        (None, (2, 3), ["2", "3", "-1"]),
        ("5,6", (), ["5", "6", "-1"]),
        ("5,6,7,8", (2, 3), ["7", "8", "-1"]),
        ("5,6", (1, 2), ["6", "-1", "-1"]),
    ],
)
def test_each_worker_sees_one_gpu_of_those_that_are_named(monkeypatch, seen, devices, given):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if seen:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", seen)
    assert [gpu_of(rank, devices)["CUDA_VISIBLE_DEVICES"] for rank in range(3)] == given


@pytest.mark.parametrize(("overrides", "given"), [([], ["2", "3"]), (["device=[4,1]"], ["4", "1"])])
def test_a_resume_has_the_gpus_that_its_experiment_names(monkeypatch, tmp_path, overrides, given):
    resolved = tmp_path / "resolved.yaml"
    resolved.write_text("data: {npz: {path: a.npz}}\nmodel: LeNet\ndevice: [2, 3]\n", encoding="utf-8")
    run = SimpleNamespace(resolved_file=resolved, read_run=lambda: {"shards": 2})
    started = []
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(listing, "find_run", lambda *_: run)
    monkeypatch.setattr(parent, "run", lambda *_, environment, **__: started.append(environment))
    with pytest.raises(SystemExit):
        resume("x-1", overrides=overrides, workers="2")
    assert [started[0](rank, 2)["CUDA_VISIBLE_DEVICES"] for rank in range(2)] == given


def test_a_diagnosis_has_the_gpus_that_its_experiment_names(monkeypatch, tmp_path):
    file = tmp_path / "two.yaml"
    file.write_text("data: {npz: {path: a.npz}}\nmodel: LeNet\ndevice: [4, 1]\n", encoding="utf-8")
    started = []
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(parent, "run", lambda *_, environment, timeouts, **__: started.append((environment, timeouts)))
    with pytest.raises(SystemExit):
        doctor(file, start_timeout=7)
    given, timeouts = started[0]
    assert [given(rank, 2)["CUDA_VISIBLE_DEVICES"] for rank in range(2)] == ["4", "1"]
    assert timeouts.start == 7


def test_a_run_of_workers_keeps_the_command_that_was_typed(monkeypatch, tmp_path):
    started = []
    monkeypatch.setattr(sys, "argv", ["kerasrun", "train", "a.yaml", "--workers", "2", "--elastic"])
    monkeypatch.setattr(parent, "run", lambda *_, environment, **__: started.append(environment(0, 2)))
    with pytest.raises(SystemExit):
        begin_workers("2")
    monkeypatch.setattr(sys, "argv", ["__main__.py", "train", "a.yaml"])
    for name, value in started[0].items():
        monkeypatch.setenv(name, value)
    assert environment.environment(tmp_path)["command"] == "kerasrun train a.yaml --workers 2 --elastic"


def test_workers_of_one_job_share_a_secret_that_other_jobs_have_not(monkeypatch):
    started = []
    monkeypatch.setattr(parent, "run", lambda *_, environment, **__: started.append(environment))
    for _ in range(2):
        with pytest.raises(SystemExit):
            begin_workers("2")
    (first, of_second), (other, _) = ([given(rank, 2)[JOB] for rank in range(2)] for given in started)
    assert first == of_second != other
    assert len(first) >= 32


def test_more_workers_than_gpus_that_are_named_are_refused():
    with pytest.raises(UsageError, match="--workers 4: each has a GPU, and the experiment names only 2"):
        begin_workers("4", devices=[2, 3])
