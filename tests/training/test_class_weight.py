"""Class weights mean what they mean in scikit-learn and in `Model.fit`."""

import json

import numpy as np
import pytest

from kerasrun.components import Component
from kerasrun.errors import DataError
from kerasrun.pipeline.order import epoch_order
from kerasrun.reading.data import Split
from kerasrun.reading.inputs import ArrayInputs
from kerasrun.runs.metrics import Table
from kerasrun.tasks.base import Targets, task_named
from kerasrun.training.class_weight import class_weights, sample_weight
from tests.grids import rest_is_long
from tests.seeds import moved

LABELS = np.array([1, 1, 1, 1, 0, 0])


def labelled(labels, weight=None):
    return Split("train", ArrayInputs(np.zeros((len(labels), 2))), labels, sample_weight=weight)


def test_balanced_is_the_formula_of_scikit_learn():
    # The example in the documentation of compute_class_weight.
    assert class_weights("balanced", labelled(LABELS), ("a", "b")) == {"a": 1.5, "b": 0.75}


def test_every_class_that_there_is_counts_the_same_in_all_when_balanced():
    labels = np.array([0] * 7 + [1] * 2 + [3])
    weights = sample_weight("balanced", labelled(labels), ("a", "b", "none", "d"))
    assert [weights[labels == number].sum() for number in (0, 1, 3)] == pytest.approx([10 / 3] * 3)


def test_a_class_without_a_weight_counts_1():
    assert class_weights({"b": 3}, labelled(LABELS), ("a", "b")) == {"a": 1.0, "b": 3.0}
    assert sample_weight({"b": 3}, labelled(LABELS), ("a", "b")).tolist() == [3, 3, 3, 3, 1, 1]


def test_nothing_is_weighted_unless_asked_for():
    assert sample_weight(None, labelled(LABELS), ("a", "b")) is None


@pytest.fixture
def two_classes(tmp_path, digits):
    """The first two digits as `two.npz`, three times as many zeros as ones."""
    kept = {}
    for name in ("train", "test"):
        x, y = digits[f"x_{name}"], digits[f"y_{name}"]
        chosen = np.sort(np.concatenate([np.flatnonzero(y == 0), np.flatnonzero(y == 1)[::3]]))
        kept |= {f"x_{name}": x[chosen], f"y_{name}": y[chosen]}
    np.savez(tmp_path / "two.npz", **kept)
    return kept


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    ("loss", "weights"),
    rest_is_long(
        [
            ("categorical_crossentropy", "balanced"),
            ("sparse_categorical_crossentropy", {"1": 5.5}),
            ("binary_crossentropy", "balanced"),
            ("hinge", {"1": 5.5}),
        ]
    ),
)
def test_one_epoch_is_that_of_fit(train, two_classes, loss, weights):
    """On the same batches, from the same weights: the loss, the metrics, and what validates, which is not weighted."""
    import keras
    import tensorflow as tf

    run = train(
        "data: {npz: {path: two.npz}}\nfit: {batch_size: 8, validation_data: test}\n"
        f"compile: {{optimizer: {{SGD: {{learning_rate: 0.1}}}}, loss: {loss}}}",
        f"fit.class_weight={json.dumps(weights)}",
    )
    labels = two_classes["y_train"]
    zeros, ones = np.bincount(labels)
    balanced = {0: len(labels) / (2 * zeros), 1: len(labels) / (2 * ones)}
    assert zeros > 2 * ones
    keras.utils.clear_session()
    keras.utils.set_random_seed(moved(1))
    units = 2 if "categorical" in loss else 1
    activation = {"hinge": "linear"}.get(loss, "sigmoid" if units == 1 else "softmax")
    inputs = keras.Input((32, 32, 1))
    x = keras.layers.Dense(8, activation="relu")(keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(inputs)))
    model = keras.Model(inputs, keras.layers.Dense(units, activation=activation)(x))
    # Hinge scores say yes above 0, where Keras's `accuracy` alone would take a half.
    accuracy = keras.metrics.BinaryAccuracy(name="accuracy", threshold=0.0) if loss == "hinge" else "accuracy"
    model.compile(keras.optimizers.SGD(0.1), loss, metrics=[accuracy])
    targets = Targets(task_named("classes"), Component(loss), classes=2, units=units)
    arrays = {name: array[..., np.newaxis] for name, array in two_classes.items() if name.startswith("x")}
    order = epoch_order(moved(1), 0, len(labels))
    given = (arrays["x_train"][order].astype(np.float32), targets.encode(labels)[order])
    logs = model.fit(
        tf.data.Dataset.from_tensor_slices(given).batch(8),
        validation_data=(arrays["x_test"].astype(np.float32), targets.encode(two_classes["y_test"])),
        class_weight=balanced if weights == "balanced" else {1: 5.5},
        shuffle=False,
        verbose=0,
    ).history
    (row,) = Table(run.metrics_file).rows()
    assert {name: row[name] for name in logs} == {
        name: pytest.approx(value, rel=1e-5) for name, (value,) in logs.items()
    }


@pytest.mark.long
@pytest.mark.tensorflow
def test_balanced_counts_the_examples_that_train_alone_and_is_told(train, two_classes):
    run = train("data: {npz: {path: two.npz}}\nfit: {class_weight: balanced, validation_split: 0.5}")
    from kerasrun.pipeline.order import stratified_split

    kept, held_out = stratified_split(two_classes["y_train"], 0.5, seed=1)
    zeros, ones = np.bincount(two_classes["y_train"][kept])
    assert len(held_out)
    assert run.read_run()["class_weight"] == {"0": len(kept) / (2 * zeros), "1": len(kept) / (2 * ones)}


def test_a_class_that_the_data_do_not_have_is_told_before_training(train, tmp_path):
    with pytest.raises(DataError, match=r"small\.yaml:3:22: fit\.class_weight\.11: unknown class '11'; expected 0, 1,"):
        train("fit: {class_weight: {11: 2}}")
    assert not (tmp_path / "runs").exists()
