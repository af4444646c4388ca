"""What `verify` compares, and what it says; tests/commands/test_verify.py trains."""

import json
from dataclasses import replace

import numpy as np
import pytest

import kerasrun
from kerasrun.errors import DataError, ModelError
from kerasrun.training.verification import Difference, Verification, _largest_difference, first_difference

ONCE = [("before the first step", {"kernel": "a", "bias": "a"}), ("after step 1", {"kernel": "b", "bias": "b"})]


def test_equal_records_have_no_difference():
    assert first_difference(ONCE, ONCE) is None


def test_the_first_moment_and_variable_that_differ_are_named():
    other = [ONCE[0], ("after step 1", {"kernel": "b", "bias": "x"}), ("at the end", {"kernel": "x"})]
    assert first_difference(ONCE, other) == ("after step 1", "bias")


@pytest.mark.parametrize("digests", [{"kernel": "a"}, {"kernel": "a", "bias": "a", "seed": "a"}])
def test_a_variable_that_only_one_of_them_has_is_a_difference(digests):
    found = first_difference(ONCE, [("before the first step", digests)])
    assert found in [("before the first step", "bias"), ("before the first step", "seed")]


def test_a_step_that_the_first_training_never_took_is_a_difference():
    assert first_difference(ONCE, [*ONCE, ("after step 2", {"kernel": "c"})]) == ("after step 2", "kernel")


def test_the_amount_is_the_largest_difference_at_the_end(tmp_path):
    np.savez(tmp_path / "once.npz", **{"model/kernel": np.array([1, 2], np.float32), "seed": np.array([3], np.uint32)})
    np.savez(tmp_path / "again.npz", **{"model/kernel": np.array([1, 4], np.float32), "seed": np.array([3], np.uint32)})
    assert _largest_difference(tmp_path, "again", "model/kernel") == 2
    assert _largest_difference(tmp_path, "again", "seed") is None
    assert _largest_difference(tmp_path, "again", "metrics.csv") is None


EXACT = Verification(
    "CPU, 2 threads", deterministic=True, workers=1, shards=1, steps=20, cut=11, variables=36, differences=()
)
PARTED = replace(EXACT, differences=(Difference("trained again", "model/kernel", "after step 4", 2.5e-7),))


def test_the_report_says_what_was_compared_or_what_differs():
    assert EXACT.to_text().startswith(
        "this machine keeps the promise: 20 steps trained twice, and once cut after step 11"
    )
    assert replace(EXACT, workers=2, shards=4).to_text() == (
        "this machine keeps the promise: 20 steps trained twice by 2 workers, once cut after step 11 and resumed, and "
        "once by one process, gave the same bits (4 shards, 36 variables, CPU, 2 threads)"
    )
    assert PARTED.to_text() == "trained again: model/kernel differs first, after step 4; at the end by up to 2.5e-07"
    assert [json.loads(one.to_json())["exact"] for one in (EXACT, PARTED)] == [True, False]


@pytest.mark.parametrize(
    ("changes", "advice"),
    [
        ({"deterministic": False}, "set it to true"),
        ({}, "something else is random"),
    ],
)
def test_the_advice_suits_what_was_asked_for(changes, advice):
    assert advice in replace(PARTED, **changes).advice()


@pytest.mark.parametrize("workers", [1, 2])
def test_what_ends_training_is_told_as_train_would(tmp_path, workers):
    (tmp_path / "a.yaml").write_text("data: {npz: {path: none.npz}}\nmodel: LeNet\n")
    with pytest.raises(DataError, match=r"none\.npz"):
        kerasrun.verify(tmp_path / "a.yaml", output=tmp_path / "runs", workers=workers)
    assert [path.name for path in tmp_path.iterdir()] == ["a.yaml"]


def test_code_of_a_model_file_is_refused_unless_trusted(tmp_path):
    """With it, the next mistake is told: there are no data."""
    layers = [{"module": "keras.layers", "class_name": "Lambda", "config": {"function": "x"}}]
    network = {"module": "keras", "class_name": "Sequential", "config": {"name": "code", "layers": layers}}
    (tmp_path / "code.json").write_text(json.dumps(network))
    file = tmp_path / "e.yaml"
    file.write_text("data: {npz: {path: a.npz}}\nmodel: {saved: {path: code.json}}\n")
    with pytest.raises(ModelError, match="Lambda"):
        kerasrun.verify(file, output=tmp_path)
    with pytest.raises(DataError, match=r"a\.npz"):
        kerasrun.verify(file, trust=True, output=tmp_path)
