"""Losses and metrics of columns are those of Keras on tensors of their own."""

import numpy as np
import pytest

pytestmark = pytest.mark.tensorflow

RNG = np.random.default_rng(0)
CLASSES = np.eye(3, dtype=np.float32)[RNG.integers(0, 3, 8)]
NUMBERS = RNG.normal(size=(8, 2)).astype(np.float32)
Y_TRUE = np.concatenate([CLASSES, NUMBERS], axis=1)
Y_PRED = np.concatenate([RNG.dirichlet([1, 1, 1], 8), RNG.normal(size=(8, 2))], axis=1).astype(np.float32)
WEIGHT = RNG.uniform(0, 2, 8).astype(np.float32)


@pytest.mark.parametrize("weight", [None, WEIGHT])
def test_the_loss_is_the_weighted_sum_of_keras_losses(weight):
    import keras

    from kerasrun.outputs import OutputsLoss

    first, second = keras.losses.CategoricalCrossentropy(label_smoothing=0.1), keras.losses.Huber()
    expected = 0.5 * first(CLASSES, Y_PRED[:, :3], weight) + 2 * second(NUMBERS, Y_PRED[:, 3:], weight)
    loss = OutputsLoss([first, second], [3, 2], [0.5, 2])
    again = OutputsLoss.from_config(loss.get_config())
    assert float(loss(Y_TRUE, Y_PRED, weight)) == pytest.approx(float(expected), rel=1e-6)
    assert float(again(Y_TRUE, Y_PRED, weight)) == float(loss(Y_TRUE, Y_PRED, weight))


def test_a_function_is_averaged_like_a_loss():
    import keras

    from kerasrun.outputs import OutputsLoss

    loss = OutputsLoss([keras.losses.categorical_crossentropy, keras.losses.mean_squared_error], [3, 2], [1, 1])
    written = OutputsLoss([keras.losses.CategoricalCrossentropy(), keras.losses.MeanSquaredError()], [3, 2], [1, 1])
    assert float(loss(Y_TRUE, Y_PRED, WEIGHT)) == pytest.approx(float(written(Y_TRUE, Y_PRED, WEIGHT)), rel=1e-6)


def test_the_loss_of_an_output_is_the_mean_over_the_examples():
    import keras

    from kerasrun.outputs import OutputLoss

    mse = keras.losses.MeanSquaredError()
    metric = OutputLoss(mse, 3, 5, "numbers_loss")
    for batch in (slice(0, 6), slice(6, 8)):
        metric.update_state(Y_TRUE[batch], Y_PRED[batch])
    assert float(metric.result()) == pytest.approx(float(mse(NUMBERS, Y_PRED[:, 3:])), rel=1e-6)
    assert OutputLoss.from_config(metric.get_config()).name == "numbers_loss"


def test_a_metric_keeps_its_state_and_begins_anew():
    import keras

    from kerasrun.outputs import OutputMetric

    metric = OutputMetric(keras.metrics.CategoricalAccuracy(name="inner"), 0, 3, "classes_accuracy")
    metric.update_state(Y_TRUE, Y_PRED)
    expected = np.mean(CLASSES.argmax(axis=1) == Y_PRED[:, :3].argmax(axis=1))
    assert float(metric.result()) == pytest.approx(expected)
    assert metric._direction == "up"
    assert [float(variable.value) for variable in metric.variables] == [8 * expected, 8]
    metric.reset_state()
    assert float(metric.result()) == 0
    again = OutputMetric.from_config(metric.get_config())
    assert (again.name, again.metric.name, again.end) == ("classes_accuracy", "inner", 3)
