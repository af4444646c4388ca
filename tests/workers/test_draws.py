"""A shard draws the rows that its examples have in the whole batch; where these lie is counted by hand."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import random

from kerasrun.components import Component
from kerasrun.experiment.image_data_generator import ImageDataGenerator
from kerasrun.pipeline.augmentation import NOISE, LayerAugmentation
from kerasrun.pipeline.image_data_generator import GeneratorAugmentation
from kerasrun.workers.draws import as_in_the_whole_batch, own_rows
from kerasrun.workers.shares import Share
from tests.grids import rest_is_long
from tests.pipeline.test_augmentation import LAYERS as AUGMENTATIONS

pytestmark = pytest.mark.tensorflow

SEED = 3
BEGINS = [(0, 3), (3, 6), (6, 9), (9, 11)]
"""The shards of 11 examples."""


def by_shards(draw, rows_of_example=1):
    """Return what `draw` gives for each of 4 shards of 11 examples, in a graph that does not know their sizes."""

    @tf.function(input_signature=[tf.TensorSpec([], tf.int64)], autograph=False)
    def shards(total):
        found = []
        for cut in Share(4).cuts(total):
            with as_in_the_whole_batch(cut):
                found.append(draw(tf.zeros([cut.size * rows_of_example, 2])))
        return found

    return [one.numpy() for one in shards(tf.constant(11, tf.int64))]


def require_rows(draw, rows_of_example=1):
    whole = draw(tf.zeros([11 * rows_of_example, 2])).numpy()
    assert len(np.unique(whole, axis=0)) > 1  # else rows of other examples would pass
    for (begin, end), found in zip(BEGINS, by_shards(draw, rows_of_example), strict=True):
        np.testing.assert_array_equal(found, whole[begin * rows_of_example : end * rows_of_example])


DRAWS = {
    "beta": lambda shape: random.beta(shape, 2.0, 3.0, seed=SEED),
    "binomial": lambda shape: random.binomial(shape, 9.0, 0.5, seed=SEED),
    "gamma": lambda shape: random.gamma(shape, 2.0, seed=SEED),
    "normal": lambda shape: random.normal(shape, seed=SEED),
    "randint": lambda shape: random.randint(shape, 0, 99, seed=SEED),
    "truncated_normal": lambda shape: random.truncated_normal(shape, seed=SEED),
    "uniform": lambda shape: random.uniform(shape, seed=SEED),
}


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
def test_every_distribution_gives_a_shard_its_rows(draw):
    require_rows(lambda x: draw(keras.ops.shape(x)))


OF_EXAMPLES = {
    "beta": lambda x: random.beta(keras.ops.shape(x), x + 2, x + 3, seed=SEED),
    "binomial": lambda x: random.binomial(keras.ops.shape(x), x + 9, x + 0.5, seed=SEED),
    "gamma": lambda x: random.gamma(keras.ops.shape(x), alpha=x + 2, seed=SEED),
    "normal": lambda x: random.normal(keras.ops.shape(x), mean=x[:, :1], seed=SEED),
    "categorical": lambda x: random.categorical(tf.concat([x, x], 1), 3, seed=SEED),
}


@pytest.mark.parametrize("draw", OF_EXAMPLES.values(), ids=OF_EXAMPLES)
def test_a_distribution_that_each_example_has_for_itself_gives_a_shard_its_rows(draw):
    require_rows(draw)


def test_an_order_of_what_is_not_the_batch_is_that_of_the_batch():
    require_rows(lambda x: random.shuffle(random.uniform(keras.ops.shape(x), seed=SEED), axis=1, seed=SEED))


@pytest.mark.parametrize("noise_shape", [None, (None, 1)])
def test_dropout_keeps_of_a_shard_what_it_keeps_of_the_batch(noise_shape):
    require_rows(lambda x: random.dropout(x + 1, 0.5, noise_shape=noise_shape, seed=SEED))


def test_of_several_rows_for_an_example_a_shard_has_as_many():
    require_rows(lambda x: random.uniform(keras.ops.shape(x), seed=SEED), rows_of_example=5)


def test_a_layer_that_joins_steps_to_the_batch_drops_the_same():
    layer = keras.layers.TimeDistributed(keras.layers.Dropout(0.5))
    layer.build((None, 5, 2))
    steps = lambda x: tf.reshape(x, [-1, 5, 2]) + 1  # noqa: E731
    seed = layer.layer.seed_generator.state

    def dropped(x):
        seed.assign([7, 0])
        return layer(steps(x), training=True)

    whole = dropped(tf.zeros([11 * 5, 2])).numpy()
    for (begin, end), found in zip(BEGINS, by_shards(dropped, rows_of_example=5), strict=True):
        np.testing.assert_array_equal(found, whole[begin:end])


def test_what_all_examples_share_is_the_same_in_every_shard():
    whole = random.uniform((2, 3), seed=SEED).numpy()
    for found in by_shards(lambda x: random.uniform((2, 3), seed=SEED)):
        np.testing.assert_array_equal(found, whole)


def test_without_a_shard_as_many_rows_are_drawn_as_asked_for():
    assert own_rows(lambda rows: tf.range(rows), 4).numpy().tolist() == [0, 1, 2, 3]


def test_a_shard_draws_for_its_batch_and_takes_its_rows():
    found = by_shards(lambda x: own_rows(lambda rows: tf.range(rows), tf.shape(x)[0]))
    assert [one.tolist() for one in found] == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9, 10]]


def test_after_the_block_keras_draws_as_before():
    before = random.uniform((2, 3), seed=SEED).numpy()
    by_shards(lambda x: random.uniform(keras.ops.shape(x), seed=SEED))
    np.testing.assert_array_equal(random.uniform((2, 3), seed=SEED), before)


class Changed:
    """What augmentation makes of a batch of images, with masks, and of its shards."""

    def __init__(self, augmentation, channels):
        random = np.random.default_rng(2)
        images = tf.constant(random.integers(0, 256, (11, 16, 16, channels)), tf.float32)
        masks = tf.constant(random.integers(0, 3, (11, 16, 16, 1)), tf.uint8)
        step = tf.constant(4, tf.int64)

        @tf.function(input_signature=[tf.TensorSpec([None, *one.shape[1:]], one.dtype) for one in (images, masks)])
        def whole(images, masks):
            return augmentation(images, step, masks)

        @tf.function(input_signature=whole.input_signature)
        def shards(images, masks):
            found = []
            for cut in Share(4).cuts(tf.shape(images)[0]):
                with as_in_the_whole_batch(cut):
                    found.append(augmentation(cut.of(images), step, cut.of(masks)))
            return [tf.concat(one, 0) for one in zip(*found, strict=True)]

        self.whole = [one.numpy() for one in whole(images, masks)]
        self.shards = [one.numpy() for one in shards(images, masks)]
        assert not np.array_equal(self.whole[0], images)


CHANGES = {
    **AUGMENTATIONS,
    "RandAugment": {"factor": 0.6, "num_ops": 1},  # each operation traces all of its layers
    "Solarization": {"addition_factor": 0.3, "threshold_factor": 0.4},
    "AutoContrast": {},
    "ContrastLimitedAdaptiveHistogramEqualization": {},
    **{name: {"rate": 0.3} for name in NOISE},
    "GaussianNoise": {"stddev": 0.1},
}


@pytest.mark.parametrize(("name", "arguments"), rest_is_long(CHANGES.items(), short=2), ids=CHANGES)
def test_an_augmentation_layer_changes_a_shard_as_in_its_batch(name, arguments):
    changed = Changed(LayerAugmentation([Component(name, arguments)], seed=1, unit=255.0), 3)
    np.testing.assert_array_equal(changed.shards[1], changed.whole[1])
    # A place among 16 pixels is rounded by some 1e-6, and pixels side by side differ by up to 255.
    np.testing.assert_allclose(changed.shards[0], changed.whole[0], atol=2e-3)


@pytest.mark.long
def test_an_image_data_generator_changes_a_shard_as_in_its_batch():
    generator = ImageDataGenerator(
        rotation_range=30,
        width_shift_range=0.2,
        height_shift_range=0.2,
        shear_range=10,
        zoom_range=0.3,
        channel_shift_range=40,
        brightness_range=(0.5, 1.5),
        horizontal_flip=True,
        vertical_flip=True,
    )
    changed = Changed(GeneratorAugmentation(generator, seed=1), 3)
    np.testing.assert_array_equal(changed.shards[1], changed.whole[1])
    np.testing.assert_array_equal(changed.shards[0], changed.whole[0])
