"""`repeat`: several seeds, or the folds of the data, as runs of one folder."""

import csv
import json
import shutil

import numpy as np
import pytest

import kerasrun
from kerasrun.commands.repeat import _seeds
from kerasrun.errors import DamagedFileError, DataError, ExperimentError, KerasrunError, UsageError
from kerasrun.many.repeat import repeat
from tests.training.conftest import write_digits, write_small


@pytest.mark.parametrize(("text", "seeds"), [(None, None), ("5", 5), ("1,2,7", [1, 2, 7]), ("7,7", [7, 7])])
def test_seeds_are_a_number_or_a_list(text, seeds):
    assert _seeds(text) == seeds


@pytest.mark.parametrize("text", ["0", "-1", "a", "1,", "1,b", "", "4294967296", "1" * 5000, "1," + "1" * 5000])
def test_other_seeds_are_refused(text):
    with pytest.raises(UsageError, match="expected how many seeds"):
        _seeds(text)


def test_mistakes_are_told_before_there_is_a_folder(tmp_path):
    file = write_small(tmp_path, "fit: {epochs: 1}")
    with pytest.raises(UsageError, match="needs seeds or folds"):
        repeat(file, output=tmp_path / "runs")
    with pytest.raises(UsageError, match=r"5,000,000,000 runs; expected at most 100,000"):
        repeat(file, seeds=10**9, folds=5, output=tmp_path / "runs")
    with pytest.raises(ExperimentError, match=r"fit\.batch_size"):
        repeat(file, seeds=2, overrides=["fit.batch_size=0"], output=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()
    with pytest.raises(DataError):  # of every member alike
        repeat(file, seeds=2, overrides=["data.npz.path=none.npz"], output=tmp_path / "runs")


def test_more_folds_than_examples_are_refused_at_once(tmp_path):
    write_digits(tmp_path)
    with pytest.raises(KerasrunError, match="too few for 5000 folds"):  # the experiment is not read for each of them
        repeat(write_small(tmp_path, "fit: {epochs: 1}"), folds=5000, output=tmp_path / "runs")


@pytest.mark.long
@pytest.mark.tensorflow
def test_a_member_is_the_run_trained_alone_and_one_that_fails_stops_no_other(tmp_path):
    write_digits(tmp_path)
    file = write_small(tmp_path, "fit: {epochs: 2, validation_data: test}")
    summary = repeat(file, seeds=[1, 7], output=tmp_path / "runs")
    root = tmp_path / "runs" / "small-repeat-1"
    for seed in (1, 7):
        alone = kerasrun.train(file, overrides=[f"seed={seed}"], output=tmp_path / "alone")
        assert alone.metrics_file.read_bytes() == (root / f"seed-{seed}" / "metrics.csv").read_bytes()
    known = [member.metrics["val_accuracy"] for member in summary.members]
    assert (summary.metrics["val_accuracy"].mean, summary.metrics["val_accuracy"].std) == (
        np.mean(known),
        np.std(known, ddof=1),
    )
    more = repeat(file, seeds=[2], output=tmp_path / "runs")  # the same folder, and all that is in it
    assert [member.run for member in more.members] == ["seed-1", "seed-2", "seed-7"]
    endless = ["compile.optimizer={SGD: {learning_rate: 1e30}}"]
    failed = repeat(file, seeds=2, overrides=endless, output=tmp_path / "runs")
    assert list(failed.failed) == ["seed-1", "seed-2"]
    assert "NaN" in failed.failed["seed-2"] or "finite" in failed.failed["seed-2"]


@pytest.mark.long
@pytest.mark.tensorflow
def test_what_is_damaged_in_a_member_is_named_and_a_foreign_run_counts_nothing(tmp_path):
    write_digits(tmp_path)
    file = write_small(tmp_path, "fit: {epochs: 1, validation_data: test}")
    group = repeat(file, seeds=2, output=tmp_path / "runs").group
    shutil.copytree(group.root / "seed-1", group.root / "odd-1")
    shutil.copytree(group.root / "seed-1", group.root / "trial-1")
    other = ["compile.optimizer={SGD: {learning_rate: 0.5}}"]
    shutil.copytree(
        kerasrun.train(file, overrides=[*other, "name=seed"], output=tmp_path / "runs", number=9).root,
        group.root / "seed-9",
    )
    summary = repeat(file, seeds=2, output=tmp_path / "runs")
    assert [one.run for one in summary.members] == ["seed-1", "seed-2"]
    assert summary.group == group
    assert [run.name for run in group.finished()] == ["seed-1", "seed-2"]
    failed = repeat(file, seeds=[9], output=tmp_path / "runs").failed
    assert failed == {
        "seed-9": f"{group.member('seed', 9)} is of another experiment, it differs in compile: move it elsewhere"
    }
    run = group.member("seed", 1)
    record, metrics = run.read_run(), run.metrics_file.read_text()
    for table in (None, "epoch,loss\n7,0.5\n"):
        run.metrics_file.unlink() if table is None else run.metrics_file.write_text(table)
        with pytest.raises(
            DamagedFileError, match=r"seed-1.metrics\.csv is damaged: it has no row of the best epoch, 1"
        ):
            repeat(file, seeds=2, output=tmp_path / "runs")
    run.metrics_file.write_text(metrics)
    unknown = {**record, "best": {**record["best"], "epoch": None}}
    for damaged in (unknown, {key: value for key, value in record.items() if key != "best"}):
        run.write_run(damaged)
        with pytest.raises(DamagedFileError, match=r"seed-1.run\.json is damaged: it does not say which epoch"):
            repeat(file, seeds=2, output=tmp_path / "runs")


@pytest.mark.long
@pytest.mark.tensorflow
def test_each_example_is_predicted_by_a_run_that_did_not_train_on_it(tmp_path):
    from sklearn.metrics import accuracy_score, confusion_matrix

    arrays = write_digits(tmp_path)
    file = write_small(tmp_path, "fit: {epochs: 2, validation_split: 0.2}")
    summary = repeat(file, folds=3, output=tmp_path / "runs")
    root = tmp_path / "runs" / "small-repeat-1"
    with (root / "out_of_fold.csv").open() as table:
        rows = list(csv.DictReader(table))
    assert sorted(int(row["path"]) for row in rows) == list(range(200))
    labels = [row["label"] for row in rows]
    assert labels == [str(arrays["y_train"][int(row["path"])]) for row in rows]
    told = json.loads((root / "summary.json").read_text())["out_of_fold"]
    predicted = [row["class"] for row in rows]
    assert told["accuracy"] == accuracy_score(labels, predicted)
    assert told["confusion_matrix"] == confusion_matrix(labels, predicted).tolist()
    of_folds = [sum(row["label"] == row["class"] for row in rows if row["fold"] == f"{fold}/3") for fold in (1, 2, 3)]
    assert sum(of_folds) == round(told["accuracy"] * 200)
    assert "test_accuracy" in summary.metrics
