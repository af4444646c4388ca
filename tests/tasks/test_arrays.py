"""Errors of arrays by hand and by scikit-learn, and the files that are written of them."""

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score

from kerasrun.components import Component
from kerasrun.errors import ModelError
from kerasrun.reading.data import ArrayForm, ImageFormat, Split
from kerasrun.reading.inputs import ArrayInputs
from kerasrun.report.predictions import Question
from kerasrun.tasks.arrays import Arrays
from tests.sources.pixels import pixels
from tests.tasks.sample import Sample

FORM = ArrayForm((4, 4, 3), (1 / 255,), are_bytes=True)
SAMPLE = Sample(
    Arrays(FORM),
    ("red", "green", "blue"),
    ArrayInputs(np.random.default_rng(6).integers(0, 256, (6, 4, 4, 3), dtype=np.uint8)),
    np.random.default_rng(7).uniform(0, 1, (6, 4, 4, 3)).astype(np.float32),
    (Component("mean_squared_error"), Component("binary_crossentropy")),
)


def short_experiment(folder):
    """Write images with cleaner ones for them, which both are moved."""
    clean = np.stack([np.asarray(pixels(number)) for number in range(60)])
    noise = np.random.default_rng(1).integers(0, 40, clean.shape)
    arrays = {"x_train": np.clip(clean.astype(int) + noise, 0, 255).astype(np.uint8), "y_train": clean}
    np.savez(folder / "pairs.npz", **arrays)
    return """
data: {npz: {path: pairs.npz, labels: arrays}}
augmentation: [RandomRotation: {factor: 0.1}, RandomBrightness: {factor: 0.1}, GaussianNoise: {stddev: 0.04}]
model: {layers: [Conv2D: {filters: 4, kernel_size: 3, padding: same, activation: relu}, Dropout: {rate: 0.2}]}
"""


def test_errors_are_those_of_scikit_learn():
    scorer = SAMPLE.task.scorer(SAMPLE.split, Question(SAMPLE.classes, "values"))
    for chunk in (SAMPLE.found[:4], SAMPLE.found[4:]):
        scorer.add(chunk)
    scores = scorer.scores()
    true, made = (one.reshape(-1, 3).astype(np.float64) for one in (SAMPLE.labels.array, SAMPLE.found * 255.0))
    for place, channel in enumerate(scores.channels):
        assert channel.target == SAMPLE.classes[place]
        assert channel.mae == pytest.approx(mean_absolute_error(true[:, place], made[:, place]))
        assert channel.mse == pytest.approx(mean_squared_error(true[:, place], made[:, place]))
        assert channel.r2 == pytest.approx(r2_score(true[:, place], made[:, place]))
    assert scores.headline == {"psnr": pytest.approx(10 * np.log10(255**2 / mean_squared_error(true, made)))}


def test_what_cannot_be_said_is_left_out():
    form = ArrayForm((2, 1))
    split = Split("test", ArrayInputs(np.ones((3, 2, 1), np.float32)), ArrayInputs(np.ones((3, 2, 1), np.float32)))
    scorer = Arrays(form).scorer(split, Question(("0",), "values"))
    scorer.add(np.ones((3, 2, 1), np.float32))
    assert scorer.scores().headline == {"rmse": 0.0, "r2": None}


def test_a_picture_is_as_large_as_its_image(tmp_path):
    made = np.full((1, 4, 4, 3), 0.5, np.float32)
    question = Question(
        *(SAMPLE.classes, "values"),
        paths=["a/1.jpg"],
        files=[tmp_path / "1.png"],
        sizes=[(8, 6)],
        image_format=ImageFormat(4, 4, "rgb"),
    )
    (prediction,) = SAMPLE.task.predictions([made], question)
    with Image.open(prediction.file) as picture:
        assert (picture.size, picture.getpixel((7, 5))) == ((8, 6), (128, 128, 128))


def test_numbers_that_are_no_bytes_are_written_as_numbers(tmp_path):
    task = Arrays(ArrayForm((3, 2), (2.0, 4.0), (1.0, 0.0), of_inputs=True))
    (file,) = task.files(tmp_path, ["a.npy[0]"], [])
    given = np.array([[1, 2], [3, 4], [5, 6]], np.float32)
    outputs = given * [2, 4] + [1, 0] + [2, 4]
    question = Question(("0", "1"), "values", paths=["a.npy[0]"], files=[file], inputs=ArrayInputs(given[np.newaxis]))
    (prediction,) = task.predictions([outputs[np.newaxis].astype(np.float32)], question)
    assert file.name == "a_0.npy"
    np.testing.assert_allclose(np.load(file), given + 1)
    assert prediction.rmse == pytest.approx(1)


def test_a_row_is_predicted_as_a_row(tmp_path):
    task = Arrays(ArrayForm((2,), of_inputs=True))
    assert task.files(tmp_path, ["a.csv:2", "a.csv:3"], []) == ()
    rows = ArrayInputs(np.array([[1, 2]], np.float32))
    question = Question(("a", "b"), "values", paths=["x"], inputs=rows)
    (prediction,) = task.predictions([np.array([[1, 4]], np.float32)], question)
    assert prediction.as_dict() == {"path": "x", "rmse": pytest.approx(2**0.5), "values": {"a": 1.0, "b": 4.0}}


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((48,), r"end it with Reshape: \{target_shape: \[4, 4, 3\]\}"),
        ((2, 2, 3), "bring what was pooled to that size with UpSampling2D"),
        ((4, 4), "end it in layers that give this shape"),
    ],
)
def test_another_shape_is_told_how_to_end(shape, words):
    with pytest.raises(ModelError, match=rf"targets, which are arrays, have the shape \(4, 4, 3\): {words}"):
        SAMPLE.task.check_shape(shape, (4, 4, 3))


def test_cross_entropy_of_what_is_not_from_0_to_1_is_refused():
    task = Arrays(ArrayForm((4, 4, 1), (2 / 255,), (-1.0,), are_bytes=True))
    with pytest.raises(ModelError, match="brings pixels to -1 to 1, and targets with them"):
        task.agreed(Component("binary_crossentropy"), 1, 1, "sigmoid")
    assert task.agreed(Component("mse"), 1, 1, "tanh").units == 1
