"""VGG16's weights, and which of its layers learn."""

import os
import subprocess
import sys

import numpy as np
import pytest

from kerasrun.errors import ModelError
from kerasrun.models._contract import Output
from kerasrun.models.vgg16 import CONVOLUTIONS, IMAGENET_FILE, VGG16

pytestmark = pytest.mark.tensorflow


@pytest.fixture(scope="module")
def official_layout(tmp_path_factory):
    """A file in the layout of Keras's own weights file, with random weights."""
    import h5py
    import keras
    from keras.src.legacy.saving import legacy_h5_format

    path = tmp_path_factory.mktemp("weights") / "vgg16_notop.h5"
    with h5py.File(path, "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, keras.applications.VGG16(include_top=False, weights=None))
    return path


def built(**fields):
    import keras

    network = VGG16.model_validate({"weights": None, "head": [8], **fields})
    inputs = keras.Input((32, 32, 3))
    return network, keras.Model(inputs, network.build(network.preprocess(inputs), Output(1, "sigmoid")))


@pytest.mark.parametrize(
    ("trainable", "learning"),
    [(False, ()), (True, CONVOLUTIONS), ("block5_conv2", ("block5_conv2", "block5_conv3"))],
)
def test_what_is_before_the_named_layer_is_frozen(trainable, learning):
    _, model = built(trainable=trainable)
    names = {layer.name for layer in model.layers if layer.trainable_weights}
    assert names == {*learning, "head1", "output"}


def test_an_unknown_first_layer_is_told_with_the_nearest():
    with pytest.raises(ValueError, match=r"did you mean block5_conv1"):
        VGG16(trainable="block5_con1")


def test_weights_come_from_a_local_file(official_layout):
    import keras

    network, model = built(weights=official_layout)
    network.load_pretrained(model)
    original = keras.applications.VGG16(include_top=False, weights=str(official_layout))
    for name in CONVOLUTIONS:
        assert np.array_equal(model.get_layer(name).get_weights()[0], original.get_layer(name).get_weights()[0])


def test_imagenet_weights_come_from_keras_cache_without_a_network(official_layout, tmp_path):
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / IMAGENET_FILE).write_bytes(official_layout.read_bytes())
    # Keras compares the file with the md5 of the real weights, which are not to be had offline.
    code = """
import keras, keras.src.utils.file_utils as file_utils
file_utils.validate_file = lambda *arguments, **options: True
from kerasrun.models._contract import Output
from kerasrun.models.vgg16 import VGG16
network = VGG16(weights="imagenet", head=(8,))
inputs = keras.Input((32, 32, 3))
model = keras.Model(inputs, network.build(inputs, Output(1, "sigmoid")))
network.load_pretrained(model)
print(float(abs(model.get_layer("block1_conv1").kernel.numpy()).sum()))
"""
    environment = {**os.environ, "KERAS_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    import keras

    original = keras.applications.VGG16(include_top=False, weights=str(official_layout)).get_layer("block1_conv1")
    assert float(done.stdout) == pytest.approx(float(abs(original.kernel.numpy()).sum()))


def test_imagenet_weights_that_are_not_to_be_had_name_file_folder_and_alternative(tmp_path, monkeypatch):
    import keras

    def no_network(**arguments):
        raise Exception("URL fetch failure")

    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    _, model = built()
    monkeypatch.setattr(keras.applications, "VGG16", no_network)
    with pytest.raises(ModelError, match=f"{tmp_path / 'models' / IMAGENET_FILE}.*URL fetch failure.*weights: null"):
        VGG16(weights="imagenet").load_pretrained(model)


def test_a_missing_weights_file_is_named(tmp_path):
    network, model = built(weights=tmp_path / "none.h5")
    with pytest.raises(ModelError, match=f"{tmp_path / 'none.h5'}: no such weights file"):
        network.load_pretrained(model)


def test_the_weights_of_another_network_are_refused(tmp_path):
    import keras

    path = tmp_path / "other.weights.h5"
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)]).save_weights(path)
    network, model = built(weights=path)
    with pytest.raises(ModelError, match="not the weights of VGG16"):
        network.load_pretrained(model)
