from pathlib import Path

import pytest

from kerasrun.errors import ModelError
from kerasrun.models.base import Output
from kerasrun.models.lenet import LeNet

pytestmark = pytest.mark.tensorflow
DATA = Path(__file__).parents[2] / "data"
FIELDS = {"LeNet": {}}


def short_experiment(folder):
    return f"""
data: {{idx: {{path: {DATA}/digits/idx, limit: 60}}}}
model: LeNet
augmentation: {{ImageDataGenerator: {{rotation_range: 10, featurewise_center: true}}}}
"""


def built(shape):
    import keras

    inputs = keras.Input(shape)
    return keras.Model(inputs, LeNet().build(inputs, Output(10, "softmax")))


@pytest.mark.parametrize(("shape", "parameters"), [((32, 32, 1), 61_706), ((28, 28, 1), 44_426)])
def test_it_has_the_published_number_of_parameters(shape, parameters):
    """That of LeCun et al. 1998, with full connections between the maps."""
    assert built(shape).count_params() == parameters


def test_images_that_are_too_small_are_refused_with_both_sizes():
    with pytest.raises(ModelError, match=r"8×8 are too small for LeNet.*image_size"):
        built((8, 8, 1))


def test_rows_of_numbers_are_refused():
    with pytest.raises(ModelError, match="takes images"):
        built((784,))
