import json
import platform
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import pytest

from kerasrun.errors import RunDirectoryError
from kerasrun.runs import environment as module
from kerasrun.runs.environment import check_variables, environment

ROOT = Path(__file__).parents[2]


def git(folder, *arguments):
    identity = ("-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false")
    subprocess.run(["git", "-C", folder, *identity, *arguments], check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path):
    git(tmp_path, "init")
    (tmp_path / "lenet.yaml").write_text("seed: 1\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "x")
    return tmp_path


def test_it_is_plain_json_with_the_versions(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["kerasrun", "train", "my file.yaml"])
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS", raising=False)
    found = environment(tmp_path)
    assert json.loads(json.dumps(found)) == found
    assert found["command"] == "kerasrun train 'my file.yaml'"
    assert found["versions"]["keras"] == version("keras")
    assert found["versions"]["tensorflow"].startswith("2.")
    assert found["variables"]["OMP_NUM_THREADS"] == "2"
    assert found["variables"]["TF_ENABLE_ONEDNN_OPTS"] is None
    assert found["processor"]["architecture"]


def test_another_package_of_tensorflow_is_another_version(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_version", {"tensorflow-cpu": "2.21.0"}.get)
    assert environment(tmp_path)["versions"]["tensorflow"] == "2.21.0 (tensorflow-cpu)"


def test_pillow_and_the_c_library_are_told(tmp_path):
    found = environment(tmp_path)
    assert found["versions"]["pillow"] == version("pillow")
    assert found["libc"] == (" ".join(platform.libc_ver()).strip() or None)


def test_the_caches_are_those_that_hold_data_and_belong_to_one_core(tmp_path, monkeypatch):
    caches = [("1", "Data", "48K"), ("1", "Instruction", "32K"), ("2", "Unified", "2048K"), ("3", "Unified", "32M")]
    for number, values in enumerate(caches):
        (tmp_path / f"index{number}").mkdir()
        for name, value in zip(("level", "type", "size"), values, strict=True):
            (tmp_path / f"index{number}" / name).write_text(f"{value}\n")
    monkeypatch.setattr(module, "CACHES", tmp_path)
    assert environment(tmp_path)["processor"]["caches"] == {"L1": "48K", "L2": "2048K"}
    monkeypatch.setattr(module, "CACHES", tmp_path / "none")
    assert environment(tmp_path)["processor"]["caches"] == {}


def test_git_tells_commit_and_changes(repository):
    clean = environment(repository)["git"]
    assert len(clean["commit"]) == 40
    assert clean["dirty"] is False
    (repository / "lenet.yaml").write_text("seed: 2\n")
    assert environment(repository)["git"] == {"commit": clean["commit"], "dirty": True}


@pytest.mark.parametrize("name", ["x", "a=b.c"])
def test_no_program_runs_that_a_repository_names(tmp_path, repository, name):
    told = tmp_path / "ran"
    for key in ("clean", "process"):
        git(repository, "config", f"filter.{name}.{key}", f"touch {told}; cat")
    git(repository, "config", f"filter.{name}.required", "true")
    git(repository, "config", "core.fsmonitor", f"touch {told}")
    (repository / ".git/info/attributes").write_text(f"* filter={name}")
    (repository / "lenet.yaml").write_text("seed: 9\n")  # as long as before, so git has to compare the content
    assert environment(repository)["git"]["dirty"] is True
    assert not told.exists()


def test_outside_a_repository_or_without_git_there_is_none(tmp_path, monkeypatch, repository):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(repository.parent))
    assert environment(tmp_path.parent)["git"] is None
    assert environment(tmp_path / "none")["git"] is None
    monkeypatch.setenv("PATH", "")
    assert environment(repository)["git"] is None


def test_a_git_that_hangs_is_given_up(tmp_path, monkeypatch):
    program = tmp_path / "git"
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(module, "_GIT_SECONDS", 0.2)
    begin = time.monotonic()
    assert environment(tmp_path)["git"] is None
    assert time.monotonic() - begin < 5


def test_the_runs_package_is_light_to_import():
    modules = "atomic, checkpoints, directory, environment, listing, lock, log, metrics"
    code = f"from kerasrun.runs import {modules}; import sys; print([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


HEAVY = ["tensorflow", "keras", "numpy", "h5py", "PIL", "pydantic", "yaml"]


def test_what_kerasrun_needs_is_told_with_the_versions_that_were_tested():
    found = module.packages()
    assert {"tensorflow", "keras", "numpy", "pyyaml", "h5py"} <= found.keys()
    assert not {"pytest", "torch", "onnx"} & found.keys()
    tested = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert f"PyYAML=={found['pyyaml']['tested']}" in tested
    assert f"numpy=={found['numpy']['tested']}" in tested
    assert found["numpy"]["installed"] == version("numpy")


def test_flags_that_no_pattern_has_are_refused_soon(monkeypatch):
    monkeypatch.delenv("XLA_FLAGS", raising=False)
    check_variables({"XLA_FLAGS": " --xla_a=1 --xla_b  -c=x,y "})
    for value in (40 * "-a=-b" + "!", "--xla_dump_to=/tmp", 10_000 * " -a" + "/"):
        with pytest.raises(RunDirectoryError, match="XLA_FLAGS"):
            check_variables({"XLA_FLAGS": value})
