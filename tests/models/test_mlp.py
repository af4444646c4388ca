from pathlib import Path

import numpy as np
import pytest

from kerasrun.models.base import Output
from kerasrun.models.mlp import MLP

pytestmark = pytest.mark.tensorflow
DIGITS = Path(__file__).parents[2] / "data" / "digits" / "digits.npz"
FIELDS = {"MLP": {}}


def short_experiment(folder):
    with np.load(DIGITS) as digits:
        for axis in "xy":
            np.save(folder / f"{axis}.npy", digits[f"{axis}_train"][:60])
    return """
data: {npy: {x_train: x.npy, y_train: y.npy}}
model: {MLP: {units: [8], dropout: 0.3}}
"""


@pytest.mark.parametrize("shape", [(28, 28, 1), (784,)])
def test_it_has_as_many_parameters_as_its_layers(shape):
    import keras

    inputs = keras.Input(shape)
    model = keras.Model(inputs, MLP().build(inputs, Output(10, "softmax")))
    assert model.count_params() == 669_706
