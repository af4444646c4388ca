"""A network that cannot take the examples, or has no such layer: told by the text, before anything heavy is loaded."""

import re

import pytest

from kerasrun.errors import ExperimentError
from kerasrun.experiment.load import parse

IMAGES = "data: {directory: {path: x, image_size: [24, 80]}}\n"
GREY = "data: {directory: {path: x, color_mode: grayscale}}\n"
TABLE = "data: {csv: {train: x.csv, label: y}}\n"
MASKS = "data: {image_masks: {path: x}}\n"
MNIST = "data: {keras_dataset: {name: mnist}}\n"
ARRAYS = "data: {npz: {path: x.npz}}\n"
FREE = "{directory: {path: x}}"


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        (IMAGES + "model: {VGG16: {weights: null}}", "2:9: model", "24×80 are too small for VGG16, which needs 32×32"),
        (IMAGES + "model: {Xception: {weights: null}}", "2:9: model", "needs 71×71; set image_size: [71, 71]"),
        (GREY + "model: MobileNet", "2:1: model", "takes images of 3 channels, but these have 1; set color_mode: rgb"),
        (MNIST + "model: MobileNet", "2:1: model", "28×28 are too small for MobileNet"),
        (TABLE + "model: LeNet", "2:1: model", "LeNet takes images, but the examples are rows of numbers; use MLP"),
        (MASKS + "model: MLP", "2:1: model", "MLP gives one output for an image, but the labels need one for each"),
        (
            f"data: {FREE}\nmodel: VGG16\nstages: [{{epochs: 1}}, {{epochs: 1, trainable: block6_conv1}}]",
            "3:46: stages.1.trainable",
            "VGG16 has no layer 'block6_conv1'; expected true, false or one of block1_conv1,",
        ),
        (
            f"data: {FREE}\nmodel: LeNet\nstages: [{{epochs: 1, trainable: false}}]",
            "3:33: stages.0.trainable",
            "LeNet has no pretrained part",
        ),
    ],
)
def test_what_cannot_fit_is_told_at_its_place(text, place, words):
    with pytest.raises(ExperimentError, match=rf"^e\.yaml:{place}: .*{re.escape(words)}"):
        parse(text, "e.yaml")


@pytest.mark.parametrize(
    "text",
    [
        ARRAYS + "model: VGG16",
        IMAGES + "preprocessing: [{Resizing: {height: 32, width: 32}}]\nmodel: VGG16",
        TABLE + "model: MLP",
        MNIST + "model: LeNet",
    ],
)
def test_what_may_fit_is_left_to_the_data(text):
    assert parse(text, "e.yaml").experiment
