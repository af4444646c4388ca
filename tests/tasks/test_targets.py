"""Classes, last layer, activation and loss agree, or one sentence says how to make them."""

import numpy as np
import pytest

from kerasrun.components import Component
from kerasrun.errors import ModelError
from kerasrun.tasks.base import Output, Targets
from kerasrun.tasks.classes import TASK


@pytest.mark.parametrize(
    ("classes", "loss", "output"),
    [
        (2, None, Output(1, "sigmoid")),
        (3, None, Output(3, "softmax")),
        (2, Component("binary_crossentropy"), Output(1, "sigmoid")),
        (2, Component("BinaryCrossentropy", {"from_logits": True}), Output(1, "linear")),
        (2, Component("categorical_crossentropy"), Output(2, "softmax")),
        (10, Component("sparse_categorical_crossentropy"), Output(10, "softmax")),
        (10, Component("CategoricalCrossentropy", {"from_logits": True}), Output(10, "linear")),
        (10, Component("binary_crossentropy"), Output(10, "sigmoid")),
        (10, Component("mse"), Output(10, "softmax")),
        (10, Component("categorical_hinge"), Output(10, "linear")),
    ],
)
def test_the_last_layer_follows_from_labels_and_loss(classes, loss, output):
    assert TASK.output(classes, loss) == output


def test_labels_become_what_the_loss_takes():
    labels = np.array([2, 0])
    assert Targets(TASK, Component("categorical_crossentropy"), 3, 3).encode(labels).tolist() == [[0, 0, 1], [1, 0, 0]]
    assert Targets(TASK, Component("sparse_categorical_crossentropy"), 3, 3).encode(labels).tolist() == [2, 0]
    assert Targets(TASK, Component("binary_crossentropy"), 2, 1).encode(np.array([1, 0])).tolist() == [[1], [0]]


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    ("units", "activation", "classes", "loss", "sentence"),
    [
        (9, "softmax", 10, None, "has 9 units.*needs 10.*set its units to 10"),
        (1, "sigmoid", 10, None, "has 1 unit,.*needs 10.*of a saved network by drop_last: 1"),
        (10, "linear", 10, None, "no activation.*softmax.*from_logits: true"),
        (1, "softmax", 2, None, "always 1.*sigmoid"),
        (
            10,
            "softmax",
            10,
            Component("CategoricalCrossentropy", {"from_logits": True}),
            "from_logits: true.*one of the two",
        ),
        (2, "softmax", 2, Component("binary_crossentropy"), "has 2 units.*needs 1"),
        (10, "relu", 10, None, "ends in relu, but categorical_crossentropy expects probabilities.*to softmax$"),
        (1, "tanh", 2, None, "ends in tanh, but binary_crossentropy expects probabilities.*to sigmoid$"),
        (10, "softmax", 10, Component("binary_crossentropy"), "one softmax over 10 classes.*categorical_crossentropy"),
        (10, "softmax", 10, Component("categorical_hinge"), "no output is below 0.*linear or tanh"),
        (10, "linear", 10, Component("kl_divergence"), "no activation, but kl_divergence expects probab.*to softmax$"),
        (10, "relu", 10, Component("dice"), "ends in relu, but dice expects probabilities.*to softmax$"),
        (1, "sigmoid", 2, Component("hinge"), "no output is below 0.*linear or tanh"),
    ],
)
def test_a_disagreement_is_one_sentence_with_the_fix(units, activation, classes, loss, sentence):
    with pytest.raises(ModelError, match=sentence):
        TASK.targets_for(_model(units, activation), classes, loss)


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    ("units", "activation", "classes", "loss"),
    [(1, "sigmoid", 2, "binary_crossentropy"), (2, "softmax", 2, "categorical_crossentropy")],
)
def test_a_given_last_layer_decides_the_loss(units, activation, classes, loss):
    assert TASK.targets_for(_model(units, activation), classes, None).loss.name == loss


@pytest.mark.tensorflow
def test_a_network_that_ends_in_maps_is_told_how_to_end():
    import keras

    inputs = keras.Input((8, 8, 1))
    with pytest.raises(ModelError, match="Flatten or GlobalAveragePooling2D"):
        TASK.targets_for(keras.Model(inputs, keras.layers.Conv2D(3, 3)(inputs)), 3, None)


def _model(units, activation):
    import keras

    inputs = keras.Input((4,))
    return keras.Model(inputs, keras.layers.Dense(units, activation=activation)(inputs))
