"""The mean of the models of a group, and how far they are apart."""

from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

import kerasrun
from kerasrun.cli import app
from kerasrun.errors import DataError, ModelFileError, RunDirectoryError, UsageError
from kerasrun.many.ensemble import evaluate_group, predict_group
from kerasrun.many.group import find_or_make, named_group
from kerasrun.many.repeat import repeat, require_alike
from kerasrun.model_file import ModelInfo
from tests.training.conftest import write_digits, write_small


def test_a_group_is_named_by_its_folder_or_its_name_there(tmp_path):
    group = find_or_make(tmp_path, "repeat", "iris", "text")
    assert named_group("iris-repeat-1", tmp_path) == named_group(group.root, tmp_path / "other") == group
    assert named_group(tmp_path, tmp_path) is named_group(None, tmp_path) is None
    with pytest.raises(ModelFileError, match=r"no run in .*iris-repeat-1 is finished"):
        evaluate_group(group)
    with pytest.raises(RunDirectoryError, match="not a group of runs"):
        predict_group("image.png", tmp_path)
    command = ["predict", str(group.root), "image.png", "--explain", str(tmp_path / "why")]
    with pytest.raises(UsageError, match=r"why one model says so; name a run of .*iris-repeat-1"):
        CliRunner().invoke(app, command, catch_exceptions=False)


@pytest.mark.tensorflow
@pytest.mark.long
@pytest.mark.parametrize("logits", [False, True])
def test_probabilities_are_averaged_and_their_deviation_is_told(tmp_path, logits):
    arrays = write_digits(tmp_path)
    np.save(tmp_path / "x.npy", arrays["x_test"])
    loss = "compile: {loss: {CategoricalCrossentropy: {from_logits: true}}}\n" if logits else ""
    file = write_small(tmp_path, f"{loss}fit: {{epochs: 1, validation_split: 0.2}}")
    group = repeat(file, seeds=2, output=tmp_path / "runs").group
    alone = [
        {one["class"]: one["probability"] for one in answer.as_dict()["top"]}
        for run in group.finished()
        for answer in kerasrun.predict(tmp_path / "x.npy", model=run.best_model, every=True)
    ]
    both = np.array([[answer[name] for name in sorted(answer)] for answer in alone]).reshape(2, 60, 10)
    answers = [answer.as_row() for answer in predict_group(tmp_path / "x.npy", group)]
    called = both.mean(axis=0).argmax(axis=1)
    assert [int(answer["class"]) for answer in answers] == called.tolist()
    rows = np.arange(60)
    assert [answer["probability"] for answer in answers] == pytest.approx(both.mean(axis=0)[rows, called], abs=1e-6)
    deviation = both.std(axis=0, ddof=1)[rows, called]
    assert [answer["spread"] for answer in answers] == pytest.approx(deviation, abs=1e-6)
    with pytest.raises(UsageError, match="--threshold youden chooses for one model, not for the mean of a group"):
        evaluate_group(group, threshold="youden")
    report = evaluate_group(group)
    assert report.scores.headline["accuracy"] == np.mean(called == arrays["y_test"])
    of_runs = (both.argmax(axis=2) == arrays["y_test"]).mean(axis=1)
    assert report.metrics["accuracy"].mean == pytest.approx(of_runs.mean())
    with pytest.raises(UsageError, match=r"the validation examples of .*seed-2 are not those of .*seed-1"):
        evaluate_group(group, split="validation")


@pytest.mark.long
@pytest.mark.tensorflow
def test_what_a_member_keeps_as_its_threshold_is_not_that_of_the_mean(tmp_path):
    arrays = {f"y_{split}": np.arange(40) % 2 for split in ("train", "test")}
    arrays |= {f"x_{split}": np.random.default_rng(3).random((40, 4), np.float32) for split in ("train", "test")}
    np.savez(tmp_path / "two.npz", **arrays)
    np.save(tmp_path / "x.npy", arrays["x_test"])
    (tmp_path / "two.yaml").write_text("data: {npz: {path: two.npz}}\nmodel: {MLP: {units: [4]}}\n")
    group = repeat(tmp_path / "two.yaml", seeds=1, output=tmp_path / "runs").group
    (run,) = group.finished()
    kerasrun.evaluate(run, threshold=1.0, keep_threshold=True)
    assert {one.as_row()["class"] for one in kerasrun.predict(tmp_path / "x.npy", model=run.best_model)} == {"0"}
    every = predict_group(tmp_path / "x.npy", group, every=True)
    assert all(one.as_row()["probability"] >= 0.5 for one in every)
    assert evaluate_group(group).scores.threshold == 0.5


@pytest.mark.parametrize(
    ("change", "shape"),
    [({}, (4, 1)), ({"label_kind": "multi_label"}, (4, 2)), ({"outputs": "scores"}, (4, 2)), ({}, (3, 2))],
)
def test_outputs_that_do_not_stand_for_the_same_are_not_taken_together(change, shape):
    info = ModelInfo(("no", "yes"), None, 8, "probabilities", "e", 1)
    require_alike([(info, info.outputs, (4, 2)), (replace(info, epoch=2), info.outputs, (4, 2))])
    other = replace(info, **change)
    with pytest.raises(DataError, match="do not have the same classes, in outputs of one kind and shape"):
        require_alike([(info, info.outputs, (4, 2)), (other, other.outputs, shape)])
