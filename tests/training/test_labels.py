"""What the labels are decides last layer, loss and metric; here from the file to the trained model."""

import numpy as np
import pytest

from kerasrun.components import Component
from kerasrun.errors import DataError, ModelError
from kerasrun.experiment.schema import Fit
from kerasrun.model_file import read_info
from kerasrun.pipeline.selection import training_and_validation
from kerasrun.reading.data import Split
from kerasrun.reading.inputs import ArrayInputs
from kerasrun.tasks.base import Targets, task_named

pytestmark = pytest.mark.tensorflow

MASKS = np.array([[[[0], [1]], [[2], [0]]]], np.uint8)


@pytest.fixture
def rows(tmp_path):
    """Write `rows.npz`: 60 rows of three features, 20 of them to test, with labels made from them."""

    def write(labels):
        x = np.random.default_rng(0).normal(size=(60, 3))
        y = labels(x)
        np.savez(tmp_path / "rows.npz", x_train=x[:40], y_train=y[:40], x_test=x[40:], y_test=y[40:])

    return write


def test_numbers_are_learned_by_a_linear_unit_and_the_mean_squared_error(rows, train):
    rows(lambda x: 2 * x[:, 0] - x[:, 2] + 0.5)
    run = train(
        "data: {npz: {path: rows.npz, labels: numbers}}\nmodel: {MLP: {units: []}}\n"
        "compile: {optimizer: {Adam: {learning_rate: 0.1}}}\n"
        "fit: {epochs: 60, batch_size: 10, validation_data: test}\n"
    )
    import keras

    kernel, bias = keras.models.load_model(run.last_model).get_layer("output").get_weights()
    assert kernel.ravel() == pytest.approx([2, 0, -1], abs=0.05)
    assert bias == pytest.approx([0.5], abs=0.05)
    assert run.metrics_file.read_text().splitlines()[0] == "epoch,loss,mae,val_loss,val_mae,learning_rate"
    info = read_info(run.best_model)
    assert (info.label_kind, info.outputs) == ("numbers", "values")


def test_several_labels_at_once_each_have_a_sigmoid_unit(rows, train):
    rows(lambda x: (x[:, :2] > 0).astype(np.uint8))
    run = train(
        "data: {npz: {path: rows.npz, labels: multi_label, classes: [left, up]}}\nmodel: {MLP: {units: [8]}}\n"
        "compile: {optimizer: {Adam: {learning_rate: 0.1}}}\n"
        "fit: {epochs: 30, validation_split: 0.25}\n"
    )
    last = dict(zip(*(line.split(",") for line in run.metrics_file.read_text().splitlines()[::30]), strict=True))
    assert float(last["accuracy"]) > 0.9
    info = read_info(run.best_model)
    assert (info.label_kind, info.classes, info.outputs) == ("multi_label", ("left", "up"), "probabilities")


@pytest.mark.parametrize(
    ("labels", "kind", "words"),
    [
        (lambda x: x[:, 0], "classes", "labels: numbers"),
        (lambda x: x[:, :2], "multi_label", "0 or 1 for each label"),
        (lambda x: np.where(x[:, 0] > 0, np.nan, 1.0), "numbers", "finite numbers"),
    ],
)
def test_labels_of_another_kind_are_an_error(rows, train, labels, kind, words):
    rows(labels)
    with pytest.raises(DataError, match=words):
        train(f"data: {{npz: {{path: rows.npz, labels: {kind}}}}}")


def test_weights_of_classes_need_classes(rows, train):
    rows(lambda x: x[:, 0])
    with pytest.raises(DataError, match="give no example a single class"):
        train("data: {npz: {path: rows.npz, labels: numbers}}\nfit: {class_weight: {a: 2}}")


def test_an_accuracy_of_numbers_is_refused(rows, train):
    rows(lambda x: x[:, 0])
    with pytest.raises(ModelError, match="BinaryAccuracy counts right classes"):
        train("data: {npz: {path: rows.npz, labels: numbers}}\ncompile: {metrics: [binary_accuracy]}")


@pytest.mark.parametrize("kind", ["multi_label", "numbers"])
def test_a_loss_of_one_class_among_several_is_refused_for_other_labels(kind):
    with pytest.raises(ModelError, match="one class among several"):
        task_named(kind).targets_for(_ends_in((3,)), 3, Component("categorical_crossentropy"))


@pytest.mark.parametrize(
    ("classes", "loss", "units", "activation"),
    [
        (2, None, 1, "sigmoid"),
        (3, None, 3, "softmax"),
        (2, Component("sparse_categorical_crossentropy"), 2, "softmax"),
        (2, Component("BinaryCrossentropy", {"from_logits": True}), 1, "linear"),
    ],
)
def test_a_mask_has_a_channel_for_each_class_or_one_for_two(classes, loss, units, activation):
    output = task_named("masks").output(classes, loss)
    assert (output.units, output.activation, output.per_pixel) == (units, activation, True)


def test_a_network_without_an_output_for_each_pixel_is_told_how_to_end():
    with pytest.raises(ModelError, match="UpSampling2D or Conv2DTranspose"):
        task_named("masks").targets_for(_ends_in((3,)), 3)


@pytest.mark.parametrize(
    ("loss", "units", "encoded"),
    [
        ("sparse_categorical_crossentropy", 3, MASKS[..., 0]),
        ("categorical_crossentropy", 3, np.eye(3)[MASKS[..., 0]]),
        ("binary_crossentropy", 1, MASKS),
    ],
)
def test_masks_become_what_the_loss_takes(loss, units, encoded):
    targets = Targets(task_named("masks"), Component(loss), 3, units)
    assert targets.encode(MASKS).numpy().tolist() == encoded.tolist()


def test_a_mask_is_read_with_its_image_and_changed_as_it_is():
    """Where an image shows its mask, it still does after both were flipped and shifted."""
    from kerasrun.pipeline.augmentation import LayerAugmentation
    from kerasrun.pipeline.batches import training_batches
    from kerasrun.tasks.base import Masks

    shapes = np.random.default_rng(1).integers(0, 2, (10, 8, 8, 1), dtype=np.uint8)
    layers = [Component("RandomFlip"), Component("RandomTranslation", {"height_factor": [0.25, 0.25], **_WIDE})]
    batches = training_batches(
        ArrayInputs(shapes * 255),
        Masks(ArrayInputs(shapes), lambda masks: masks),
        **{"batch_size": 4, "seed": 1, "first_step": 0, "epochs": 1},
        augmentation=LayerAugmentation(layers, seed=1),
    )
    pairs = [(x.numpy(), y.numpy()) for x, y in batches]
    assert sum(len(x) for x, _ in pairs) == 10
    for x, y in pairs:
        assert np.array_equal(x, y * 255.0)
    assert not any(np.array_equal(image, shape * 255.0) for (x, _) in pairs for image in x for shape in shapes)


def test_a_share_of_examples_with_masks_validates():
    inputs, masks = ArrayInputs(np.arange(10).reshape(10, 1)), ArrayInputs(np.arange(10).reshape(10, 1, 1, 1))
    train, validation = training_and_validation({"train": Split("train", inputs, masks)}, Fit(validation_split=0.2), 1)
    assert (len(train), len(validation)) == (8, 2)
    both = np.arange(2)
    assert validation.labels.take(both).ravel().tolist() == validation.inputs.take(both).ravel().tolist()


def test_an_example_counts_by_its_own_weight_and_its_classs():
    from kerasrun.training.class_weight import sample_weight

    numbers, own = np.array([0, 1, 1]), np.array([1, 2, 0.5], np.float32)
    split = Split("train", ArrayInputs(np.zeros((3, 1))), numbers, sample_weight=own)
    assert sample_weight({"b": 3}, split, ("a", "b")).tolist() == [1, 6, 1.5]
    assert sample_weight(None, split, ("a", "b")) is own


_WIDE = {"width_factor": [0.25, 0.25], "fill_mode": "wrap", "interpolation": "nearest"}


def _ends_in(shape):
    import keras

    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Dense(shape[0])(keras.layers.Flatten()(inputs))
    return keras.Model(inputs, keras.layers.Reshape(shape)(x))


def test_one_hot_labels_are_made_of_each_batch_and_go_with_their_examples():
    from kerasrun.pipeline.batches import training_batches

    numbers = np.arange(10) % 3
    targets = Targets(task_named("classes"), Component("categorical_crossentropy"), 3, 3)
    split = Split("train", ArrayInputs(np.arange(10, dtype=np.float32)[:, np.newaxis]), numbers)
    labels = targets.task.training_labels(split, targets)
    for weight in (None, np.arange(10, dtype=np.float32)):
        batches = training_batches(
            split.inputs, labels, batch_size=4, seed=1, first_step=0, epochs=1, sample_weight=weight
        )
        found = list(batches.as_numpy_iterator())
        assert [len(x) for x, *_ in found] == [4, 4, 2]
        for x, y, *weights in found:
            assert len(weights) == (weight is not None)
            places = x[:, 0].astype(int)
            assert y.tobytes() == targets.encode(numbers[places]).tobytes()
            assert all(np.array_equal(given, places) for given in weights)
