"""What a constructor of Keras takes, but no step can be computed with, is the experiment's error."""

import pytest

from kerasrun.errors import ModelError

pytestmark = pytest.mark.tensorflow

RATE = """
compile:
  optimizer:
    Adam: {learning_rate: {CosineDecay: {initial_learning_rate: 1, decay_steps: 5, alpha: [1, 2]}}}
"""


def test_what_keras_cannot_compute_with_is_told_with_its_line(train):
    with pytest.raises(
        ModelError, match=r"small.yaml:6:5: compile.optimizer: Keras cannot compute with what compile.op"
    ):
        train(RATE)
