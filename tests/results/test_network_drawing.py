"""The drawing of a network: small layers in the box before, blocks that are repeated once, connections as they are."""

import pytest

from kerasrun.results.network_drawing import Block, network_drawing

pytestmark = pytest.mark.tensorflow


@pytest.fixture(scope="module")
def residual():
    """Three blocks of a convolution that is added to its input, behind one that is not."""
    import keras

    inputs = x = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, strides=2, padding="same", activation="relu")(x)
    for _ in range(3):
        y = keras.layers.Conv2D(4, 3, padding="same")(x)
        y = keras.layers.BatchNormalization()(y)
        x = keras.layers.Add()([x, keras.layers.ReLU()(y)])
    return keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(x)))


def test_blocks_that_are_repeated_are_drawn_once(residual):
    drawn = network_drawing(residual)
    assert [box.text for box in drawn.boxes] == [
        "InputLayer",
        "Conv2D 4 3×3 /2 relu",
        "Conv2D 4 3×3 + BatchNormalization + ReLU",
        "Add",
        "Flatten",
        "Dense 2",
    ]
    assert drawn.blocks == [Block(2, 3, 3)]
    assert (drawn.steps, drawn.jumps) == ([1, 2, 3, 4, 5], [(1, 3)])


def test_the_parameters_of_all_blocks_are_those_of_the_model(residual):
    drawn = network_drawing(residual)
    times = {place: block.times for block in drawn.blocks for place in range(block.first, block.last + 1)}
    total = sum(box.parameters * times.get(place, 1) for place, box in enumerate(drawn.boxes))
    assert total == residual.count_params()
    assert drawn.boxes[1].shape == "4×4×4"


def test_branches_side_by_side_are_no_block():
    import keras

    inputs = keras.Input((4,))
    branches = [keras.layers.Dense(3)(inputs) for _ in range(3)]
    drawn = network_drawing(keras.Model(inputs, keras.layers.Concatenate()(branches)))
    assert (len(drawn.boxes), drawn.blocks) == (5, [])


def test_arithmetic_of_tensors_is_in_the_box_before():
    import keras

    inputs = keras.Input((4,))
    drawn = network_drawing(keras.Model(inputs, keras.layers.Dense(3)(inputs / 2 - 1)))
    assert [box.text for box in drawn.boxes] == ["InputLayer + TrueDivide + Subtract", "Dense 3"]
