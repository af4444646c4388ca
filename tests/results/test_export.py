"""An export is in the form that was asked for, and computes what the model does; else nothing is kept."""

import errno
import importlib.util
import json
import os
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import yaml

import kerasrun
from kerasrun.commands.export import _format_of
from kerasrun.commands.export import export as command
from kerasrun.errors import DataError, ExportError, MissingProgramError, RunDirectoryError, UsageError
from kerasrun.exports.base import formats
from kerasrun.exports.h5 import H5
from kerasrun.exports.onnx import Onnx
from kerasrun.exports.savedmodel import SavedModel
from kerasrun.results import export as exporting
from kerasrun.runs.directory import create

pytestmark = pytest.mark.tensorflow
ALL = sorted(formats())


def lacking(name):
    return [package for package in formats()[name].packages if importlib.util.find_spec(package) is None]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A small network on few small images: what is tried here is the forms, not the model."""
    folder = tmp_path_factory.mktemp("export")
    x = np.random.default_rng(1).integers(0, 256, (150, 8, 8), np.uint8)
    np.savez(folder / "a.npz", x_train=x, y_train=np.arange(150) % 3)
    file = folder / "small.yaml"
    file.write_text(
        "data: {npz: {path: a.npz}}\nfit: {validation_split: 0.7}\nmodel:\n  layers:\n"
        "    - Conv2D: {filters: 4, kernel_size: 3, activation: relu}\n    - BatchNormalization\n    - Flatten\n"
        "    - Dropout: {rate: 0.2}\n"
    )
    return kerasrun.train(file, output=folder / "runs")


@pytest.fixture
def exported(run):
    def export(name, **arguments):
        if lacking(name):
            pytest.skip(f"{', '.join(lacking(name))} not installed: pip install 'kerasrun[{name}]'")
        return kerasrun.export(run, name, **arguments)

    return export


@pytest.mark.skipif(bool(lacking("onnx")), reason="pip install 'kerasrun[onnx]'")
def test_onnx_holds_what_rows_were_normalized_by(tmp_path):
    import keras
    import onnxruntime

    x = np.random.default_rng(1).normal(50, 9, (60, 4)).astype(np.float32)
    np.savez(tmp_path / "a.npz", x_train=x, y_train=np.arange(60) % 3)
    (tmp_path / "rows.yaml").write_text(
        "data: {npz: {path: a.npz}}\npreprocessing: [Normalization]\nmodel: {MLP: {units: []}}\nfit: {epochs: 1}\n"
    )
    run = kerasrun.train(tmp_path / "rows.yaml", output=tmp_path)
    kerasrun.export(run, "onnx")
    session = onnxruntime.InferenceSession(str(run.exports / "rows.onnx"), providers=["CPUExecutionProvider"])
    (taken,) = session.get_inputs()
    (given,) = session.run(None, {taken.name: x})
    np.testing.assert_allclose(given, keras.models.load_model(run.best_model).predict(x), atol=1e-5)


def test_the_command_line_knows_every_format():
    format_or_none, *_ = get_args(command.__annotations__["file_format"])
    choices = {name for one in get_args(format_or_none) for name in get_args(one)}
    assert choices == set(ALL)


@pytest.mark.parametrize("name", ALL)
def test_what_was_written_computes_what_the_model_does(exported, run, name):
    report = exported(name)
    path = run.exports / f"small{formats()[name].suffix}"
    assert path.exists()
    assert (report.path, report.split, report.examples) == (f"{run}/exports/{path.name}", "validation", 100)
    assert report.difference <= report.allowed <= 1e-4
    assert [entry.name for entry in run.exports.iterdir() if entry.name.startswith(".tmp-")] == []


def test_the_keras_file_is_the_model_file(exported, run, tmp_path):
    exported("keras", output=tmp_path / "mine.keras")
    assert (tmp_path / "mine.keras").read_bytes() == run.best_model.read_bytes()


@pytest.mark.long
def test_the_architecture_is_plain_text_without_tags(exported, tmp_path):
    exported("yaml", output=tmp_path / "net.yaml")
    exported("json", output=tmp_path / "net.json")
    text = (tmp_path / "net.yaml").read_text()
    assert "!" not in text
    assert yaml.safe_load(text) == json.loads((tmp_path / "net.json").read_text())


def test_weights_alone_fit_the_same_layers(exported, run, tmp_path):
    import keras

    exported("weights", output=tmp_path / "a.weights.h5")
    trained = keras.models.load_model(run.best_model, compile=False)
    fresh = keras.models.clone_model(trained)
    fresh.load_weights(tmp_path / "a.weights.h5")
    assert trained.get_weights()
    for ours, theirs in zip(fresh.get_weights(), trained.get_weights(), strict=True):
        assert np.array_equal(ours, theirs)


@pytest.mark.parametrize(("name", "file"), [("h5", "a.h5"), ("savedmodel", "a")])
def test_an_export_that_computes_something_else_is_not_kept(exported, monkeypatch, tmp_path, name, file):
    right = type(formats()[name]).outputs
    monkeypatch.setattr(type(formats()[name]), "outputs", lambda *arguments: right(*arguments) + np.float32(0.001))
    with pytest.raises(ExportError, match=r"is not kept: greatest difference .* 100 validation examples: 0\.001"):
        exported(name, output=tmp_path / file)
    assert list(tmp_path.iterdir()) == []


def test_outputs_that_are_not_numbers_are_a_difference(exported, monkeypatch, tmp_path):
    monkeypatch.setattr(H5, "outputs", lambda *arguments: np.full((100, 3), np.nan, np.float32))
    with pytest.raises(ExportError, match="nan"):
        exported("h5", output=tmp_path / "a.h5")


def test_what_keras_cannot_write_is_told_in_one_sentence(exported, monkeypatch, tmp_path):
    def refuse(*arguments):
        raise NotImplementedError("no such layer\nand much more")

    monkeypatch.setattr(H5, "write", refuse)
    with pytest.raises(ExportError, match="cannot be exported as h5: no such layer; --format keras always can"):
        exported("h5", output=tmp_path / "a.h5")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["h5", "weights"])
def test_hdf5_never_meets_a_full_disk(exported, monkeypatch, tmp_path, name):
    def refuse(*arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", refuse)
    with pytest.raises(RunDirectoryError, match=r"written: No space left on device; .*free some space"):
        exported(name, output=tmp_path / f"a{formats()[name].suffix}")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_told_where_tensorflow_meets_it(exported, monkeypatch, tmp_path):
    def refuse(*arguments):
        raise RuntimeError("{{function_node SaveV2}} sm/variables; No space left on device [Op:SaveV2]")

    monkeypatch.setattr(SavedModel, "write", refuse)
    with pytest.raises(RunDirectoryError, match=r"a cannot be written: No space left on device; .*free some space"):
        exported("savedmodel", output=tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


def test_an_older_export_is_replaced_but_no_other_folder(exported, tmp_path, monkeypatch):
    exported("savedmodel", output=tmp_path / "served")
    (tmp_path / "served.replaced").mkdir()
    exported("savedmodel", output=tmp_path / "served")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["served", "served.replaced"]
    monkeypatch.chdir(tmp_path / "served")
    for folder in (".", "..", "/"):
        with pytest.raises(UsageError, match="expected the name of a file or folder"):
            exported("savedmodel", output=folder)
    (tmp_path / "photos").mkdir()
    with pytest.raises(UsageError, match="photos: is there, and is not an older export as savedmodel"):
        exported("savedmodel", output=tmp_path / "photos")
    with pytest.raises(UsageError, match="photos: expected a name that ends in"):
        exported("h5", output=tmp_path / "photos")


def test_nothing_that_is_no_export_is_replaced(exported, run, tmp_path):
    exported("json", output=tmp_path / "small.json")
    exported("json", output=tmp_path / "small.json")
    (tmp_path / "small.yaml").write_text("data: {npz: {path: a.npz}}")
    with pytest.raises(UsageError, match=r"small\.yaml: is there, and is not an older export as yaml"):
        exported("yaml", output=tmp_path / "small.yaml")
    own = {"json": "run.json", "yaml": "resolved.yaml", "keras": "last.keras", "h5": "checkpoints/00000000/state.h5"}
    for form, name in own.items():
        with pytest.raises(UsageError, match=r"is the run's own file"):
            exported(form, output=run.root / name)


def test_a_missing_package_is_named_with_its_extra(tmp_path, monkeypatch):
    monkeypatch.setattr(exporting.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingProgramError, match=r"needs tf2onnx and onnx and onnxruntime.*'kerasrun\[onnx\]'"):
        kerasrun.export(create(tmp_path, "new"), "onnx")


@pytest.mark.long
@pytest.mark.half_precision
def test_mixed_precision_is_refused_where_it_cannot_be_held(tmp_path, monkeypatch):
    """And where nothing validates, training examples are compared; where the data are gone, that is told."""
    np.savez(tmp_path / "a.npz", x_train=np.zeros((8, 3), np.float32), y_train=np.arange(8) % 2)
    file = tmp_path / "a.yaml"
    file.write_text("data: {npz: {path: a.npz}}\nmodel: {MLP: {units: [2]}}\nprecision: mixed_bfloat16\n")
    run = kerasrun.train(file, output=tmp_path / "runs")
    monkeypatch.setattr(Onnx, "packages", ())
    with pytest.raises(ExportError, match="trained with precision: mixed_bfloat16"):
        kerasrun.export(run, "onnx")
    assert kerasrun.export(run, "savedmodel").split == "training"
    (tmp_path / "a.npz").unlink()
    with pytest.raises(DataError, match=r"a\.npz"):
        kerasrun.export(run, "h5")


OWN = """\
import keras


@keras.saving.register_keras_serializable()
class Twice(keras.layers.Layer):
    def call(self, inputs):
        return 2 * inputs
"""


@pytest.mark.long
def test_a_network_with_layers_of_a_plugin_is_exported(tmp_path):
    (tmp_path / "own.py").write_text(OWN)
    np.savez(tmp_path / "a.npz", x_train=np.ones((8, 3), np.float32), y_train=np.arange(8) % 2)
    file = tmp_path / "a.yaml"
    file.write_text("plugins: [own.py]\ndata: {npz: {path: a.npz}}\nmodel: {layers: [Twice, Dense: {units: 2}]}\n")
    run = kerasrun.train(file, output=tmp_path / "runs")
    for name in ("keras", "h5", "savedmodel"):
        assert kerasrun.export(run, name, output=tmp_path / f"a{formats()[name].suffix}").difference <= 1e-5


@pytest.mark.parametrize(
    ("path", "form"), [("m.h5", "h5"), ("m.weights.h5", "weights"), ("m.keras", "keras"), ("a/m.onnx", "onnx")]
)
def test_the_ending_says_the_format(path, form):
    assert _format_of(Path(path)) == form


@pytest.mark.parametrize("path", [None, Path("m"), Path("m.txt")])
def test_without_an_ending_the_format_is_asked_for(path):
    with pytest.raises(UsageError, match="no format; expected --format, -f: h5, json, keras"):
        _format_of(path)
