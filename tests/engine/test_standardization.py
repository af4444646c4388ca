"""What ImageDataGenerator does to every image: equal to the original, part of the model, exact after a resume."""

import numpy as np
import pytest

import kerasrun
from kerasrun.errors import ModelError
from kerasrun.experiment.image_data_generator import ImageDataGenerator
from kerasrun.reading.inputs import ArrayInputs
from kerasrun.runs.directory import open_run
from tests.training.whole_and_cut import train_whole_and_cut

pytestmark = pytest.mark.tensorflow

TABLE = [
    {"rescale": 1 / 255},
    {"preprocessing_function": "mobilenet"},
    {"preprocessing_function": "vgg16"},
    {"preprocessing_function": "vgg16", "rescale": 0.5, "samplewise_center": True},
    {"samplewise_center": True},
    {"samplewise_std_normalization": True},
    {"featurewise_center": True},
    {"featurewise_std_normalization": True},
    {"rescale": 1 / 255, "featurewise_center": True, "featurewise_std_normalization": True},
    {"rescale": 1 / 127.5, "zca_whitening": True},
    {"zca_whitening": True, "zca_epsilon": 3.0, "featurewise_std_normalization": True},
]


@pytest.fixture(scope="module")
def images():
    """More of them than an image has numbers, so that whitening has something to measure in every direction."""
    generator = np.random.default_rng(0)
    smooth = generator.normal(size=(300, 1, 1, 3)) * 40 + generator.normal(size=(300, 4, 4, 3)) * 30 + 120
    return np.clip(smooth, 0, 255).astype(np.uint8)


def standardized(generator, images, train):
    import keras

    from kerasrun.engine.standardization import standardize

    keras.utils.clear_session()
    x = keras.Input(images.shape[1:], name="input")
    model = keras.Model(x, standardize(generator, x, ArrayInputs(train)))
    return keras.Model.from_config(model.get_config()), model, model(images.astype(np.float32)).numpy()


@pytest.mark.parametrize("arguments", TABLE, ids=lambda arguments: "-".join(arguments))
@pytest.mark.filterwarnings("ignore:This ImageDataGenerator specifies")
def test_an_image_is_standardized_as_by_the_original(arguments, images):
    import importlib

    from keras.src.legacy.preprocessing.image import ImageDataGenerator as Original

    name = arguments.get("preprocessing_function")
    function = importlib.import_module(f"keras.applications.{name}").preprocess_input if name else None
    original = Original(**{**arguments, "preprocessing_function": function}, data_format="channels_last")
    original.fit(images)
    expected = np.stack([original.standardize(image.astype(np.float32)) for image in images[:9]]).reshape(9, 4, 4, 3)
    *_, found = standardized(ImageDataGenerator(**arguments), images[:9], images)
    # The original measures in 32 bits.
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=2e-3 * np.abs(expected).max())


def test_statistics_of_8_bit_images_do_not_depend_on_how_they_are_read(images):
    from kerasrun.engine.standardization import _statistics

    mean, deviation = _statistics(ArrayInputs(images))
    assert mean.tolist() == images.reshape(-1, 3).astype(np.float64).mean(axis=0).tolist()
    np.testing.assert_allclose(deviation, images.reshape(-1, 3).astype(np.float64).std(axis=0), rtol=1e-12)


def test_preprocessing_for_colours_is_refused_for_grey_images():
    from kerasrun.engine.standardization import standardize

    grey = ArrayInputs(np.zeros((2, 8, 8, 1), np.uint8))
    with pytest.raises(ModelError, match="vgg16 does not take images of 1 channel; set color_mode: rgb"):
        standardize(ImageDataGenerator(preprocessing_function="vgg16"), _input((8, 8, 1)), grey)


def _input(shape):
    import keras

    return keras.Input(shape)


EXPERIMENT = """
data: {npz: {path: digits.npz, image_size: [8, 8]}}
augmentation:
  ImageDataGenerator:
    rescale: 1./255
    rotation_range: 20
    width_shift_range: 0.1
    height_shift_range: 0.1
    shear_range: 5
    zoom_range: 0.2
    channel_shift_range: 20
    brightness_range: [0.5, 1.5]
    fill_mode: constant
    horizontal_flip: true
    zca_whitening: true
    zca_epsilon: 0.1
model: {MLP: {units: [8]}}
fit: {epochs: 3, validation_split: 0.2}
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """`whole/run-1`, and `cut/run-1`, cut after its second epoch and resumed."""
    folder = tmp_path_factory.mktemp("augmented")
    generator = np.random.default_rng(0)
    x = generator.integers(0, 256, (90, 8, 8), dtype=np.uint8)
    np.savez(folder / "digits.npz", x_train=x[:70], y_train=x[:70, 0, 0] % 3, x_test=x[70:], y_test=x[70:, 0, 0] % 3)
    train_whole_and_cut(folder, EXPERIMENT)
    kerasrun.resume(folder / "cut" / "run-1")
    return folder


@pytest.mark.long
def test_a_run_that_was_cut_ends_with_the_same_bits(runs):
    import keras

    whole, cut = (open_run(runs / name / "run-1") for name in ("whole", "cut"))
    assert cut.metrics_file.read_bytes() == whole.metrics_file.read_bytes()
    for model in ("best_model", "last_model"):
        first, second = (keras.models.load_model(getattr(run, model)).get_weights() for run in (whole, cut))
        assert [weight.tobytes() for weight in first] == [weight.tobytes() for weight in second]


@pytest.mark.long
def test_the_model_file_standardizes_in_plain_keras_with_the_statistics_of_what_trained(runs):
    import keras

    run = open_run(runs / "whole" / "run-1")
    model = keras.models.load_model(run.best_model)
    with np.load(runs / "digits.npz") as archive:
        every = archive["x_train"]
    mean = np.ravel(model.get_layer("featurewise").mean) * 255
    assert 0 < abs(mean - every.mean()) < 10  # a fifth of them validates
    whitened = keras.Model(model.input, model.get_layer("zca_reshape").output)(every.astype(np.float32)[..., None])
    assert np.std(whitened) == pytest.approx(1, abs=0.3)
    assert not model.get_layer("zca_whitening").trainable
