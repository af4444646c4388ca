"""What `evaluate` reports, and that `predict` sees the same numbers."""

import json
import os
import resource
import shutil
import sys
from dataclasses import replace

import numpy as np
import pytest

import kerasrun
from kerasrun.engine import devices
from kerasrun.errors import DataError, ModelFileError, RunBusyError, RunDirectoryError, UsageError
from kerasrun.model_file import ModelInfo
from kerasrun.reading.data import Data
from kerasrun.results import evaluation, export, plots
from kerasrun.results.changed_predictions import changed_predictions
from kerasrun.results.recorded import Recorded, read_recorded
from kerasrun.runs.directory import create
from kerasrun.runs.lock import lock
from kerasrun.workers.cluster import Place

pytestmark = pytest.mark.tensorflow


@pytest.fixture(scope="module")
def report(run):
    return kerasrun.evaluate(run)


def test_the_numbers_are_those_of_keras(run, report, png):
    """`Model.evaluate` of the saved file on arrays that were read by hand."""
    import keras
    from PIL import Image

    files = sorted((png / "test").glob("*/*.png"))
    x = np.stack([np.asarray(Image.open(file), np.float32) for file in files])[..., np.newaxis]
    y = np.eye(10, dtype=np.float32)[[int(file.parent.name) for file in files]]
    logs = keras.models.load_model(run.best_model).evaluate(x, y, batch_size=32, verbose=0, return_dict=True)
    assert report.examples == len(files)
    assert report.metrics == pytest.approx(logs, rel=1e-5)
    assert report.scores.accuracy == pytest.approx(logs["accuracy"])


def test_validation_in_training_and_evaluate_agree_to_the_bit(run):
    evaluated = kerasrun.evaluate(run, split="validation")
    assert {f"val_{k}": v for k, v in evaluated.metrics.items()} == {
        k: v for k, v in _info(run).metrics.items() if k.startswith("val_")
    }


def test_predict_gives_the_very_numbers_that_evaluate_saw(run, report, png, monkeypatch):
    from kerasrun.report.scores import WholeScorer

    seen = []
    add = WholeScorer.add
    monkeypatch.setattr(WholeScorer, "add", lambda self, outputs: (seen.append(outputs), add(self, outputs))[1])
    kerasrun.evaluate(run)
    outputs = np.concatenate(seen)
    files = sorted((png / "test").glob("*/*.png"))
    whole = kerasrun.predict([png / "test"], model=run.best_model, top=10)
    assert [p.path for p in whole] == [str(file) for file in files]
    for prediction, row in zip(whole, outputs, strict=True):
        assert dict(prediction.top) == {str(i): float(value) for i, value in enumerate(row)}
    (alone,) = kerasrun.predict([files[200]], model=run.best_model, top=10)
    assert alone == whole[200]


@pytest.mark.parametrize("command", [kerasrun.evaluate, lambda run: kerasrun.export(run, "keras")])
def test_the_kernels_are_those_of_training(run, monkeypatch, command):
    """Where the environment says nothing."""

    class StartedError(Exception):
        pass

    def begin_to_import(*arguments):
        raise StartedError(os.environ.get("TF_ENABLE_ONEDNN_OPTS"))

    def recorded(*arguments, **options):
        return replace(read_recorded(*arguments, **options), variables={"TF_ENABLE_ONEDNN_OPTS": "0"})

    monkeypatch.setattr(devices, "_held_back_stderr", begin_to_import)
    monkeypatch.setattr(evaluation, "read_recorded", recorded)
    monkeypatch.setattr(export, "read_recorded", recorded)
    monkeypatch.delitem(sys.modules, "tensorflow")  # which has read them
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "1")
    with pytest.raises(StartedError, match="1"):
        command(run)
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS")
    with pytest.raises(StartedError, match="0"):
        command(run)


def test_the_report_adds_up(report):
    confusions = report.scores.confusion_matrix
    assert confusions.sum() == report.examples
    assert report.scores.accuracy == pytest.approx(np.trace(confusions) / confusions.sum())
    assert sum(score.support for score in report.scores.classes) == report.examples
    assert [score.name for score in report.scores.classes] == [str(digit) for digit in range(10)]


def test_the_report_is_kept_in_the_run(run, report):
    assert json.loads(run.evaluation("test").read_text()) == json.loads(report.to_json())
    assert (run.plots / "confusion_test.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.long
def test_a_folder_outside_the_experiment_is_evaluated_with_the_models_classes(run, png, tmp_path):
    for name in ("3", "7"):
        shutil.copytree(png / "test" / name, tmp_path / "mine" / name)
    report = kerasrun.evaluate(run, data=tmp_path / "mine")
    assert [score.support for score in report.scores.classes if score.support] == [
        len(list((png / "test" / name).iterdir())) for name in ("3", "7")
    ]
    assert report.split == "data-mine"


def test_a_class_that_the_model_does_not_know_is_an_error(run, png, tmp_path):
    shutil.copytree(png / "test" / "3", tmp_path / "mine" / "three")
    with pytest.raises(DataError, match="three"):
        kerasrun.evaluate(run, data=tmp_path / "mine")


def test_a_split_that_is_not_there_names_those_that_are(run):
    with pytest.raises(DataError, match="no split tset, only train, test, validation"):
        kerasrun.evaluate(run, split="tset")


def test_split_and_data_exclude_each_other(run, png):
    with pytest.raises(UsageError, match="--data and --split"):
        kerasrun.evaluate(run, split="test", data=png)


def test_a_run_without_a_model_yet_says_so(tmp_path):
    with pytest.raises(ModelFileError, match="no epoch is done"):
        kerasrun.evaluate(create(tmp_path, "new"))


@pytest.mark.long
def test_the_last_model_can_be_asked_for(run):
    assert kerasrun.evaluate(run, last=True).epoch == 2


def _info(run):
    from kerasrun.model_file import read_info

    return read_info(run.best_model)


@pytest.mark.long
def test_a_report_that_cannot_be_kept_is_shown_and_names_no_picture(run, monkeypatch, caplog):
    def refuse(*arguments):
        raise RunDirectoryError("read-only")

    monkeypatch.setattr(plots, "save", refuse)
    report = kerasrun.evaluate(run)
    assert report.pictures == ()
    assert "pictures" not in report.to_text()
    assert "not kept in the run: read-only" in caplog.text


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Train a small perceptron on arrays: `trained(name, labels, section, split)`."""
    folder = tmp_path_factory.mktemp("arrays")
    x = np.random.default_rng(1).normal(size=(60, 4)).astype(np.float32)

    def train(name, label, section="", split=""):
        y = np.stack([label(row) for row in x])
        np.savez(folder / f"{name}.npz", x_train=x, y_train=y, x_test=x[:20], y_test=y[:20])
        file = folder / f"{name}.yaml"
        file.write_text(
            f"data: {{npz: {{path: {name}.npz{section}}}}}\nmodel: {{MLP: {{units: [8]}}}}\nfit: {{epochs: 2{split}}}\n"
        )
        return kerasrun.train(file, output=folder / "runs")

    return train


@pytest.mark.long
def test_numbers_have_errors_and_a_picture(trained):
    run = trained("numbers", lambda row: row[:2].sum(keepdims=True), ", labels: numbers")
    report = kerasrun.evaluate(run)
    (target,) = report.scores.targets
    assert target.mse == pytest.approx(report.metrics["loss"], rel=1e-5)
    assert target.mae == pytest.approx(report.metrics["mae"], rel=1e-5)
    assert (run.plots / "predicted_test.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads(run.evaluation("test").read_text())["targets"][0]["mse"] == target.mse
    with pytest.raises(ModelFileError, match="predicts numbers, so there is nothing for --threshold"):
        kerasrun.evaluate(run, threshold=0.5)


@pytest.mark.long
def test_two_classes_have_curves_and_follow_a_threshold(trained):
    run = trained("two", lambda row: row[0] > 0)
    report = kerasrun.evaluate(run, threshold=0.0)
    assert report.scores.confusion_matrix[:, 0].sum() == 0
    assert [path.rpartition("/")[2] for path in report.pictures] == [
        *("confusion_test.png", "roc_test.png", "precision_recall_test.png", "calibration_test.png")
    ]
    assert f"called 1 where more probable than 0: accuracy {report.scores.accuracy:.4f}\n" in report.to_text()
    assert report.scores.accuracy != report.metrics["accuracy"]
    with pytest.raises(UsageError, match="not a probability"):
        kerasrun.evaluate(run, threshold=30)


@pytest.mark.long
def test_labels_that_may_hold_together_are_measured_one_by_one(trained):
    report = kerasrun.evaluate(trained("several", lambda row: (row > 0).astype(int), ", labels: multi_label"))
    assert [label.score.name for label in report.scores.labels] == ["0", "1", "2", "3"]
    assert "macro_f1" in report.to_text()


@pytest.fixture(scope="module")
def validated(trained):
    return trained("validated", lambda row: row[0] > 0.3, split=", validation_split: 0.4")


def of_split(run, name):
    """The outputs of the second class on a split, as `predict` has them, and the labels."""
    split = read_recorded(run).open_data().splits[name]
    file = run.root / f"{name}.npy"
    np.save(file, split.inputs.take(np.arange(len(split))))
    found = kerasrun.predict(file, model=run.best_model, every=True)
    return np.array([dict(one.top)["1"] for one in found]), split.label_array.astype(int)


@pytest.mark.long
def test_a_rule_chooses_the_threshold_on_validation(validated):
    """The F1 of each distinct value, by hand, and the scores on the split that is evaluated."""
    from sklearn import metrics

    report = kerasrun.evaluate(validated, split="test", threshold="best-f1")
    values, labels = of_split(validated, "validation")
    best = max(metrics.f1_score(labels, values > cut) for cut in (*values, 0.0))
    assert metrics.f1_score(labels, values > report.scores.threshold) == pytest.approx(best, abs=1e-9)
    chosen = json.loads(report.to_json())["threshold_chosen"]
    assert chosen == {
        **{"rule": "best-f1", "split": "validation"},
        **{"examples": 24, "threshold": report.scores.threshold},
    }
    values, labels = of_split(validated, "test")
    expected = metrics.confusion_matrix(labels, values > report.scores.threshold)
    assert report.scores.confusion_matrix.tolist() == expected.tolist()
    assert "threshold chosen by best-f1 on validation: 24 examples\n" in report.to_text()
    flattered = kerasrun.evaluate(validated, split="validation", threshold="best-f1").to_text()
    assert "on validation too, which flatters the scores" in flattered


@pytest.mark.long
def test_a_threshold_that_is_kept_decides_until_another_is(validated, tmp_path):
    before = validated.best_model.read_bytes()
    values, _ = of_split(validated, "test")
    cut = float(np.sort(values)[15])  # of 20
    try:
        report = kerasrun.evaluate(validated, split="test", threshold=str(cut), keep_threshold=True)
        assert f"the threshold is kept in {validated}/best.keras" in report.to_text()
        assert json.loads(report.to_json())["threshold_kept"] is True
        again = kerasrun.evaluate(validated, split="test")
        assert (again.scores.threshold, again.metrics) == (cut, report.metrics)
        assert again.scores.confusion_matrix.tolist() == report.scores.confusion_matrix.tolist()
        found = kerasrun.predict(validated.root / "test.npy", model=validated.best_model)
        assert [one.top[0][0] for one in found] == [str(int(value > cut)) for value in values]
        assert [one.top[0][1] for one in found] == [value if value > cut else 1 - value for value in values]
        assert kerasrun.evaluate(validated, split="test", threshold=0.5).scores.threshold == 0.5
        kerasrun.export(validated, "keras", output=tmp_path / "copied.keras")
        assert kerasrun.predict(validated.root / "test.npy", model=tmp_path / "copied.keras") == found
        right = int(np.trace(report.scores.confusion_matrix))
        assert changed_predictions(validated, validated, "test").right == (right, right)
        page = kerasrun.write_report(validated, split="test").read_text(encoding="utf-8")
        assert f"{20 - right} of 20 examples of test are called otherwise" in " ".join(page.split())
        kept = validated.best_model.read_bytes()
        assert kerasrun.resume(validated).best_model.read_bytes() == kept
        more = _of(kerasrun.resume(validated, overrides=["fit.epochs=3"]).best_model)
        assert more.threshold == (cut if more.epoch == report.epoch else None)
    finally:
        validated.best_model.write_bytes(before)


def _of(path):
    from kerasrun.model_file import read_info

    return read_info(path)


@pytest.mark.long
def test_labels_get_a_threshold_each_and_keep_them(trained):
    run = trained(
        "each", lambda row: (row > [-1, 0, 1, 99]).astype(int), ", labels: multi_label", ", validation_split: 0.4"
    )
    report = kerasrun.evaluate(run, threshold="youden", keep_threshold=True)
    each = tuple(label.threshold for label in report.scores.labels)
    assert len(set(each)) > 1
    assert each[3] == 0.5  # which no example has
    assert _of(run.best_model).threshold == each
    assert kerasrun.evaluate(run).scores.as_dict() == report.scores.as_dict()


@pytest.mark.long
def test_a_model_file_that_another_process_may_replace_is_not_changed(validated):
    before = validated.best_model.read_bytes()
    with lock(validated), pytest.raises(RunBusyError, match="is being written by process"):
        kerasrun.evaluate(validated, threshold=0.3, keep_threshold=True)
    assert validated.best_model.read_bytes() == before


def test_a_disk_without_room_for_the_threshold_leaves_the_model(validated):
    before, (soft, hard) = validated.best_model.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, hard))
    try:
        with pytest.raises(RunDirectoryError, match=r"best\.keras cannot be written: File too large"):
            evaluation._keep_threshold(validated.best_model, 0.3)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert validated.best_model.read_bytes() == before
    assert not list(validated.root.glob(".tmp-*"))


@pytest.mark.long
def test_what_cannot_choose_or_keep_a_threshold_is_told(run, trained, validated):
    two = trained("without", lambda row: row[0] > 0)
    with pytest.raises(DataError, match="no split validation"):
        kerasrun.evaluate(two, threshold="youden")
    with pytest.raises(UsageError, match="give both"):
        kerasrun.evaluate(validated, keep_threshold=True)
    with pytest.raises(UsageError, match="leave out --workers"):
        kerasrun.evaluate(validated, threshold="youden", place=Place(0, 2, ("a:1", "b:1")))
    with pytest.raises(ModelFileError, match="takes the largest of 10 classes"):
        kerasrun.evaluate(run, threshold="best-f1")


def test_a_threshold_is_refused_where_classes_are_compared(run):
    with pytest.raises(ModelFileError, match="takes the largest of 10 classes"):
        kerasrun.evaluate(run, threshold=0.3)


@pytest.mark.long
def test_a_picture_that_fails_is_a_warning_and_the_numbers_are_kept(run, monkeypatch, caplog):
    from kerasrun.results import plots

    def broken(figure, path):
        raise ValueError("no such font")

    monkeypatch.setattr(plots, "save", broken)
    report = kerasrun.evaluate(run)
    assert report.pictures == ()
    assert any("the pictures could not be drawn: ValueError: no such font" in line for line in caplog.messages)
    assert json.loads(run.evaluation("test").read_text())["metrics"] == dict(report.metrics)


@pytest.mark.long
def test_another_table_of_images_is_evaluated_with_the_labels_of_its_rows(tmp_path, png):
    digits = png.parent
    text = f"""
data: {{image_table: {{train: {digits}/images.csv, target: ink, split: split, color_mode: grayscale, limit: 60}}}}
model: {{MLP: {{units: [4]}}}}
"""
    (tmp_path / "ink.yaml").write_text(text)
    trained = kerasrun.train(tmp_path / "ink.yaml", output=tmp_path)
    files = sorted((png / "test" / "7").glob("*.png"))[:5]
    rows = [f"{number},{file.stem}" for number, file in enumerate(files)]
    (tmp_path / "sevens.csv").write_text("\n".join(["ink,file", *rows]))
    folder = f"data.image_table.folder={png / 'test' / '7'}"
    report = kerasrun.evaluate(trained, data=tmp_path / "sevens.csv", overrides=[folder])
    found = [one.as_dict()["values"]["ink"] for one in kerasrun.predict(files, model=trained.best_model)]
    assert (report.split, report.examples) == ("data-sevens", 5)
    assert report.metrics["mae"] == pytest.approx(np.mean([abs(n - one) for n, one in enumerate(found)]), rel=1e-5)
    with pytest.raises(DataError, match=r"5 of 5 listed images are not in"):
        kerasrun.evaluate(trained, data=tmp_path / "sevens.csv")


@pytest.mark.parametrize("classes", [("cat", "dog", "fox"), ("cat",), ("cat", "cow")])
def test_data_of_other_classes_than_the_models_are_refused(classes):
    data = Data({}, classes, None, "sha256")
    info = ModelInfo(("cat", "dog"), None, 32, "probabilities", "pets", 1)
    with pytest.raises(DataError, match=r"the labels of the data are .*; the model was trained on cat and dog: "):
        Recorded(None, "sha256", {}, {}).compare(data, info)


def test_data_of_another_kind_of_labels_than_the_models_are_refused():
    data = Data({}, ("cat", "dog"), None, "sha256")
    info = ModelInfo(data.classes, None, 32, "values", "pets", 1, label_kind="numbers")
    with pytest.raises(DataError, match="the labels of the data are classes; the model was trained on numbers: "):
        Recorded(None, "sha256", {}, {}).compare(data, info)


def test_a_class_that_no_model_file_can_name_is_refused():
    with pytest.raises(DataError, match=r"the name of the class '\\udcff' is not UTF-8"):
        Data({}, ("cat", "\udcff"), None, "sha256")
