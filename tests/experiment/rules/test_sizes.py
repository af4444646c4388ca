"""Windows that do not fit are reported with their line, exactly where Keras refuses them."""

import random

import pytest

from kerasrun.experiment.load import parse
from kerasrun.experiment.rules.base import Facts
from kerasrun.experiment.rules.sizes import check


def found(layers, shape=(28, 28, 1), preprocessing="[]"):
    loaded = parse(f"data: {{folder: {{path: x}}}}\npreprocessing: {preprocessing}\nmodel:\n  layers: {layers}\n", "e")
    return [str(problem) for problem in check(loaded.experiment, Facts(example_shape=shape), loaded.document)]


def test_a_kernel_larger_than_the_image_is_reported_with_its_line():
    (problem,) = found("\n  - ReLU\n  - Conv2D: {filters: 4, kernel_size: 30}")
    assert problem.startswith("e:6:5: model.layers.1.Conv2D: a window of 30×30, but the images are 28×28 here")


def test_the_layer_after_too_many_poolings_is_reported():
    (problem,) = found("[MaxPooling2D, MaxPooling2D, MaxPooling2D, MaxPooling2D]", (8, 8, 3))
    assert "model.layers.3: a window of 2×2, but the images are 1×1 here" in problem


def test_nothing_is_said_of_what_is_not_known():
    assert not found("[Flatten, {Dense: {units: 2}}]")


def test_rows_and_images_of_unknown_size_are_not_followed():
    assert not found("[MaxPooling2D]", shape=(3,))
    assert not found("[MaxPooling2D]", shape=(None, None, 3))


def _random_layer(draw):
    kind = draw.choice(["Conv2D", "SeparableConv2D", "DepthwiseConv2D", "MaxPooling2D", "AveragePooling2D", "ReLU"])
    if kind == "ReLU":
        return "ReLU", {}
    window = "pool_size" if "Pooling" in kind else "kernel_size"
    arguments = {window: draw.choice([1, 2, 3, [2, 5], 7]), "padding": draw.choice(["valid", "valid", "same"])}
    if draw.random() < 0.5:
        arguments["strides"] = draw.choice([1, 2, 3])
    elif window == "kernel_size" and draw.random() < 0.3:
        arguments["dilation_rate"] = 2
    return kind, arguments | ({"filters": 2} if kind in ("Conv2D", "SeparableConv2D") else {})


@pytest.mark.tensorflow
@pytest.mark.parametrize("seed", range(40))
def test_the_layer_that_keras_refuses_is_the_one_that_is_reported(seed):
    import keras

    draw = random.Random(seed)
    layers = [_random_layer(draw) for _ in range(7)]
    shape = (draw.randint(6, 30), draw.randint(6, 30), 1)
    x, refused = keras.Input(shape), None
    for number, (kind, arguments) in enumerate(layers):
        try:
            x = getattr(keras.layers, kind)(**arguments)(x)
        except ValueError:
            refused = number
            break
    problems = found([{kind: arguments} for kind, arguments in layers], shape)
    assert [f"model.layers.{refused}." in problem for problem in problems] == [True] * (refused is not None)
