"""ImageDataGenerator beside the original: pixels where nothing is random, distributions where something is."""

import warnings

import numpy as np
import pytest

from kerasrun.experiment.image_data_generator import ImageDataGenerator

pytestmark = pytest.mark.tensorflow
scipy = pytest.importorskip("scipy", reason="the original needs SciPy, kerasrun does not")

# SciPy computes places in 64 bits; a step of 255 between two pixels makes the most of the difference.
CLOSE = {"rtol": 0, "atol": 0.05}
DRAWS = 2000


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (6, 12, 12, 3)).astype(np.float32)


def originals(**arguments):
    from keras.src.legacy.preprocessing.image import ImageDataGenerator as Original

    return Original(**arguments, data_format="channels_last", dtype="float32")


def original(images, arguments, parameters):
    """What the original makes of each image with these parameters of its own."""
    generator = originals(**arguments)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it calls SciPy by a former name
        return np.stack(
            [
                generator.apply_transform(image.copy(), {name: values[i] for name, values in parameters.items()})
                for i, image in enumerate(images)
            ]
        )


def transformed(images, arguments, parameters, masks=None):
    import tensorflow as tf

    from kerasrun.pipeline.image_data_generator import GeneratorAugmentation, Parameters

    nothing = dict.fromkeys(Parameters.__dataclass_fields__, 0.0)
    nothing |= {"zx": 1.0, "zy": 1.0, "brightness": 1.0, "flip_horizontal": False, "flip_vertical": False}
    values = {name: np.broadcast_to(parameters.get(name, value), len(images)) for name, value in nothing.items()}
    flips = {name for name in values if name.startswith("flip")}
    drawn = Parameters(
        **{name: tf.constant(value, tf.bool if name in flips else tf.float32) for name, value in values.items()}
    )
    augmentation = GeneratorAugmentation(ImageDataGenerator(**arguments), seed=1)
    given = None if masks is None else tf.constant(masks)
    result, changed = augmentation.transform(tf.constant(images), drawn, given)
    return result.numpy() if masks is None else (result.numpy(), changed.numpy())


def spread(low, high, count=6):
    """Numbers over a range, in an order of their own for each range."""
    return np.random.default_rng(round(100 * high)).uniform(low, high, count).astype(np.float32)


def on_the_border(images, arguments, parameters, expected):
    """Find the pixels from the very border of an image: a thousandth of a pixel decides whether they are filled.

    These nudges move a pixel by a few thousandths, which changes it by less than 5 where it is within the image.
    """
    found = np.zeros(expected.shape, bool)
    nudges = {"theta": 0.02, "shear": 0.02, "tx": 0.002, "ty": 0.002, "zx": 0.0004, "zy": 0.0004}
    for name in nudges.keys() & parameters.keys():
        for nudge in (-nudges[name], nudges[name]):
            nudged = original(images, arguments, {**parameters, name: parameters[name].astype(np.float64) + nudge})
            found |= np.abs(nudged - expected) > 5
    return found


FLIPS = np.array([True, False, True, False, True, True])
TABLE = {
    "rotation_range": ({"rotation_range": 180}, {"theta": spread(-180, 180)}),
    "width_shift_range": ({"width_shift_range": 0.9}, {"tx": spread(-12, 12)}),
    "height_shift_range": ({"height_shift_range": 0.9}, {"ty": spread(-12, 11)}),
    "shear_range": ({"shear_range": 40}, {"shear": spread(-40, 40)}),
    "zoom_range": ({"zoom_range": [0.5, 1.8]}, {"zx": spread(0.5, 1.8), "zy": spread(0.5, 1.7)}),
    "horizontal_flip": ({"horizontal_flip": True}, {"flip_horizontal": FLIPS}),
    "vertical_flip": ({"vertical_flip": True}, {"flip_vertical": FLIPS}),
    "channel_shift_range": ({"channel_shift_range": 90}, {"channel_shift_intensity": spread(-90, 90)}),
    "brightness_range": ({"brightness_range": [0.1, 2.5]}, {"brightness": spread(0.1, 2.5)}),
    "all at once": (
        {
            **{"rotation_range": 30, "width_shift_range": 0.2, "height_shift_range": 0.1, "shear_range": 20},
            **{"zoom_range": 0.3, "horizontal_flip": True, "vertical_flip": True, "channel_shift_range": 40},
        },
        {
            **{"theta": spread(-30, 30), "tx": spread(-2, 2), "ty": spread(-1, 1), "shear": spread(-20, 20)},
            **{"zx": spread(0.7, 1.3), "zy": spread(0.7, 1.2), "flip_horizontal": FLIPS, "flip_vertical": ~FLIPS},
            "channel_shift_intensity": spread(-40, 40),
        },
    ),
}


@pytest.mark.parametrize("fill_mode", ["nearest", "constant", "reflect", "wrap"])
@pytest.mark.parametrize("name", TABLE)
def test_the_pixels_are_those_of_the_original(images, name, fill_mode):
    arguments, parameters = TABLE[name]
    arguments = {**arguments, "fill_mode": fill_mode, "cval": 77.0}
    found = transformed(images, arguments, parameters)
    expected = original(images, arguments, parameters)
    clear = ~on_the_border(images, arguments, parameters, expected)
    assert clear.mean() > 0.98
    np.testing.assert_allclose(found[clear], expected[clear], **CLOSE)
    assert not np.array_equal(found, images)


@pytest.mark.parametrize("name", ["horizontal_flip", "vertical_flip", "channel_shift_range", "brightness_range"])
def test_where_nothing_is_interpolated_they_are_so_to_the_bit(images, name):
    arguments, parameters = TABLE[name]
    np.testing.assert_array_equal(transformed(images, arguments, parameters), original(images, arguments, parameters))


def test_brightness_leaves_transparency_alone():
    images = np.random.default_rng(1).integers(0, 256, (2, 4, 4, 4)).astype(np.float32)
    arguments, parameters = {"brightness_range": [0, 2]}, {"brightness": np.array([0.3, 1.9])}
    np.testing.assert_array_equal(transformed(images, arguments, parameters), original(images, arguments, parameters))


@pytest.mark.parametrize("fill_mode", ["nearest", "constant", "reflect", "wrap"])
@pytest.mark.parametrize("size", [(9, 14), (14, 9)])
def test_an_image_that_is_no_square_turns_about_its_middle(size, fill_mode):
    # The original turns it about the middle of a picture on its side, so SciPy is asked itself.
    height, width = size
    image = np.random.default_rng(2).integers(0, 256, (1, height, width, 1)).astype(np.float32)
    theta, tx, ty, zx, zy = np.deg2rad(25), 3.0, -2.0, 1.2, 0.8
    rotation = np.array([[np.cos(theta), np.sin(theta)], [-np.sin(theta), np.cos(theta)]])  # of (y, x)
    matrix, middle = rotation @ np.diag([zy, zx]), np.array([height - 1, width - 1]) / 2
    offset = rotation @ [ty, tx] + middle - matrix @ middle
    expected = scipy.ndimage.affine_transform(
        image[0, ..., 0].astype(np.float64), matrix, offset, order=1, mode=fill_mode, cval=5
    )
    arguments = {"rotation_range": 30, "fill_mode": fill_mode, "cval": 5.0}
    found = transformed(image, arguments, {"theta": 25.0, "tx": tx, "ty": ty, "zx": zx, "zy": zy})
    np.testing.assert_allclose(found[0, ..., 0], expected, **CLOSE)


def test_width_shift_moves_along_the_width():
    image = np.zeros((1, 5, 7, 1), np.float32)
    image[0, 2, 3] = 9
    assert transformed(image, {"width_shift_range": 3}, {"tx": 2.0})[0, 2, 1] == 9
    assert transformed(image, {"height_shift_range": 3}, {"ty": 2.0})[0, 0, 3] == 9


@pytest.mark.parametrize("fill_mode", ["nearest", "constant", "reflect", "wrap"])
def test_a_mask_moves_with_its_image(fill_mode):
    masks = np.random.default_rng(3).integers(1, 4, (6, 12, 10, 1)).astype(np.uint8)
    arguments, parameters = TABLE["all at once"]
    changing = {**arguments, "fill_mode": fill_mode, "cval": 200.0, "brightness_range": (0.1, 0.2)}
    _, found = transformed(masks.astype(np.float32), changing, {**parameters, "brightness": 0.1}, masks)
    assert found.dtype == np.uint8
    assert set(np.unique(found)) == {1, 2, 3} | ({0} if fill_mode == "constant" else set())
    # Where an image of blocks has one value all around, interpolation leaves that value.
    blocks = np.kron(masks[:, :3, :2], np.ones((1, 4, 5, 1), np.uint8))
    image, found = transformed(blocks.astype(np.float32), {**arguments, "channel_shift_range": 0}, parameters, blocks)
    unmixed = np.isclose(image, np.round(image), atol=1e-3)
    assert unmixed.mean() > 0.3
    assert (np.round(image) == found)[unmixed].mean() > 0.97


def drawn(arguments, name, height=20, width=30, step=0, seed=1, examples=DRAWS):
    import tensorflow as tf

    from kerasrun.pipeline.image_data_generator import GeneratorAugmentation

    augmentation = GeneratorAugmentation(ImageDataGenerator(**arguments), seed)
    parameters = augmentation.draw(tf.constant(step, tf.int64), tf.constant(examples), height, width)
    return getattr(parameters, name).numpy()


# The original draws `tx`, which moves along the width, from the range of the height.
@pytest.mark.parametrize(
    ("arguments", "name", "its_name"),
    [
        ({"rotation_range": 40}, "theta", "theta"),
        ({"width_shift_range": 0.2}, "tx", "ty"),
        ({"width_shift_range": 3.0}, "tx", "ty"),
        ({"width_shift_range": 4}, "tx", "ty"),
        ({"width_shift_range": 1}, "tx", "ty"),
        ({"width_shift_range": (-3, 1, 5)}, "tx", "ty"),
        ({"width_shift_range": (0.1, 0.3)}, "tx", "ty"),
        ({"height_shift_range": 0.2}, "ty", "tx"),
        ({"height_shift_range": 4}, "ty", "tx"),
        ({"shear_range": 15}, "shear", "shear"),
        ({"zoom_range": 0.3}, "zx", "zx"),
        ({"zoom_range": (0.5, 0.9)}, "zy", "zy"),
        ({"horizontal_flip": True}, "flip_horizontal", "flip_horizontal"),
        ({"vertical_flip": True}, "flip_vertical", "flip_vertical"),
        ({"channel_shift_range": 50}, "channel_shift_intensity", "channel_shift_intensity"),
        ({"brightness_range": (0.4, 1.6)}, "brightness", "brightness"),
    ],
)
def test_the_draws_are_spread_as_those_of_the_original(arguments, name, its_name):
    found = np.sort(drawn(arguments, name).astype(np.float64))
    np.random.seed(1)
    generator = originals(**arguments)
    expected = np.sort([float(generator.get_random_transform((20, 30, 3))[its_name]) for _ in range(DRAWS)])
    assert scipy.stats.ks_2samp(found, expected).pvalue > 0.01
    assert np.isclose(found[[0, -1]], expected[[0, -1]], atol=0.02 * (np.ptp(expected) or 1)).all()


def test_width_and_height_are_zoomed_apart():
    zx, zy = (drawn({"zoom_range": 0.3}, name) for name in ("zx", "zy"))
    assert abs(np.corrcoef(zx, zy)[0, 1]) < 0.1


def test_every_draw_is_a_function_of_the_seed_and_the_step(images):
    import tensorflow as tf

    from kerasrun.pipeline.image_data_generator import GeneratorAugmentation

    arguments = TABLE["all at once"][0]

    def change(step, seed=1):
        augmentation = GeneratorAugmentation(ImageDataGenerator(**arguments), seed)
        return augmentation(tf.constant(images), tf.constant(step, tf.int64))[0].numpy()

    assert np.array_equal(change(3), change(3))
    assert not np.array_equal(change(3), change(4))
    assert not np.array_equal(change(3), change(3, seed=2))
