"""Losses and metrics over the pixels that have a class are those of Keras, scikit-learn or NumPy over these alone."""

from dataclasses import replace

import numpy as np
import pytest

from kerasrun.components import Component
from kerasrun.errors import ModelError
from kerasrun.experiment.load import parse
from kerasrun.keras_objects import build
from tests.tasks.test_metrics import CASES, EXPECTED, refused

pytestmark = pytest.mark.tensorflow
MASKS = [name for name in CASES if "mask" in name]
KEPT = np.random.default_rng(3).random((15, 3, 4)) < 0.6
KEPT[4] = False  # a mask without any class


def ignoring(name):
    """A case of `test_metrics` with pixels that have no class, and what is left without them."""
    c, rows = CASES[name], KEPT.ravel()
    labels = np.where(KEPT[..., np.newaxis], c.labels, 255).astype(np.uint8)
    c = replace(c, targets=replace(c.targets, ignores=True), labels=labels)
    return c, replace(c, y=c.y[rows], p=c.p[rows], score=c.score[rows])


def compiled(c, metrics):
    return c.targets.task.compile_arguments(c.targets, metrics)


@pytest.mark.parametrize("metric", EXPECTED)
@pytest.mark.parametrize("name", MASKS)
def test_a_metric_counts_the_pixels_that_have_a_class(name, metric):
    (c, left), (arguments, expected) = ignoring(name), EXPECTED[metric]
    if metric in refused(name):
        with pytest.raises(ModelError):
            compiled(c, {"m": Component(metric, arguments)})
        return
    if "IoU" in metric and metric != "BinaryIoU":
        arguments = {**arguments, "num_classes": c.targets.classes}
    if "Correlation" in metric and (left.y.std(1) == 0).any():
        pytest.skip("the coefficient of a row of equal numbers is not defined")
    (built,) = compiled(c, {"m": Component(metric, arguments)})["metrics"]
    for part in (slice(0, 4), slice(4, 5), slice(5, None)):
        built.update_state(c.targets.encode(c.labels[part]), c.outputs[part])
    tolerance = 2e-2 if "num_thresholds" in arguments else 2e-5
    assert float(built.result()) == pytest.approx(float(expected(left)), rel=tolerance, abs=tolerance)


@pytest.mark.parametrize("logits", [False, True])
def test_the_dice_coefficient_counts_the_pixels_that_have_a_class(logits):
    c, left = ignoring("mask logits" if logits else "mask")
    (built,) = compiled(c, {"m": Component("DiceCoef", {"smooth": 0.5})})["metrics"]
    built.update_state(c.targets.encode(c.labels), c.outputs)
    expected = (2 * (left.y * left.p).sum() + 0.5) / (left.y.sum() + left.p.sum() + 0.5)
    assert float(built.result()) == pytest.approx(expected, rel=1e-5)


LOSSES = {
    "mask": [
        *("binary_crossentropy", "binary_focal_crossentropy", "mean_squared_error", "log_cosh", "dice", "dice_loss"),
        *("tversky", "poisson", "mean_absolute_error", "huber"),
    ],
    "mask logits": ["binary_crossentropy"],
    "masks": ["sparse_categorical_crossentropy", "dice_loss"],
    "one-hot masks of logits": ["categorical_crossentropy", "categorical_focal_crossentropy"],
}


@pytest.mark.parametrize(("name", "loss"), [(name, loss) for name, losses in LOSSES.items() for loss in losses])
@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "sum"])
def test_a_loss_is_that_of_keras_over_the_pixels_that_have_a_class(name, loss, reduction):
    c, left = ignoring(name)
    arguments = {"from_logits": True} if "logits" in name else {}
    if loss != "dice_loss":
        arguments["reduction"] = reduction
    component = Component(loss, arguments)
    c.targets = replace(c.targets, loss=component)
    y = left.numbers if c.targets.sparse else left.y
    outputs = left.score if "logits" in name else left.p
    expected = build("losses", component)(y, outputs.astype(np.float32))
    found = compiled(c, {})["loss"](c.targets.encode(c.labels), c.outputs)
    assert float(found) == pytest.approx(float(expected), rel=1e-6)


def test_the_loss_is_that_of_ignore_class_with_its_gradient():
    import keras
    import tensorflow as tf

    c, _ = ignoring("masks")
    logits = tf.constant(c.score.reshape(c.outputs.shape), tf.float32)
    found = []
    for loss in (compiled(c, {})["loss"], keras.losses.SparseCategoricalCrossentropy(ignore_class=255)):
        with tf.GradientTape() as tape:
            tape.watch(logits)
            value = loss(c.targets.encode(c.labels), keras.activations.softmax(logits))
        found.append((float(value), tape.gradient(value, logits).numpy()))
    (ours, gradient), (theirs, of_keras) = found
    assert ours == pytest.approx(theirs, rel=1e-6)
    np.testing.assert_allclose(gradient, of_keras, rtol=1e-4, atol=1e-8)
    assert not gradient[~KEPT].any()


@pytest.mark.parametrize("name", MASKS)
def test_a_batch_without_a_class_has_no_loss_and_no_gradient(name):
    import tensorflow as tf

    c, _ = ignoring(name)
    loss = compiled(c, {})["loss"]

    @tf.function  # as training has it: the number of pixels is not known
    def step(labels, outputs):
        with tf.GradientTape() as tape:
            tape.watch(outputs)
            value = loss(c.targets.encode(labels), outputs)
        return value, tf.convert_to_tensor(tape.gradient(value, outputs))

    value, gradient = step(tf.constant(c.labels[4:5]), tf.constant(c.outputs[4:5], tf.float32))
    assert float(value) == 0
    assert gradient.shape == c.outputs[4:5].shape
    assert not gradient.numpy().any()


def test_a_function_of_a_plugin_gets_the_pixels_that_have_a_class(monkeypatch):
    c, left = ignoring("mask")
    monkeypatch.setattr("kerasrun.tasks.base.build", lambda family, component: lambda y, p: abs(y - p))
    found = compiled(c, {})["loss"](c.targets.encode(c.labels), c.outputs)
    np.testing.assert_allclose(found, abs(left.y - left.p), rtol=1e-5)


def test_xla_is_refused_beside_ignored_pixels():
    from kerasrun.engine.building import compile_model

    c, _ = ignoring("mask")
    model = "{layers: [Conv2D: {filters: 4, kernel_size: 1}]}"
    written = f"data: {{image_masks: {{path: x, ignore: [255]}}}}\nmodel: {model}\ncompile: {{jit_compile: true}}\n"
    experiment = parse(f"{written}deterministic: false", "e.yaml").experiment
    with pytest.raises(ModelError, match=r"compile\.jit_compile: XLA cannot leave out the pixels of data\.image_masks"):
        compile_model(None, experiment, c.targets)
