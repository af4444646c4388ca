"""What every network promises, and the sizes that the literature gives."""

import json

import pytest

from kerasrun.components import kinds
from kerasrun.errors import ModelError
from kerasrun.models._keras_applications import application_names
from kerasrun.tasks.base import Output

pytestmark = pytest.mark.tensorflow
KINDS = kinds("kerasrun.models")
# Of the networks of one file, two that take little time.
NETWORKS = [name for name in KINDS if name not in application_names() or name in ("MobileNet", "VGG16")]
CONVOLUTION = {"module": "keras.layers", "class_name": "Conv2D", "config": {"filters": 2, "kernel_size": 3}}
SEQUENTIAL = {"module": "keras", "class_name": "Sequential", "config": {"name": "s", "layers": [CONVOLUTION]}}
FIELDS = {
    "MobileNet": {"weights": None, "alpha": 0.25},
    "VGG16": {"weights": None, "head": [8]},
    "saved": {"path": "a.json", "architecture": json.dumps(SEQUENTIAL), "head": [4]},
    "layers": {"layers": [{"Conv2D": {"filters": 2, "kernel_size": 3}}, "GlobalAveragePooling2D"]},
}


def build(name, shape, output, **fields):
    import keras

    network = KINDS[name].model_validate({**FIELDS.get(name, {}), **fields})
    inputs = keras.Input(shape)
    return keras.Model(inputs, network.build(inputs, output))


def test_the_networks_were_found():
    assert {"LeNet", "MLP", "MobileNet", "VGG16", "layers"} <= set(NETWORKS)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("output", [Output(10, "softmax"), Output(1, "sigmoid"), Output(3, "linear")])
def test_a_network_ends_in_the_output_that_the_labels_need(name, output):
    model = build(name, (32, 32, 3), output)
    assert model.output.shape == (None, output.units)
    assert model.layers[-1].activation.__name__ == output.activation


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_is_the_same_wherever_it_was_built(name):
    import keras
    import numpy as np

    def weights():
        keras.utils.clear_session()
        keras.utils.set_random_seed(3)
        return build(name, (32, 32, 3), Output(4, "softmax")).get_weights()

    assert all(np.array_equal(a, b) for a, b in zip(weights(), weights(), strict=True))


@pytest.mark.parametrize(
    ("name", "shape", "parameters"),
    [
        ("LeNet", (32, 32, 1), 61_706),  # LeCun et al. 1998, with full connections between the maps
        ("LeNet", (28, 28, 1), 44_426),
        ("MLP", (28, 28, 1), 669_706),
        ("MLP", (784,), 669_706),
    ],
)
def test_a_network_has_the_published_number_of_parameters(name, shape, parameters):
    assert build(name, shape, Output(10, "softmax")).count_params() == parameters


@pytest.mark.parametrize(("name", "shape"), [("LeNet", (8, 8, 1)), ("VGG16", (31, 64, 3))])
def test_images_that_are_too_small_are_refused_with_both_sizes(name, shape):
    with pytest.raises(ModelError, match=rf"{shape[0]}×{shape[1]} are too small for {name}.*image_size"):
        build(name, shape, Output(10, "softmax"))


@pytest.mark.parametrize("name", ["LeNet", "VGG16"])
def test_rows_of_numbers_are_refused_by_networks_for_images(name):
    with pytest.raises(ModelError, match="takes images"):
        build(name, (784,), Output(10, "softmax"))
