"""Every kind of data and of network, and both forms of augmentation: cut, resumed, and the same bits as uncut.

Callbacks, optimizers and schedules go through the same in `tests/torture`.
"""

from pathlib import Path

import numpy as np
import pytest

import kerasrun
from kerasrun.components import kinds
from kerasrun.experiment.load import parse
from kerasrun.models.applications import kind_names
from kerasrun.runs.directory import open_run
from tests.training.whole_and_cut import train_whole_and_cut

DATA = Path(__file__).parents[2] / "data"
APPLICATION = "MobileNet"
"""The networks of `keras.applications` are one file; this one stands for all of them."""

# Each kind of data with some kind of network; 60 examples, three epochs.
CELLS_BY_DATA = {
    "directory": f"""
data: {{directory: {{path: {DATA}/digits/png, color_mode: rgb, image_size: [32, 32], classes: [0, 1], limit: 30}}}}
model: {{{APPLICATION}: {{alpha: 0.25, weights: null, pooling: avg, head: [4], trainable: conv_pw_13}}}}
augmentation: [RandomTranslation: {{height_factor: 0.1, width_factor: 0.1}}]
""",
    "idx": f"""
data: {{idx: {{path: {DATA}/digits/idx, limit: 60}}}}
model: LeNet
augmentation: {{ImageDataGenerator: {{rotation_range: 10, featurewise_center: true}}}}
""",
    "npz": f"""
data: {{npz: {{path: {DATA}/digits/digits.npz, limit: 60}}}}
model: {{saved: {{path: network.json}}}}
""",
    "npy": """
data: {npy: {x_train: x.npy, y_train: y.npy}}
model: {MLP: {units: [8], dropout: 0.3}}
""",
    "hdf5": f"""
data: {{hdf5: {{path: {DATA}/digits/digits.h5, limit: 60}}}}
model: {{layers: [Flatten, {{Dense: {{units: 8, use_bias: false}}}}, BatchNormalization, ReLU]}}
""",
    "csv": f"""
data: {{csv: {{train: {DATA}/line.csv, target: y}}}}
model: {{MLP: {{units: [4]}}}}
""",
    "image_masks": f"""
data: {{image_masks: {{path: {DATA}/digit_masks, color_mode: grayscale, classes: [background, stroke]}}}}
model: {{layers: [Conv2D: {{filters: 4, kernel_size: 3, padding: same, activation: relu}}]}}
augmentation: [RandomFlip]
""",
    "keras_dataset": """
data: {keras_dataset: {name: mnist, path: ., limit: 60}}
model: {MLP: {units: []}}
""",
}


@pytest.fixture
def folder(tmp_path):
    """With the files that are not shipped: arrays, and MNIST as Keras keeps it."""
    with np.load(DATA / "digits" / "digits.npz") as digits:
        x, y = digits["x_train"][:60], digits["y_train"][:60]
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "y.npy", y)
    small = np.ascontiguousarray(x.reshape(60, *x.shape[1:3])[:, 2:30, 2:30])
    np.savez(tmp_path / "mnist.npz", x_train=small, y_train=y, x_test=small, y_test=y)
    return tmp_path


@pytest.fixture
def architecture(folder):
    """`network.json`, as Keras writes it."""
    import keras

    layers = [keras.layers.Rescaling(1 / 255), keras.layers.Flatten(), keras.layers.Dropout(0.2)]
    network = keras.Sequential([keras.Input((32, 32, 1)), *layers, keras.layers.Dense(10, activation="softmax")])
    (folder / "network.json").write_text(network.to_json())


def test_every_family_is_here():
    """By listing its folder: a new kind has to be added above."""
    experiments = [parse(text, DATA / "run.yaml").experiment for text in CELLS_BY_DATA.values() if ".json" not in text]
    networks = {experiment.model.kind for experiment in experiments} | {"saved"}
    assert CELLS_BY_DATA.keys() == kinds("kerasrun.sources").keys()
    assert networks == {*kinds("kerasrun.models").keys() - set(kind_names()), APPLICATION}
    assert {type(experiment.augmentation).__name__ for experiment in experiments} == {"tuple", "ImageDataGenerator"}


@pytest.mark.tensorflow
@pytest.mark.usefixtures("architecture")
@pytest.mark.parametrize("data", CELLS_BY_DATA)
def test_a_run_that_was_cut_ends_with_the_same_bits(folder, data):
    from kerasrun.engine.state import from_hdf5
    from kerasrun.runs import checkpoints

    train_whole_and_cut(folder, f"{CELLS_BY_DATA[data]}\nfit: {{epochs: 3, batch_size: 25}}\n")
    kerasrun.resume(folder / "cut" / "run-1")
    whole, cut = (open_run(folder / name / "run-1") for name in ("whole", "cut"))
    assert cut.metrics_file.read_bytes() == whole.metrics_file.read_bytes()
    first, second = (from_hdf5(checkpoints.newest(run).state_file) for run in (whole, cut))
    assert {name: array.tobytes() for name, array in first.items()} == {
        name: array.tobytes() for name, array in second.items()
    }
