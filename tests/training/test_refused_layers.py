"""A layer that Keras refuses is reported with its line in the experiment file."""

import numpy as np
import pytest

import kerasrun
from kerasrun.errors import DataError, ExperimentError, ModelError
from kerasrun.experiment.load import parse

pytestmark = pytest.mark.tensorflow


def train(folder, text, count=8):
    x = np.random.default_rng(0).integers(0, 256, (count, 6, 6), np.uint8)
    y = np.arange(count) % 2
    np.savez(folder / "a.npz", x_train=x, y_train=y, x_validation=x, y_validation=y)
    file = folder / "e.yaml"
    file.write_text(f"data: {{npz: {{path: a.npz}}}}\n{text}\n")
    return kerasrun.train(file, output=folder / "runs")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("model:\n  layers:\n  - Flatten\n  - Reshape: {target_shape: [5]}", r"5:5: model\.layers\.1.*: layer 2"),
        ("model:\n  layers:\n  - Permute: {dims: [1], name: a}", r"4:5: model\.layers\.0.*: layer 1"),
        ("model: MLP\naugmentation:\n- RandomFlip\n- Rescaling: {scale: 2}", r"5:3: augmentation\.1"),
        ("model: MLP\naugmentation:\n- RandomFlip\n- RandomCrop: {height: 3, width: 3}", r"5:3: augmentation\.1"),
        ("model: MLP\npreprocessing:\n- Rescaling: {scale: 2}\n- Permute: {dims: [1]}", r"5:3: preprocessing\.1"),
    ],
)
def test_the_line_of_a_layer_is_named(text, place, tmp_path):
    with pytest.raises(ModelError, match=rf"e\.yaml:{place}"):
        train(tmp_path, text)
    assert not (tmp_path / "runs").exists()


def test_a_window_larger_than_the_images_is_a_mistake_of_the_file_where_it_says_their_size():
    text = "data: {directory: {path: x, image_size: [8, 8]}}\nmodel:\n  layers:\n" + 4 * "  - MaxPooling2D\n"
    with pytest.raises(ExperimentError, match=r"e\.yaml:7:5: .*a window of 2×2, but the images are 1×1 here"):
        parse(text, "e.yaml")


def test_weights_that_no_memory_holds_are_counted(tmp_path):
    with pytest.raises(ModelError, match=r"36 × 4,000,000,000,000 = 144,000,000,000,000 numbers, 576,000 GB"):
        train(tmp_path, "model: {layers: [Flatten, {Dense: {units: 4000000000000}}]}")


def test_weights_of_a_kind_of_network_that_no_memory_holds_are_counted(tmp_path):
    with pytest.raises(ModelError, match=r"its weights do not fit into memory: 36 × 4,000,000,000,000 = 144"):
        train(tmp_path, "model: {MLP: {units: [4000000000000]}}")


def test_a_batch_that_no_memory_holds_is_counted_before_tensorflow_crashes(tmp_path):
    with pytest.raises(ModelError, match=r"'dense' gives 8 × 36,000,000,000 = 288,000,000,000 numbers .* 1,152 GB"):
        train(
            tmp_path, "model: {layers: [Flatten, {RepeatVector: {n: 1000000000, name: dense}}, GlobalAveragePooling1D]}"
        )


def test_the_line_of_an_optimizer_that_keras_refuses_is_named(tmp_path):
    text = "model: MLP\ncompile:\n  optimizer: {SGD: {clipnorm: 1, clipvalue: 1}}"
    with pytest.raises(ExperimentError, match=r"e\.yaml:4:31: compile\.optimizer\.SGD\.clipnorm: .* Only one of"):
        train(tmp_path, text)


def test_two_ways_to_validate_are_one_too_many(tmp_path):
    with pytest.raises(DataError, match=r"validation_split: 0\.5, but the data have 8 validation examples of"):
        train(tmp_path, "model: MLP\nfit: {validation_split: 0.5}")


@pytest.mark.long
def test_a_batch_larger_than_the_data_is_said(tmp_path, caplog):
    train(tmp_path, "model: MLP\nfit: {epochs: 1, batch_size: 9}")
    assert any("fit.batch_size: 9 is more than the 8 training examples" in line for line in caplog.messages)
