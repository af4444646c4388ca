"""Keras's augmentation layers as functions of (seed, step)."""

from pathlib import Path

import numpy as np
import pytest

from kerasrun.components import Component
from kerasrun.errors import KerasrunError
from kerasrun.experiment.load import parse
from kerasrun.experiment.schema import MIXING
from kerasrun.reading.data import Split
from kerasrun.reading.inputs import ArrayInputs
from tests.grids import rest_is_long

pytestmark = pytest.mark.tensorflow

# These do the same to every image, whatever they draw.
NOT_RANDOM = {
    *("AutoContrast", "CenterCrop", "ContrastLimitedAdaptiveHistogramEqualization", "Equalization"),
    *("MaxNumBoundingBoxes", "Resizing", "Solarization"),
}
LAYERS = {
    "RandomColorJitter": {
        **{"brightness_factor": 0.3, "contrast_factor": 0.4, "saturation_factor": [0.2, 0.8], "hue_factor": 0.3},
    },
    "RandomBrightness": {"factor": 0.3},
    "RandomColorDegeneration": {"factor": [0.2, 0.9]},
    "RandomContrast": {"factor": 0.4},
    "RandomCrop": {"height": 12, "width": 12},
    "RandomElasticTransform": {},
    "RandomErasing": {"factor": 1.0},
    "RandomFlip": {},
    "RandomGaussianBlur": {"factor": 1.0},
    "RandomGrayscale": {},
    "RandomHue": {"factor": 0.3},
    "RandomInvert": {"factor": 0.5},
    "RandomPerspective": {"factor": 1.0},
    "RandomPosterization": {"factor": [1, 7]},
    "RandomRotation": {"factor": 0.2},
    "RandomSaturation": {"factor": [0.2, 0.8]},
    "RandomSharpness": {"factor": [0.2, 0.9]},
    "RandomShear": {"x_factor": 0.3, "y_factor": 0.3},
    "RandomTranslation": {"height_factor": 0.2, "width_factor": 0.2},
    "RandomZoom": {"height_factor": 0.3},
    "RandAugment": {"factor": 0.6},  # the last one, since it takes ten seconds
}


IMAGES = np.random.default_rng(0).integers(0, 256, (8, 16, 16, 3)).astype(np.float32)


@pytest.fixture
def images(name):
    """As many as Keras traces in little time: RandomElasticTransform has nodes for each image and channel."""
    return IMAGES[:2] if name == "RandomElasticTransform" else IMAGES


def augment(component, images, *steps, seed=1):
    """The images at each step, all from one graph."""
    import tensorflow as tf

    from kerasrun.pipeline.augmentation import LayerAugmentation

    augmentation = tf.function(LayerAugmentation([component], seed))
    return [augmentation(images, tf.constant(step, tf.int64))[0].numpy() for step in steps]


def test_every_augmentation_layer_of_keras_is_tried_or_refused():
    import keras

    from kerasrun.experiment.refused import refusal

    found = {
        name
        for name, layer in vars(keras.layers).items()
        if isinstance(layer, type) and hasattr(layer, "get_random_transformation")
    }
    refused = {name for name in found if refusal("layers", name, "augmentation")}
    assert found - refused - NOT_RANDOM - set(MIXING) == set(LAYERS)


@pytest.mark.parametrize("name", rest_is_long(LAYERS, short=3))
def test_a_layer_repeats_itself_for_the_same_step_and_varies_with_it(name, images):
    component = Component(name, LAYERS[name])
    first, other_step = augment(component, images, 3, 4)
    (again,), (other_seed,) = augment(component, images, 3), augment(component, images, 3, seed=2)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other_step)
    assert not np.array_equal(first, other_seed)


def test_a_flip_is_keras_own_flip():
    (flipped,) = augment(Component("RandomFlip", {"mode": "horizontal"}), IMAGES, 0)
    mirrored = [np.array_equal(a, b[:, ::-1]) for a, b in zip(flipped, IMAGES, strict=True)]
    kept = [np.array_equal(a, b) for a, b in zip(flipped, IMAGES, strict=True)]
    assert all(m != k for m, k in zip(mirrored, kept, strict=True))
    assert any(mirrored)
    assert any(kept)


MOVING = {
    *("RandAugment", "RandomCrop", "RandomElasticTransform", "RandomFlip", "RandomPerspective", "RandomRotation"),
    *("RandomShear", "RandomTranslation", "RandomZoom"),
}


@pytest.mark.parametrize("name", [*LAYERS, "AutoContrast", "ContrastLimitedAdaptiveHistogramEqualization"])
def test_a_mask_moves_with_its_image_and_keeps_its_classes(name):
    import tensorflow as tf

    from kerasrun.pipeline.augmentation import LayerAugmentation

    # Blocks of one class: where the image has one value all around, so has the mask.
    classes = np.random.default_rng(0).integers(0, 2, (8, 4, 4, 1), dtype=np.uint8)
    masks = np.kron(classes, np.ones((1, 6, 6, 1), np.uint8))
    arguments = {"height": 24, "width": 24} if name == "RandomCrop" else LAYERS.get(name, {})
    augmentation = LayerAugmentation([Component(name, {**arguments})], seed=1)
    images = tf.constant(np.repeat(masks * 200, 3, axis=-1), tf.float32)
    image, mask = augmentation(images, tf.constant(5, tf.int64), tf.constant(masks))
    mask = mask.numpy()
    assert mask.dtype == np.uint8
    assert set(np.unique(mask)) <= {0, 1}
    if name in MOVING - {"RandAugment", "RandomCrop"}:
        value = image.numpy()[..., 0] / 200
        whole = np.isclose(value, np.round(value), atol=0.01)
        assert whole.mean() > 0.5
        assert (np.round(value) == mask[..., 0])[whole].mean() > 0.97
    assert np.array_equal(mask, masks) == (name not in MOVING or name == "RandomCrop")


# RandAugment takes the histogram of a whole batch.
@pytest.mark.parametrize("name", rest_is_long(sorted(LAYERS.keys() - {"RandAugment"}), short=3))
def test_an_image_is_made_of_itself_alone_whether_or_not_the_size_of_a_batch_is_known(name, images):
    import tensorflow as tf

    from kerasrun.pipeline.augmentation import LayerAugmentation

    augmentation = LayerAugmentation([Component(name, LAYERS[name])], seed=1)
    others = np.concatenate([255 - images[:1], images[1:]]).astype(np.float32)
    for rows in (len(images), None):
        spec = [tf.TensorSpec([rows, *images.shape[1:]]), tf.TensorSpec([], tf.int64)]
        change = tf.function(lambda x, step: augmentation(x, step)[0], input_signature=spec)
        one, other = (change(tf.constant(x, tf.float32), tf.constant(3, tf.int64)).numpy() for x in (images, others))
        np.testing.assert_array_equal(one[1:], other[1:])
        assert not np.array_equal(one[0], other[0])


@pytest.mark.parametrize(
    ("name", "arguments", "reason"),
    [
        ("AugMix", {}, "random state of its own"),
        ("Dense", {"units": 3}, "does not augment images"),
    ],
)
def test_a_layer_that_cannot_serve_is_refused_by_name(name, arguments, reason):
    from kerasrun.pipeline.augmentation import LayerAugmentation

    with pytest.raises(KerasrunError, match=f"{name}.*{reason}"):
        LayerAugmentation([Component(name, arguments)], seed=1)


PICTURE = np.random.default_rng(4).uniform(0, 255, (3, 8, 8, 2)).astype(np.float32)


def changed(layers, augment="both", step=3):
    """Return a batch of pictures, each the target of itself, as an experiment changes it."""
    import tensorflow as tf

    from kerasrun.pipeline.augmentation import augmentation_of

    data = "{npz: {path: x.npz, labels: input}}"
    text = f"data: {data}\naugmentation: {layers}\naugment: {augment}\nmodel: {{layers: [Identity]}}"
    inputs = ArrayInputs(PICTURE.astype(np.uint8))
    split = Split("train", inputs, inputs)
    augmentation = augmentation_of(parse(text, Path("run.yaml")).experiment, split, blends=True)
    images, targets = tf.function(augmentation)(tf.constant(PICTURE), tf.constant(step, tf.int64), tf.constant(PICTURE))
    return images.numpy(), targets.numpy()


@pytest.mark.parametrize(
    "layers",
    rest_is_long(
        [
            "[RandomRotation: {factor: 0.2}, RandomZoom: {height_factor: 0.2}]",
            "{ImageDataGenerator: {rotation_range: 30, horizontal_flip: true, fill_mode: constant, cval: 7}}",
            *("[RandomFlip]", "[RandomElasticTransform: {factor: 1.0, scale: 1.0}]"),
        ],
        short=2,
    ),
)
def test_what_moves_pixels_moves_an_image_and_the_image_that_is_made_of_it_to_the_same_bits(layers):
    images, targets = changed(layers)
    assert not np.array_equal(images, PICTURE)
    np.testing.assert_array_equal(images, targets)
    alone, targets = changed(layers, "input")
    np.testing.assert_array_equal(alone, images)
    np.testing.assert_array_equal(targets, PICTURE)


@pytest.mark.parametrize(
    "layers",
    [
        *("[GaussianNoise: {stddev: 0.04}]", "[Dropout: {rate: 0.5}]", "[GaussianDropout: {rate: 0.2}]"),
        *("[SpatialDropout2D: {rate: 0.5}]", "[RandomErasing: {factor: 1.0}]", "[RandomBrightness: {factor: 0.5}]"),
        "{ImageDataGenerator: {brightness_range: [0.2, 0.5]}}",
    ],
)
def test_noise_and_colours_change_the_input_alone(layers):
    images, targets = changed(layers)
    assert not np.array_equal(images, PICTURE)
    np.testing.assert_array_equal(targets, PICTURE)


def test_noise_is_a_function_of_the_step_and_has_its_deviation():
    text = "[GaussianNoise: {stddev: 0.04}]"
    first, again, other = (changed(text, step=step)[0] for step in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert (first - PICTURE).std() == pytest.approx(0.04 * 255, rel=0.1)
