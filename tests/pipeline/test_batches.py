"""Batches follow from the global step, and can begin at any."""

import numpy as np
import pytest

from kerasrun.components import Component
from kerasrun.pipeline.order import epoch_order
from kerasrun.pipeline.selection import SelectedInputs
from kerasrun.reading.inputs import ArrayInputs

pytestmark = pytest.mark.tensorflow
EXAMPLES, BATCH, EPOCHS, STEPS = 10, 4, 3, 3


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (EXAMPLES, 8, 8, 1), dtype=np.uint8)


class FromFiles:
    """Inputs without `.array`, as image files that do not fit into memory."""

    def __init__(self, array):
        self.array_like = array
        self.example_shape, self.dtype = array.shape[1:], array.dtype

    def __len__(self):
        return len(self.array_like)

    def take(self, indices):
        return self.array_like[indices]


def batches(inputs, first_step=0, augmentation=None, epochs=EPOCHS, steps_per_epoch=None):
    from kerasrun.pipeline.batches import training_batches

    labels = np.arange(len(inputs))
    dataset = training_batches(
        *(inputs, labels),
        batch_size=BATCH,
        seed=5,
        first_step=first_step,
        epochs=epochs,
        steps_per_epoch=steps_per_epoch,
        augmentation=augmentation,
    )
    return [(x.numpy(), y.numpy()) for x, y in dataset]


def augmented(images, first_step=0):
    from kerasrun.pipeline.augmentation import LayerAugmentation

    layers = [
        Component("RandomTranslation", {"height_factor": 0.2, "width_factor": 0.2}),
        Component("RandomBrightness", {"factor": 0.3}),
    ]
    return batches(ArrayInputs(images), first_step, LayerAugmentation(layers, seed=5))


def same(these, those):
    return len(these) == len(those) > 0 and all(
        np.array_equal(x, u) and np.array_equal(y, v) for (x, y), (u, v) in zip(these, those, strict=True)
    )


def test_batches_are_the_examples_in_the_order_of_each_epoch(images):
    found = batches(ArrayInputs(images))
    assert len(found) == EPOCHS * STEPS
    for number, (x, y) in enumerate(found):
        epoch, step = divmod(number, STEPS)
        expected = epoch_order(5, epoch, EXAMPLES)[step * BATCH : (step + 1) * BATCH]
        assert y.tolist() == expected.tolist()
        assert x.dtype == np.uint8
        assert np.array_equal(x, images[expected])


@pytest.mark.parametrize("first_step", [0, 1, STEPS, STEPS + 2])
@pytest.mark.parametrize("full", [True, False])
@pytest.mark.parametrize("one_hot", [True, False])
def test_batches_that_the_step_takes_out_of_memory_are_those_of_the_pipeline(images, first_step, full, one_hot):
    import tensorflow as tf

    from kerasrun.pipeline.batches import BatchesInMemory, is_copied, training_batches
    from kerasrun.tasks.base import ClassNumbers

    count = 2 * BATCH if full else EXAMPLES
    # The second half, as where a share validates: indices are then those of a selection.
    inputs = SelectedInputs(ArrayInputs(np.concatenate([images, images + 1])), np.arange(EXAMPLES, EXAMPLES + count))
    labels = ClassNumbers(np.arange(count), lambda numbers: tf.one_hot(numbers, count))
    of_both = {"batch_size": BATCH, "seed": 5, "first_step": first_step, "sample_weight": np.arange(count) + 0.5}
    by_pipeline = list(
        training_batches(inputs, labels if one_hot else labels.numbers, epochs=EPOCHS, steps_per_epoch=STEPS, **of_both)
    )
    assert len(by_pipeline) == EPOCHS * STEPS - first_step
    assert is_copied(inputs)
    in_memory = BatchesInMemory(inputs, labels if one_hot else labels.numbers, **of_both)
    batch = tf.function(in_memory.batch)
    by_step = []
    while len(by_step) < len(by_pipeline):  # in calls of one step, of two, of three and so on
        steps = min(len(by_step) + 1, len(by_pipeline) - len(by_step))
        planned = in_memory.next(steps)
        by_step += [batch(planned, tf.constant(number, tf.int64)) for number in range(steps)]
    for ours, theirs in zip(by_step, by_pipeline, strict=True):
        for one, other in zip(ours, theirs, strict=True):
            assert one.dtype == other.dtype
            np.testing.assert_array_equal(one, other)


def test_what_augmentation_is_given_is_float(images):
    """And what it gives, while examples that nothing changes stay as small as they are kept."""
    assert {x.dtype for x, _ in augmented(images)} == {np.dtype(np.float32)}
    assert {x.dtype for x, _ in batches(ArrayInputs(images.astype(np.float32)))} == {np.dtype(np.float32)}


def test_weights_go_with_their_examples(images):
    from kerasrun.pipeline.batches import training_batches

    weights = np.arange(EXAMPLES, dtype=np.float32) / 7
    weighted = training_batches(
        *(ArrayInputs(images), np.arange(EXAMPLES)),
        **{"batch_size": BATCH, "seed": 5, "first_step": 2, "epochs": EPOCHS, "sample_weight": weights},
    )
    seen = [(x.numpy(), y.numpy(), weight.numpy()) for x, y, weight in weighted]
    assert same([(x, y) for x, y, _ in seen], batches(ArrayInputs(images), 2))
    assert all(np.array_equal(weight, weights[y]) for _, y, weight in seen)


@pytest.mark.parametrize("step", range(EPOCHS * STEPS))
def test_the_stream_begins_at_any_step(images, step):
    assert same(batches(ArrayInputs(images), step), batches(ArrayInputs(images))[step:])


@pytest.mark.parametrize("step", [0, 1, 4, 7])
def test_an_epoch_of_any_number_of_steps_takes_up_the_stream_where_it_was(images, step):
    stream = batches(ArrayInputs(images), epochs=4)
    assert same(batches(ArrayInputs(images), step, epochs=2, steps_per_epoch=5), stream[step:10])


@pytest.mark.parametrize("step", [1, 2, 3, 7])
def test_augmented_batches_are_the_same_wherever_the_stream_began(images, step):
    assert same(augmented(images, step), augmented(images)[step:])


def test_an_example_is_augmented_differently_in_every_epoch(images):
    seen = [x[list(y).index(0)] for x, y in augmented(images) if 0 in y]
    assert len({x.tobytes() for x in seen}) == EPOCHS


def test_files_and_memory_give_the_same_batches(images):
    assert same(batches(FromFiles(images)), batches(ArrayInputs(images)))


def test_evaluation_batches_all_have_one_size(images):
    from kerasrun.pipeline.batches import padded_batches

    padded = [x.numpy() for x in padded_batches(ArrayInputs(images), batch_size=BATCH)]
    assert [x.shape for x in padded] == [(BATCH, 8, 8, 1)] * 3
    assert np.array_equal(np.concatenate(padded)[:EXAMPLES], images)
    assert not padded[-1][2:].any()


@pytest.mark.parametrize(("first", "step"), [(0, 1), (0, 2), (1, 2)])
def test_padded_batches_that_a_graph_takes_are_those_of_the_pipeline(images, first, step):
    from kerasrun.pipeline.batches import PaddedInMemory, padded_batches

    inputs, share = ArrayInputs(images), {"batch_size": BATCH, "first": first, "step": step}
    expected = [x.numpy() for x in padded_batches(inputs, **share)]
    in_memory = PaddedInMemory(inputs, **share)
    for chunks in ([1] * len(expected), [len(expected)]):  # how many are taken at once; each time from the first
        in_memory.from_the_first()
        begun = [(in_memory.next(count), count) for count in chunks]
        found = [in_memory.batch(begin, number).numpy() for begin, count in begun for number in range(count)]
        assert np.array_equal(found, expected)


@pytest.mark.parametrize("examples", [EXAMPLES, 3])
def test_outputs_have_the_same_bits_from_files_and_from_memory(images, examples):
    import keras

    from kerasrun.engine.evaluator import Predictor

    keras.utils.set_random_seed(0)
    x = keras.Input((8, 8, 1))
    y = keras.layers.Dense(5, activation="softmax")(keras.layers.Flatten()(keras.layers.Conv2D(7, 3)(x)))
    predictor = Predictor(keras.Model(x, y), BATCH)
    files, memory = (
        predictor.predict(predictor.batches(kind(images[:examples])), examples) for kind in (FromFiles, ArrayInputs)
    )
    assert files.shape == (examples, 5)
    assert np.array_equal(files, memory)


def test_a_file_that_goes_bad_while_it_is_read_is_told_in_its_own_words(images):
    from kerasrun.errors import DataError
    from kerasrun.pipeline.batches import read_errors_as_they_were

    class GoneBad(FromFiles):
        def take(self, indices):
            raise DataError("cat.png: truncated")

    with pytest.raises(DataError, match=r"^cat\.png: truncated$"), read_errors_as_they_were():
        batches(GoneBad(images))


@pytest.mark.parametrize(("examples", "size"), [(8, BATCH), (10, None)])
@pytest.mark.parametrize("kind", [ArrayInputs, FromFiles])
def test_the_graph_knows_the_size_of_batches_that_are_all_full(images, examples, size, kind):
    from kerasrun.pipeline.batches import training_batches

    dataset = training_batches(
        kind(images[:examples]), np.arange(examples), batch_size=BATCH, seed=5, first_step=0, epochs=1
    )
    assert [spec.shape[0] for spec in dataset.element_spec] == [size, size]


def test_large_arrays_are_not_copied_and_give_the_same(images, monkeypatch):
    from kerasrun.pipeline import batches as module

    copied = batches(ArrayInputs(images))
    monkeypatch.setattr(module, "_COPIED", images.nbytes - 1)
    monkeypatch.setattr(module, "_in_memory", None)
    assert same(batches(ArrayInputs(images)), copied)


@pytest.mark.parametrize("shape", [(1,), (3, 5), (7, 28, 28, 1)])
@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_rows_for_tensorflow_lie_where_it_takes_them_without_a_copy(shape, kind):
    from kerasrun.reading.inputs import aligned

    rows = aligned(shape, np.dtype(kind))
    assert (rows.shape, rows.dtype) == (shape, kind)
    assert rows.ctypes.data % 64 == 0
