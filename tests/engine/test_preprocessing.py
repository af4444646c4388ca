"""Layers in front of the network: what they are adapted to, and what they say where they cannot be applied."""

import json

import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler

import kerasrun
from kerasrun.engine.prepared import prepare, start_device
from kerasrun.errors import DataError, ExperimentError, ModelError
from kerasrun.experiment.load import load, parse
from kerasrun.runs import directory
from kerasrun.training.train import build
from tests.grids import rest_is_long

pytestmark = pytest.mark.tensorflow
ROWS = np.random.default_rng(2).normal([1000, -500, 7], [3, 1, 0], (40, 3)).astype(np.float32)
ROWS[:, 2] = 7  # a column without variance


def trained(folder, text, rows=ROWS):
    labels = (rows[:, 0] > rows[:, 0].mean()).astype(np.int64)
    np.savez(folder / "a.npz", x_train=rows, y_train=labels)
    file = folder / "e.yaml"
    file.write_text(f"data: {{npz: {{path: a.npz}}}}\nmodel: {{MLP: {{units: [4]}}}}\n{text}\n")
    return kerasrun.train(file, output=folder / "runs")


def layer(run, kind):
    import keras

    model = keras.models.load_model(run.last_model, compile=False)
    return next(one for one in model.layers if type(one).__name__ == kind)


@pytest.mark.long
def test_normalization_is_adapted_to_the_examples_that_train_alone(tmp_path):
    run = trained(tmp_path, "preprocessing: [Normalization]\nfit: {epochs: 1, validation_split: 0.25, batch_size: 4}")
    found = layer(run, "Normalization")
    recorded = json.loads(run.run_file.read_text())["examples"]
    assert (recorded["train"], recorded["validation"]) == (30, 10)
    # Which thirty the seed chose, the adapted mean says: of all forty it is another.
    assert not np.allclose(found.mean[0, 0], ROWS[:, 0].mean(), atol=1e-5)


def test_normalization_has_the_values_of_scikit_learn_and_is_finite_for_a_constant_column(tmp_path):
    run = trained(tmp_path, "preprocessing: [Normalization]\nfit: {epochs: 1, batch_size: 4}")
    found = layer(run, "Normalization")
    scaler = StandardScaler().fit(ROWS.astype(np.float64))
    np.testing.assert_allclose(found.mean[0], scaler.mean_, rtol=1e-6)
    np.testing.assert_allclose(found.variance[0], scaler.var_, rtol=1e-5, atol=1e-12)
    np.testing.assert_allclose(np.asarray(found(ROWS)), scaler.transform(ROWS), atol=2e-3)
    assert np.isfinite(np.asarray(found(ROWS))).all()


@pytest.mark.parametrize("axis", rest_is_long(["-1", "1", "[1]", "null"]))
def test_normalization_is_adapted_as_keras_adapts_it(axis, tmp_path):
    import keras

    text = (
        f"preprocessing: [{{Rescaling: {{scale: 0.5}}}}, {{Normalization: {{axis: {axis}}}}}]\nfit: {{batch_size: 4}}"
    )
    found = layer(trained(tmp_path, text), "Normalization")
    expected = keras.layers.Normalization(axis=json.loads(axis))
    expected.adapt(ROWS * np.float32(0.5))
    np.testing.assert_allclose(np.asarray(found.mean), np.asarray(expected.mean), rtol=1e-5)
    np.testing.assert_allclose(np.asarray(found.variance), np.asarray(expected.variance), rtol=2e-3, atol=1e-3)


@pytest.mark.long
def test_a_run_with_an_adapted_layer_resumes_to_the_same_bits(tmp_path):
    text = "preprocessing: [Normalization]\nfit: {epochs: 4, batch_size: 4}"
    (tmp_path / "whole").mkdir()
    (tmp_path / "cut").mkdir()
    whole = trained(tmp_path / "whole", text)
    cut = trained(tmp_path / "cut", text.replace("epochs: 4", "epochs: 2"))
    kerasrun.resume(cut, overrides=["fit.epochs=4"])
    assert cut.metrics_file.read_bytes() == whole.metrics_file.read_bytes()
    assert directory.open_run(cut.root).last_model.exists()


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ("preprocessing: [{Discretization: {num_bins: 4}}]", "expected its 'bin_boundaries'"),
        ("preprocessing: [IntegerLookup]", "expected its 'vocabulary'"),
        ("preprocessing: [{StringLookup: {vocabulary: [a]}}]", "it takes text, and the examples are numbers"),
        ("preprocessing: [{TextVectorization: {vocabulary: [a]}}]", "it takes text, and the examples are numbers"),
        ("augmentation: [Normalization]", "or the layer in 'preprocessing'"),
        ("preprocessing: [{TimeDistributed: {layer: Normalization}}]", "or the layer in 'preprocessing'"),
        ("preprocessing: [{Pipeline: {layers: [Normalization]}}]", "or the layer in 'preprocessing'"),
        ("preprocessing: [{Rescaling: {scale: 1, name: größe}}]", "expected a name of letters from a to z"),
        ("preprocessing: [Equalization]", "Keras makes a circle of it"),
        ("preprocessing: [{Rescaling: {scale: 1, name: input}}]", "'input' is the input itself"),
    ],
)
def test_a_layer_that_would_have_to_be_adapted_is_refused_at_its_place(section, words):
    with pytest.raises(ExperimentError, match=words):
        parse(f"data: {{npz: {{path: a.npz}}}}\nmodel: LeNet\n{section}\n", "e.yaml")


@pytest.mark.parametrize(
    "written",
    [
        "RandomRotation: {factor: 0.1}",
        "MelSpectrogram: {}",
        "Reshape: {target_shape: [5]}",
        "Conv2D: {filters: 2, kernel_size: 3}",
        "Resizing: {height: 4, width: 4}",
    ],
)
def test_a_layer_that_cannot_be_applied_is_named_with_the_shape_and_keras_s_words(written, tmp_path):
    name = written.partition(":")[0]
    with pytest.raises(ModelError, match=rf"{name} cannot .* shape \(3,\): \S+"):
        trained(tmp_path, f"preprocessing:\n  - {written}\n")
    assert not (tmp_path / "runs").exists()


def test_a_layer_of_sequences_on_rows_is_named_at_its_line(tmp_path):
    with pytest.raises(
        DataError, match=r"e\.yaml:\d+:5: preprocessing\.0: LSTM takes sequences, but the examples are rows"
    ):
        trained(tmp_path, "preprocessing:\n  - LSTM: {units: 2}\n")
    assert not (tmp_path / "runs").exists()


def test_the_line_of_a_layer_that_fails_only_on_examples_is_named(tmp_path):
    text = "preprocessing:\n  - Rescaling: {scale: 1}\n  - AutoContrast\n  - AutoContrast: {value_range: [0, 1]}\n"
    with pytest.raises(ModelError, match=r"e\.yaml:\d+:5: preprocessing\.1: AutoContrast cannot compute on examples"):
        trained(tmp_path, text)


def test_an_id_that_an_embedding_does_not_have_is_named(tmp_path):
    rows = np.array([[1, 2], [3, 9], [0, 1], [2, 2]] * 4, np.float32)
    np.savez(tmp_path / "a.npz", x_train=rows, y_train=np.arange(16) % 2)
    file = tmp_path / "e.yaml"
    file.write_text(
        "data: {npz: {path: a.npz}}\n"
        "model: {layers: [{Embedding: {input_dim: 5, output_dim: 2, name: words}}, Flatten]}\n"
    )
    with pytest.raises(DataError, match="takes whole numbers from 0 to 4, but the data hold 9: set its input_dim"):
        kerasrun.train(file, output=tmp_path / "runs")


@pytest.mark.parametrize(("scale", "is_scaled"), [(1.0, True), (1 / 255, False)])
def test_fractions_of_0_to_255_are_pixels_to_a_pretrained_network(scale, is_scaled, tmp_path):
    import keras

    pixels = np.random.default_rng(4).uniform(0, 255, (8, 32, 32, 3)).astype(np.float32) * np.float32(scale)
    np.savez(tmp_path / "a.npz", x_train=pixels, y_train=np.arange(8) % 2)
    file = tmp_path / "e.yaml"
    file.write_text("data: {npz: {path: a.npz}}\nmodel: {MobileNet: {alpha: 0.25, weights: null, head: []}}\n")
    prepared = prepare(load(file))
    model = build(prepared, start_device(prepared.experiment)).model
    first = next(one for one in model.layers if type(one).__name__ == "Conv2D")
    found = np.asarray(keras.Model(model.input, first.input)(pixels))
    expected = keras.applications.mobilenet.preprocess_input(pixels.copy()) if is_scaled else pixels
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("wrong", [-1, 0.5])
def test_what_keras_would_take_for_another_id_is_refused(wrong, tmp_path):
    rows = np.array([[1, 2], [3, wrong], [0, 1], [2, 2]] * 4, np.float32)
    np.savez(tmp_path / "a.npz", x_train=rows, y_train=np.arange(16) % 2)
    file = tmp_path / "e.yaml"
    file.write_text(
        "data: {npz: {path: a.npz}}\nmodel:\n  layers:\n  - Embedding: {input_dim: 5, output_dim: 2}\n  - Flatten\n"
    )
    with pytest.raises(ModelError, match=rf"e\.yaml:4:5: .*whole numbers from 0, but the data hold {wrong}"):
        kerasrun.train(file, output=tmp_path / "runs")


def test_the_line_of_a_name_that_an_added_layer_has_is_named(tmp_path):
    np.savez(tmp_path / "a.npz", x_train=ROWS, y_train=np.arange(40) % 2)
    file = tmp_path / "e.yaml"
    file.write_text("data: {npz: {path: a.npz}}\nmodel:\n  layers:\n  - Dense: {units: 4, name: output}\n")
    with pytest.raises(ModelError, match=r"e\.yaml:4:5: model\.layers\.0.*a second layer called 'output'"):
        kerasrun.train(file, output=tmp_path / "runs")


def test_a_saved_network_may_have_the_names_of_layers_in_front_of_it(tmp_path):
    import keras

    inputs = keras.Input((2, 2))
    x = keras.layers.Flatten()(keras.layers.Reshape((2, 2, 1), name="reshape")(inputs))
    x = keras.layers.Normalization(mean=0, variance=1, name="normalization")(x)
    keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid")(x)).save(tmp_path / "net.keras")
    images = np.random.default_rng(0).integers(0, 256, (12, 2, 2), np.uint8)
    np.savez(tmp_path / "a.npz", x_train=images, y_train=np.arange(12) % 2)
    file = tmp_path / "e.yaml"
    file.write_text("data: {npz: {path: a.npz}}\npreprocessing: [Normalization]\nmodel: {saved: {path: net.keras}}\n")
    run = kerasrun.train(file, output=tmp_path / "runs")
    kept = keras.saving.load_model(run.last_model).get_layer("preprocessing_1")
    np.testing.assert_allclose(np.asarray(kept.mean).ravel(), [images.mean()], rtol=1e-5)
