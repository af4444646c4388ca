"""Exports for phones: smaller numbers, measured with their own runtime, and the labels beside them."""

import os
import shutil

import numpy as np
import pytest

import kerasrun
from kerasrun.errors import ExportError, RunDirectoryError, UsageError
from kerasrun.results import export as exporting
from kerasrun.results.recorded import read_recorded
from kerasrun.runs.directory import RunDirectory

pytestmark = pytest.mark.tensorflow
interpreting = pytest.importorskip("ai_edge_litert.interpreter", reason="pip install 'kerasrun[tflite]'")


@pytest.mark.long
@pytest.mark.parametrize("quantize", ["int8", "float16", "dynamic"])
def test_smaller_numbers_are_measured_as_a_script_by_hand_does(run, quantize):
    report = kerasrun.export(run, "tflite", quantize=quantize, max_drop=100)

    interpreter = interpreting.Interpreter(str(run.exports / f"small.{quantize}.tflite"))
    interpreter.allocate_tensors()
    (taken,), (given,) = interpreter.get_input_details(), interpreter.get_output_details()
    split = read_recorded(run).open_data().splits["test"]
    called = []
    for image in split.inputs.take(np.arange(len(split))):
        interpreter.set_tensor(taken["index"], image[np.newaxis].astype(np.float32))
        interpreter.invoke()
        called.append(int(interpreter.get_tensor(given["index"])[0].argmax()))
    assert (report.score, report.examples) == ("accuracy", len(split))
    assert report.after == np.mean(np.array(called) == split.labels)
    assert report.before == kerasrun.evaluate(run).scores.accuracy
    assert report.times_smaller > (1.8 if quantize == "float16" else 3)
    assert (run.exports / "labels.txt").read_text() == "".join(f"{digit}\n" for digit in range(10))


@pytest.mark.long
def test_what_loses_more_than_is_allowed_is_not_kept(run, monkeypatch, tmp_path):
    monkeypatch.setattr(exporting, "chunks", lambda path, trained, split: [np.zeros((len(split), 10), "f4")])
    with pytest.raises(ExportError, match=r"accuracy drops from .* to .*--max-drop 0 allows 0 hundredths"):
        kerasrun.export(run, "tflite", quantize="float16", max_drop=0, output=tmp_path / "a.tflite")
    assert list(tmp_path.iterdir()) == []


def test_a_list_of_labels_of_someone_else_is_not_replaced(run, tmp_path):
    (tmp_path / "labels.txt").write_text("mine\n")
    with pytest.raises(UsageError, match=r"labels\.txt is there"):
        kerasrun.export(run, "tflite", output=tmp_path / "a.tflite")
    assert [file.name for file in tmp_path.iterdir()] == ["labels.txt"]


def test_without_the_list_of_labels_there_is_no_export(run, tmp_path):
    own = RunDirectory(shutil.copytree(run.root, tmp_path / run.name, ignore=shutil.ignore_patterns("exports")))
    (own.exports / "labels.txt").mkdir(parents=True)
    with pytest.raises(RunDirectoryError, match=r"labels\.txt cannot be written: Is a directory"):
        kerasrun.export(own, "tflite")
    assert [file.name for file in own.exports.iterdir()] == ["labels.txt"]


@pytest.mark.parametrize(
    "make", [os.mkfifo, os.mkdir, lambda path: path.symlink_to("/dev/zero"), lambda path: _sparse(path, 2**26)]
)
def test_what_is_no_list_of_labels_is_not_replaced_either(make, run, tmp_path):
    make(tmp_path / "labels.txt")
    with pytest.raises(UsageError, match=r"labels\.txt is there"):
        kerasrun.export(run, "tflite", output=tmp_path / "a.tflite")
    assert [file.name for file in tmp_path.iterdir()] == ["labels.txt"]


def _sparse(path, size):
    path.touch()
    os.truncate(path, size)


def test_only_tflite_has_smaller_numbers(run):
    with pytest.raises(UsageError, match="--format h5 keeps them"):
        kerasrun.export(run, "h5", quantize="int8")


@pytest.mark.long
def test_the_ranges_of_several_inputs_are_those_of_each(tmp_path, png):
    # TensorFlow takes inputs in the order of their names: `features` before `image`.
    (tmp_path / "two.yaml").write_text(f"""
data:
  image_table: {{train: {png.parent}/images.csv, label: digit, features: [ink], split: split, color_mode: grayscale}}
model:
  layers:
    - Flatten: {{name: seen, inputs: [image]}}
    - Concatenate: {{inputs: [seen, features]}}
fit: {{epochs: 1}}
""")
    run = kerasrun.train(tmp_path / "two.yaml", output=tmp_path)
    report = kerasrun.export(run, "tflite", quantize="int8", max_drop=100)

    interpreter = interpreting.Interpreter(str(run.exports / "two.int8.tflite"))
    interpreter.allocate_tensors()
    (given,) = interpreter.get_output_details()
    split = read_recorded(run).open_data().splits["test"]
    rows = np.arange(len(split))
    called = []
    for image, ink in zip(split.inputs.take(rows), split.others["features"].take(rows), strict=True):
        for taken in interpreter.get_input_details():
            value = image if len(taken["shape"]) == 4 else ink
            interpreter.set_tensor(taken["index"], value[np.newaxis].astype(np.float32))
        interpreter.invoke()
        called.append(int(interpreter.get_tensor(given["index"])[0].argmax()))
    assert report.after == np.mean(np.array(called) == split.labels)
