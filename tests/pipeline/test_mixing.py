"""MixUp and CutMix, held against their definitions: images and labels have the same shares of the same examples."""

import numpy as np
import pytest

from kerasrun.components import Component
from kerasrun.reading.inputs import ArrayInputs
from kerasrun.tasks.base import ClassNumbers
from tests.grids import rest_is_long
from tests.pipeline.test_augmentation import LAYERS

pytestmark = pytest.mark.tensorflow
SIZE, CLASSES, EXAMPLES, BATCH = 16, 5, 23, 6
MIXERS = {"MixUp": {"alpha": 0.8}, "CutMix": {"factor": [0.9, 1.0]}}
random = np.random.default_rng(3)
NUMBERS = random.integers(0, CLASSES, EXAMPLES)
PICTURES = random.integers(0, 256, (EXAMPLES, SIZE, SIZE, 3)).astype(np.float32)
LABELS = np.eye(CLASSES, dtype=np.float32)[NUMBERS]


def mixing(*names, seed=1):
    from kerasrun.pipeline.augmentation import LayerAugmentation

    return LayerAugmentation([Component(name, MIXERS.get(name, LAYERS.get(name, {}))) for name in names], seed)


def mixed(augmentation, step=3, pictures=PICTURES, labels=LABELS):
    import tensorflow as tf

    change = tf.function(augmentation)
    return [one.numpy() for one in change(tf.constant(pictures), tf.constant(step, tf.int64), tf.constant(labels))]


@pytest.fixture
def drawn(monkeypatch):
    """What Keras's layers have drawn, outside of a graph."""
    from keras import layers

    noted = {}

    def note(layer, name):
        found = getattr(layer, name)

        def noting(self, *args, **arguments):
            noted.setdefault(name, []).append(args)
            noted["result"] = found(self, *args, **arguments)
            return noted["result"]

        monkeypatch.setattr(layer, name, noting)

    note(layers.MixUp, "get_random_transformation")
    note(layers.CutMix, "_generate_batch_mask")
    note(layers.CutMix, "get_random_transformation")
    return noted


def apply(augmentation, step=3):
    import tensorflow as tf

    found = augmentation(tf.constant(PICTURES), tf.constant(step, tf.int64), tf.constant(LABELS))
    return [one.numpy() for one in found]


def test_mix_up_is_the_weighted_mean_of_two_examples_and_of_their_labels(drawn):
    pictures, labels = apply(mixing("MixUp"))
    share, other = (drawn["result"][name].numpy() for name in ("mix_weight", "permutation_order"))
    assert sorted(other) == list(range(EXAMPLES))
    assert share.std() > 0.2
    for place in range(EXAMPLES):
        first, second = share[place], 1 - share[place]
        expected = first * PICTURES[place] + second * PICTURES[other[place]]
        np.testing.assert_allclose(pictures[place], expected, atol=1e-4)
        expected = first * LABELS[place] + second * LABELS[other[place]]
        np.testing.assert_allclose(labels[place], expected, atol=1e-6)


def test_cut_mix_is_a_box_of_another_example_and_the_labels_have_its_area(drawn):
    pictures, labels = apply(mixing("CutMix"))
    ((_, corners),) = drawn["_generate_batch_mask"]
    left, right, top, bottom = (one.numpy() for one in corners)
    other = drawn["result"]["permutation_order"].numpy()
    assert sorted(other) == list(range(EXAMPLES))
    for place in range(EXAMPLES):
        expected = PICTURES[place].copy()
        for row in range(SIZE):
            for column in range(SIZE):
                if top[place] <= row < bottom[place] and left[place] <= column < right[place]:
                    expected[row, column] = PICTURES[other[place]][row, column]
        np.testing.assert_array_equal(pictures[place], expected)
        area = (right[place] - left[place]) * (bottom[place] - top[place]) / SIZE**2
        expected = (1 - area) * LABELS[place] + area * LABELS[other[place]]
        np.testing.assert_allclose(labels[place], expected, atol=1e-6)


@pytest.mark.parametrize("names", [("MixUp",), ("CutMix",), ("MixUp", "CutMix")])
def test_shares_of_labels_are_those_of_the_picture(names):
    """A picture of a class is white in the channel of its number, so what it has of each can be seen."""
    shown = np.broadcast_to(255 * LABELS[:, None, None, :], (EXAMPLES, 64, 64, CLASSES)).astype(np.float32)
    pictures, labels = mixed(mixing(*names), pictures=shown)
    seen = pictures.mean(axis=(1, 2), dtype=np.float64) / 255
    # Each side of a box of CutMix ends within a pixel.
    np.testing.assert_allclose(labels, seen, atol=1e-5 if names == ("MixUp",) else 2 / 64)
    np.testing.assert_allclose(labels.sum(axis=1), 1, atol=1e-6)
    assert (labels.max(axis=1) < 0.9).sum() > 3


@pytest.mark.long
@pytest.mark.parametrize("name", MIXERS)
def test_what_is_mixed_is_a_function_of_the_seed_and_the_step(name):
    first, again, other_step = (mixed(mixing(name), step) for step in (3, 3, 4))
    other_seed = mixed(mixing(name, seed=2))
    for one in (0, 1):
        np.testing.assert_array_equal(first[one], again[one])
        assert not np.array_equal(first[one], other_step[one])
        assert not np.array_equal(first[one], other_seed[one])


@pytest.mark.parametrize(("classes", "numbers"), [(1, NUMBERS % 2), (3, random.integers(0, 2, (EXAMPLES, 3)))])
def test_one_column_and_several_labels_at_once_are_mixed_as_numbers(classes, numbers):
    labels = numbers.reshape(EXAMPLES, classes).astype(np.float32)
    picture = np.broadcast_to(labels[:, None, None, :], (EXAMPLES, 4, 4, classes))
    pictures, found = mixed(mixing("MixUp"), pictures=picture.astype(np.float32), labels=labels)
    np.testing.assert_allclose(found, pictures[:, 0, 0], atol=1e-6)
    assert ((found > 0.01) & (found < 0.99)).any()


@pytest.mark.parametrize("name", rest_is_long(sorted(LAYERS.keys() - {"RandomCrop"}, reverse=True), short=3))
def test_other_layers_change_pictures_alone(name):
    for rows in (4, None):
        pictures, labels = PICTURES[:4], LABELS[:4]
        alone = mixed_of(rows, mixing("MixUp"), pictures, labels)
        both = mixed_of(rows, mixing("MixUp", name), pictures, labels)
        np.testing.assert_array_equal(both[1], alone[1])
        assert not np.array_equal(both[0], alone[0])


def mixed_of(rows, augmentation, *given):
    import tensorflow as tf

    spec = [tf.TensorSpec([rows, *one.shape[1:]]) for one in given]
    change = tf.function(lambda x, y: augmentation(x, tf.constant(3, tf.int64), y), input_signature=spec)
    return [one.numpy() for one in change(*given)]


def batches(first_step=0, share=None, augmentation=None, weight=None):
    import tensorflow as tf

    from kerasrun.pipeline.batches import training_batches

    return training_batches(
        ArrayInputs(PICTURES.astype(np.uint8)),
        ClassNumbers(NUMBERS, lambda numbers: tf.one_hot(numbers, CLASSES)),
        **{"batch_size": BATCH, "seed": 5, "first_step": first_step, "epochs": 2},
        augmentation=augmentation or mixing("RandomFlip", "CutMix", "MixUp"),
        sample_weight=weight,
        share=share,
    )


def test_the_batches_are_the_same_wherever_the_stream_began():
    whole = [[one.numpy() for one in batch] for batch in batches()]
    assert [len(x) for x, _ in whole] == [6, 6, 6, 5] * 2
    for first in (1, 3, 6):
        for batch, (x, y) in zip(batches(first), whole[first:], strict=True):
            np.testing.assert_array_equal(batch[0], x)
            np.testing.assert_array_equal(batch[1], y)


@pytest.mark.long
def test_a_shard_is_a_part_of_the_batch_whoever_computes_it():
    from kerasrun.workers.shares import Share

    of_workers = [batches(share=Share(4, rank, workers=2)) for rank in range(2)]
    count = 0
    for whole, *parts in zip(batches(), *of_workers, strict=True):
        shards = [shard for total, own in parts for shard in own if total == len(whole[0])]
        assert len(shards) == 4
        for place, one in enumerate(whole):
            np.testing.assert_array_equal(np.concatenate([shard[place] for shard in shards]), one)
        count += 1
    assert count == 8


def test_a_mixed_example_weighs_as_its_labels_say():
    import tensorflow as tf

    for _, y, weight in batches(weight=lambda shares: tf.reduce_max(shares, 1)):
        np.testing.assert_array_equal(weight, y.numpy().max(axis=1))


def test_where_labels_are_classes_there_is_no_input_alone():
    from kerasrun.experiment.load import parse
    from kerasrun.pipeline.augmentation import augmentation_of
    from kerasrun.reading.data import Split

    text = "data: {npz: {path: x.npz}}\naugmentation: [MixUp]\naugment: input\nmodel: {layers: [Flatten]}"
    split = Split("train", ArrayInputs(PICTURES.astype(np.uint8)), NUMBERS)
    augmentation = augmentation_of(parse(text, "run.yaml").experiment, split)
    assert augmentation.mixes
    assert not np.array_equal(mixed(augmentation)[1], LABELS)
