"""Arrays are sequences for a network that takes nothing else, and what they were for every other."""

import numpy as np
import pytest

from kerasrun.errors import DataError, ExperimentError
from kerasrun.experiment.load import parse
from kerasrun.experiment.resolved import resolved_yaml
from kerasrun.reading import arrays
from kerasrun.sources.npy import Npy
from kerasrun.sources.npz import Npz

DATA = "data: {npz: {path: x.npz}}\n"


def experiment_of(layers, data=DATA, more=""):
    return parse(f"{data}{more}model: {{layers: [{layers}]}}\n", "e.yaml").experiment


@pytest.mark.parametrize(
    ("layers", "more"),
    [
        ("Conv1D: {filters: 4, kernel_size: 3}", ""),
        ("Bidirectional: {layer: {GRU: {units: 8}}}", ""),
        ("Embedding: {input_dim: 9, output_dim: 4}", ""),
        ("{Dense: {units: 4}}, {LSTM: {units: 8}}", ""),
        ("Masking, LayerNormalization, {SimpleRNN: {units: 8}}", "preprocessing: [Normalization]\n"),
        ("{MultiHeadAttention: {num_heads: 2, key_dim: 4, inputs: [input, input]}}, GlobalAveragePooling1D", ""),
    ],
)
def test_layers_that_take_nothing_else_make_sequences(layers, more):
    experiment = experiment_of(layers, more=more)
    assert experiment.data.examples == "sequences"
    assert parse(resolved_yaml(experiment), "e.yaml").experiment == experiment


@pytest.mark.parametrize(
    ("layers", "more"),
    [
        ("{Conv2D: {filters: 4, kernel_size: 3}}, {Reshape: {target_shape: [4, 4]}}, {LSTM: {units: 8}}", ""),
        ("{Reshape: {target_shape: [28, 28]}}, {LSTM: {units: 8}}", ""),
        ("LSTM: {units: 8}", "preprocessing: [{Reshape: {target_shape: [28, 28]}}]\n"),
        ("{TimeDistributed: {layer: {Flatten: {}}}}, {LSTM: {units: 8}}", ""),
        ("{ConvLSTM1D: {filters: 2, kernel_size: 3}}, Flatten", ""),
        ("{MultiHeadAttention: {num_heads: 2, key_dim: 4, inputs: [input, input]}}, Flatten", ""),
        ("Dropout: {rate: 0.1}", ""),
    ],
)
def test_every_network_that_takes_images_today_keeps_them(layers, more):
    assert experiment_of(layers, more=more).data.examples is None


@pytest.mark.parametrize(
    ("data", "layers", "place", "words"),
    [
        (
            "npz: {path: x, examples: images}",
            "LSTM: {units: 4}",
            "1:33: data.npz.examples",
            "expected sequences, which",
        ),
        (
            "npz: {path: x, examples: sequences}",
            "Conv2D: {filters: 4, kernel_size: 3}",
            "1:33: data",
            "expected images",
        ),
        ("csv: {train: x, label: y}", "LSTM: {units: 4}", "2:18: model", r"LSTM takes sequences, .* rows of numbers"),
        ("directory: {path: x}", "GRU: {units: 4}", "2:18: model", "GRU takes sequences, but the examples are images"),
    ],
)
def test_a_layer_that_cannot_take_the_examples_is_told_by_the_text(data, layers, place, words):
    with pytest.raises(ExperimentError, match=rf"^e\.yaml:{place}.*{words}"):
        experiment_of(layers, data=f"data: {{{data}}}\n")


NUMBERS = np.random.default_rng(0)


@pytest.mark.parametrize(
    "x",
    [
        NUMBERS.integers(0, 256, (6, 5, 4), dtype=np.uint8),
        NUMBERS.integers(0, 200, (6, 5), dtype=np.uint8),
        NUMBERS.integers(0, 60_000, (6, 5), dtype=np.int64),
        NUMBERS.integers(0, 60_000, (6, 5, 4), dtype=np.uint16),
        NUMBERS.normal(size=(6, 5, 4)),
    ],
)
def test_sequences_stay_the_numbers_that_they_are(tmp_path, monkeypatch, x):
    paths = {"x_train": tmp_path / "x.npy", "y_train": tmp_path / "y.npy"}
    y = np.arange(6) % 2
    np.save(paths["x_train"], x)
    np.save(paths["y_train"], y)
    np.savez(tmp_path / "x.npz", x_train=x, y_train=y)
    data = Npy(**paths, examples="sequences").open()
    inputs = data.splits["train"].inputs
    assert (inputs.example_shape, inputs.dtype, data.image_format) == (x.shape[1:], np.float32, None)
    np.testing.assert_array_equal(inputs.take(np.arange(6)), x.astype(np.float32))
    assert Npz(path=tmp_path / "x.npz", examples="sequences").open().fingerprint == data.fingerprint
    monkeypatch.setattr(arrays, "memory_budget", lambda: 0)
    stored = Npy(**paths, examples="sequences", limit=4).open().splits["train"].inputs
    assert not hasattr(stored, "array")
    np.testing.assert_array_equal(stored.take(np.array([3, 0])), x[[3, 0]].astype(np.float32))


def test_sequences_are_not_resized(tmp_path):
    np.savez(tmp_path / "x.npz", x_train=np.zeros((4, 5, 4)), y_train=np.arange(4) % 2)
    with pytest.raises(DataError, match="`image_size` needs images"):
        Npz(path=tmp_path / "x.npz", examples="sequences", image_size=[3, 3]).open()


def test_labels_of_steps_are_of_sequences():
    experiment = experiment_of(
        "Conv1D: {filters: 4, kernel_size: 3}", data=DATA.replace("x.npz", "x.npz, labels: masks")
    )
    assert experiment.data.examples == "sequences"
