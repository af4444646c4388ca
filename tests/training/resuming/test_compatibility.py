"""What a resume compares with `run.json`: every row of the table, and what follows from a difference."""

import copy
import logging
import os
import subprocess
import sys

import pytest

from kerasrun.engine.devices import Device, set_variables
from kerasrun.errors import RunDirectoryError
from kerasrun.runs import directory
from kerasrun.runs.environment import environment
from kerasrun.training.resuming import compatibility
from kerasrun.training.resuming.compatibility import FIELDS, Verdict, check

COMPARED = {verdict: [field for field in FIELDS if field.verdict is verdict and field.path] for verdict in Verdict}


@pytest.fixture
def run(tmp_path):
    return directory.create(tmp_path, "small")


@pytest.fixture
def now(tmp_path):
    device = Device("gpu", ("GPU:0",), "GPU:0", {"intra_op": 2, "inter_op": 2}, ("A100",))
    return {
        **environment(tmp_path),
        "device": device.recorded(),
        "shards": 1,
        "workers": [],
        "label_kind": "classes",
        "classes": ["cat", "dog"],
        "class_weight": {"cat": 1.25, "dog": 0.8},
        "plugins": {"own.py": "1" * 64},
        "data_fingerprint": "0" * 64,
        "data_files": "1" * 64,
        "examples": {"train": 100, "validation": 20, "shape": [8, 8, 1], "dtype": "uint8"},
    }


def changed(now, path, value="else"):
    """What `run.json` says if a field was not as it is now."""
    recorded = copy.deepcopy(now)
    *keys, last = path.split(".")
    holder = recorded
    for key in keys:
        holder = holder[key]
    assert last in holder, "nothing is compared"
    holder[last] = {**holder[last], "L1": value} if isinstance(holder[last], dict) else value
    return recorded


def test_the_table_has_every_verdict_and_every_path_once():
    paths = [field.path for field in FIELDS if field.path]
    assert len(paths) == len(set(paths)) > 20
    assert all(COMPARED.values())


def test_what_is_not_compared_here_is_checked_when_it_is_read():
    """By tests/runs/test_directory.py, tests/runs/test_checkpoints.py and tests/training/test_resume.py."""
    elsewhere = [field.name for field in FIELDS if field.path is None]
    assert elsewhere == ["format of `run.json`", "format of a checkpoint", "experiment"]


def test_nothing_is_said_and_nothing_recorded_where_all_is_as_it_was(run, now, caplog):
    with caplog.at_level(logging.WARNING, "kerasrun"):
        assert check(run, now, now, accept=False, step=3) == {}
    assert caplog.text == ""


@pytest.mark.parametrize("field", COMPARED[Verdict.PASSES], ids=lambda field: field.path)
def test_what_passes_is_not_looked_at(run, now, field, caplog):
    with caplog.at_level(logging.WARNING, "kerasrun"):
        assert check(run, changed(now, field.path), now, accept=False, step=3) == {}
    assert caplog.text == ""


@pytest.mark.parametrize("field", COMPARED[Verdict.WARNS], ids=lambda field: field.path)
def test_what_warns_is_told_and_goes_on(run, now, field, caplog):
    with caplog.at_level(logging.WARNING, "kerasrun"):
        assert check(run, changed(now, field.path), now, accept=False, step=3) == {}
    assert f"{field.name} else → " in caplog.text


@pytest.mark.parametrize("field", COMPARED[Verdict.REFUSES], ids=lambda field: field.path)
def test_what_refuses_is_told_with_before_and_now_and_may_be_accepted(run, now, field):
    recorded = changed(now, field.path)
    name = f"{field.name} L1" if field.path in ("variables", "plugins", "processor.caches") else field.name
    with pytest.raises(RunDirectoryError) as refused:
        check(run, recorded, now, accept=False, step=3)
    assert f"\n  {name} else → " in str(refused.value)
    assert f"kerasrun resume {run} --accept-changes" in str(refused.value)
    fields = check(run, recorded, now, accept=True, step=3)
    (accepted,) = fields["accepted_changes"]
    assert accepted["step"] == 3
    assert len(accepted["changes"]) == 1
    assert fields["class_weight"] == now["class_weight"]  # balanced anew by the examples that are there now
    # What was accepted is now what the run is held to.
    assert check(run, {**recorded, **fields}, now, accept=False, step=4) == {}


@pytest.mark.parametrize("field", COMPARED[Verdict.ALWAYS_REFUSES], ids=lambda field: field.path)
def test_what_always_refuses_cannot_be_accepted(run, now, field):
    with pytest.raises(RunDirectoryError, match=f"{field.name} else → .* \\(cannot be accepted\\)") as refused:
        check(run, changed(now, field.path), now, accept=True, step=3)
    assert "start a new run with kerasrun train" in str(refused.value)
    assert "--accept-changes" not in str(refused.value)


def test_every_refusal_is_told_at_once(run, now):
    recorded = changed(changed(now, "versions.keras", "3.14.0"), "processor.instruction_sets", ["avx", "avx512f"])
    recorded = changed(recorded, "data_fingerprint", "a" * 64)
    with pytest.raises(RunDirectoryError) as refused:
        check(run, recorded, now, accept=False, step=3)
    lines = str(refused.value).splitlines()
    assert len(lines) == 5
    assert "  data aaaaaaaaaaaa → 000000000000" in lines
    assert any(line.startswith("  instruction sets avx, avx512f → ") for line in lines)


def test_what_was_not_recorded_is_a_difference(run, now):
    recorded = copy.deepcopy(now)
    del recorded["data_fingerprint"]
    with pytest.raises(RunDirectoryError, match="data none → 0000"):
        check(run, recorded, now, accept=False, step=3)


@pytest.mark.parametrize("wrong", [[[[{"L1": "48K"}]]], [], "48K", 0])
def test_what_is_no_mapping_where_one_is_now_is_a_difference(run, now, wrong):
    recorded, now["processor"]["caches"] = copy.deepcopy(now), {"L1": "48K"}
    recorded["processor"]["caches"] = wrong
    with pytest.raises(RunDirectoryError, match=r"cache .* → \{'L1': '48K'\}"):
        check(run, recorded, now, accept=False, step=3)


def test_each_acceptance_is_kept(run, now):
    first = check(run, changed(now, "libc"), now, accept=True, step=3)["accepted_changes"]
    recorded = {**changed(now, "versions.numpy"), "accepted_changes": first}
    assert [each["step"] for each in check(run, recorded, now, accept=True, step=5)["accepted_changes"]] == [3, 5]


VARIABLES = ("TF_ENABLE_ONEDNN_OPTS", "NVIDIA_TF32_OVERRIDE")


@pytest.fixture
def variables(monkeypatch, now):
    """As they are now and as they were: one other, one that was not set."""
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "1")
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "0")
    assert set(VARIABLES) <= now["variables"].keys()
    return {"TF_ENABLE_ONEDNN_OPTS": "0", "NVIDIA_TF32_OVERRIDE": None}


def test_variables_are_set_as_they_were(variables, monkeypatch):
    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)
    set_variables(variables)
    assert [os.environ.get(name) for name in VARIABLES] == ["0", None]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LD_PRELOAD", "evil.so"),
        ("PYTHONPATH", "."),
        ("TF_XLA_FLAGS", "--tf_xla_dump_to=/tmp/x"),
        ("XLA_FLAGS", "--xla_gpu_cuda_data_dir=/evil"),
        ("XLA_FLAGS", "flags.txt"),
        ("OMP_NUM_THREADS", "1\nLD_PRELOAD=x"),
        ("OMP_NUM_THREADS", 3),
    ],
)
def test_a_run_sets_nothing_but_how_numbers_are_computed(name, value, monkeypatch):
    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)
    before = dict(os.environ)
    with pytest.raises(RunDirectoryError, match=rf"run\.json: the environment variable {name}="):
        set_variables({name: value})
    assert dict(os.environ) == before


def test_flags_of_xla_without_paths_are_set_and_those_with_paths_may_be_there_already(monkeypatch):
    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)
    monkeypatch.setenv("TF_XLA_FLAGS", "--tf_xla_dump_to=/tmp/x")
    monkeypatch.setenv("XLA_FLAGS", "")
    set_variables(
        {"XLA_FLAGS": "--xla_cpu_enable_fast_math=false --xla_a=3", "TF_XLA_FLAGS": os.environ["TF_XLA_FLAGS"]}
    )
    assert os.environ["XLA_FLAGS"] == "--xla_cpu_enable_fast_math=false --xla_a=3"


def test_variables_that_are_set_may_stay_so(variables, monkeypatch):
    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS")
    set_variables(variables, unless_set=True)
    assert [os.environ.get(name) for name in VARIABLES] == ["0", "0"]


def test_variables_that_tensorflow_has_read_are_compared(variables, monkeypatch, run, tmp_path, now):
    monkeypatch.setitem(sys.modules, "tensorflow", object())
    set_variables(variables)
    here = {**now, "variables": environment(tmp_path)["variables"]}
    with pytest.raises(RunDirectoryError) as refused:
        check(run, {**now, "variables": {**now["variables"], **variables}}, here, accept=False, step=3)
    assert "environment variable TF_ENABLE_ONEDNN_OPTS 0 → 1" in str(refused.value)
    assert "environment variable NVIDIA_TF32_OVERRIDE none → 0" in str(refused.value)
    assert "resume in a process of its own" in str(refused.value)


def test_it_is_light_to_import():
    code = f"import sys, {compatibility.__name__}; print(sorted({{'tensorflow', 'keras', 'numpy'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
