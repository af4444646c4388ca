"""Examples that ImageDataGenerator cannot change are told when the data are open, before TensorFlow loads."""

import numpy as np
import pytest

from kerasrun.engine.prepared import prepare
from kerasrun.errors import DataError
from kerasrun.experiment.image_data_generator import ImageDataGenerator
from kerasrun.experiment.load import load
from kerasrun.pipeline.suitable_images import require_suitable_images
from kerasrun.reading.inputs import ArrayInputs


@pytest.mark.parametrize(
    ("arguments", "examples", "words"),
    [
        ({"rotation_range": 3}, np.zeros((4, 7), np.float32), r"an example has the shape \(7,\)"),
        ({"brightness_range": (0, 1)}, np.zeros((4, 8, 8, 1), np.float32), "pixels of 8 bits"),
        ({"brightness_range": (0, 1)}, np.zeros((4, 8, 8, 2), np.uint8), "1, 3 or 4 channels, but these have 2"),
        (
            {"zca_whitening": True},
            np.zeros((2, 224, 224, 3), np.uint8),
            r"224×224×3 takes a matrix of 150528×150528 numbers, 84 GiB",
        ),
    ],
)
def test_the_reason_is_told(arguments, examples, words):
    with pytest.raises(DataError, match=words):
        require_suitable_images(ImageDataGenerator(**arguments), ArrayInputs(examples))


def test_it_is_told_when_the_data_are_open(tmp_path):
    np.savez(tmp_path / "rows.npz", x_train=np.ones((6, 4)), y_train=np.arange(6) % 2)
    file = tmp_path / "e.yaml"
    file.write_text(
        "data: {npz: {path: rows.npz}}\nmodel: MLP\naugmentation: {ImageDataGenerator: {rotation_range: 3}}\n"
    )
    with pytest.raises(DataError, match=r"an example has the shape \(4,\)"):
        prepare(load(file))
