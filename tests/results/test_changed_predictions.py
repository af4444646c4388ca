"""What two runs predict of the same examples; the tests of chance are held against SciPy."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

import kerasrun
from kerasrun.errors import DataError, UsageError
from kerasrun.results.changed_predictions import interval_of_mean, mcnemar

CONFIGS = Path(__file__).parents[2] / "configs"


@pytest.mark.parametrize(
    ("right", "wrong"), [(0, 0), (1, 0), (5, 5), (12, 4), (4, 12), (40, 9), (1000, 1100), (10**6, 10**6 + 2000)]
)
def test_mcnemars_test_is_a_binomial_test_of_one_half(right, wrong):
    expected = stats.binomtest(right, right + wrong, 0.5).pvalue if right + wrong else 1.0
    assert mcnemar(right, wrong) == pytest.approx(expected, rel=1e-9)


def test_the_interval_is_that_of_the_percentile_bootstrap():
    differences = np.random.default_rng(3).normal(0.2, 1.0, 300)
    found = interval_of_mean(differences)
    expected = stats.bootstrap(
        (differences,), np.mean, n_resamples=2000, method="percentile", rng=1
    ).confidence_interval
    assert found == pytest.approx(tuple(expected), abs=0.02)
    assert found == interval_of_mean(differences)


@pytest.mark.long
@pytest.mark.tensorflow
def test_examples_that_became_right_or_wrong_are_named(run, tmp_path):
    shorter = kerasrun.train(run.experiment_file, overrides=["fit.epochs=1"], output=tmp_path)
    found = kerasrun.diff(shorter, run, predictions=True, split="validation")
    changed = found.predictions
    accuracies = [kerasrun.evaluate(one, split="validation").scores.accuracy for one in (shorter, run)]
    assert [count / changed.examples for count in changed.right] == accuracies
    assert len(changed.became_right) - len(changed.became_wrong) == changed.right[1] - changed.right[0] > 0
    assert changed.p == mcnemar(len(changed.became_right), len(changed.became_wrong))
    first = changed.became_right[0]
    assert first.example.startswith(f"train/{first.true}/")
    assert first.predicted[1] == first.true != first.predicted[0]
    assert f"right now: {first.example}, {first.true}: {first.predicted[0]} → {first.true}" in found.to_text()
    assert json.loads(found.to_json())["predictions"]["became_right"][0]["example"] == first.example


@pytest.mark.long
@pytest.mark.tensorflow
def test_other_examples_are_not_compared(run, tmp_path):
    other = kerasrun.open_run(shutil.copytree(run.root, tmp_path / "other"))
    other.write_resolved(other.resolved_file.read_text(encoding="utf-8").replace("seed: ", "seed: 1"))
    with pytest.raises(DataError, match="do not have the same examples for validation, as after another seed"):
        kerasrun.diff(run, other, predictions=True, split="validation")
    assert kerasrun.diff(run, other, predictions=True, split="test").predictions.p == 1.0


@pytest.mark.long
@pytest.mark.tensorflow
def test_numbers_are_compared_by_their_errors(tmp_path):
    runs = [
        kerasrun.train(CONFIGS / "linear_regression.yaml", overrides=[f"fit.epochs={epochs}"], output=tmp_path)
        for epochs in (1, 2)
    ]
    changed = kerasrun.diff(*runs, predictions=True, split="train").predictions
    (target,) = changed.targets
    scores = [kerasrun.evaluate(one, split="train").scores.headline["mae"] for one in runs]
    assert target.mae == pytest.approx(scores)
    assert target.interval[0] <= target.difference == target.mae[1] - target.mae[0] <= target.interval[1]
    assert f"mean absolute error of {target.target}, {changed.examples} examples" in changed.to_text()


def test_three_runs_have_no_changed_predictions(tmp_path):
    from kerasrun.runs.directory import create

    runs = [create(tmp_path, "small") for _ in range(3)]
    for one in runs:
        one.update_run(resolved_sha256=[""])
        one.write_resolved("seed: 1\n")
    with pytest.raises(UsageError, match="name two"):
        kerasrun.diff(*runs, predictions=True)
