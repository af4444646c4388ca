"""The promises of every network.

The test file of each has `FIELDS`: the names of the kinds in that file, with the fields that build a small one.
"""

import pytest

from kerasrun.components import kinds
from kerasrun.models._keras_applications import application_names
from kerasrun.tasks.base import Output
from tests.families import own_tests

pytestmark = pytest.mark.tensorflow
KINDS = kinds("kerasrun.models")
FIELDS = {name: fields for kind in KINDS.values() for name, fields in own_tests(kind).FIELDS.items()}


def build(name, shape, output, **fields):
    import keras

    network = KINDS[name].model_validate({**FIELDS[name], **fields})
    inputs = keras.Input(shape)
    return keras.Model(inputs, network.build(inputs, output))


def test_the_networks_were_found():
    assert {"LeNet", "MLP", "MobileNet", "VGG16", "layers"} <= FIELDS.keys()
    assert KINDS.keys() - FIELDS.keys() < set(application_names()), "of those of one file, some will do"


@pytest.mark.parametrize("name", FIELDS)
@pytest.mark.parametrize("output", [Output(10, "softmax"), Output(1, "sigmoid"), Output(3, "linear")])
def test_a_network_ends_in_the_output_that_the_labels_need(name, output):
    model = build(name, (32, 32, 3), output)
    assert model.output.shape == (None, output.units)
    assert model.layers[-1].activation.__name__ == output.activation


@pytest.mark.parametrize("name", FIELDS)
def test_a_network_is_the_same_wherever_it_was_built(name):
    import keras
    import numpy as np

    def weights():
        keras.utils.clear_session()
        keras.utils.set_random_seed(3)
        return build(name, (32, 32, 3), Output(4, "softmax")).get_weights()

    first, second = weights(), weights()
    assert first
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
