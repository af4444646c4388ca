"""A step on four shards is the step on the whole batch: the same loss, metrics and weights, but for rounding.

An experiment here has batches of 11, 11, 11 and 7 examples. Their shards have 3, 3, 3, 2 and 2, 2, 2, 1, so what was
averaged over shards, not examples, would show.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from kerasrun.engine import state
from kerasrun.engine.prepared import prepare, start_device
from kerasrun.experiment.load import load
from kerasrun.training.computation import Computation
from kerasrun.training.train import build

pytestmark = pytest.mark.tensorflow

SHARDS = 4
STEPS = 8
"""Two passes over 40 examples."""
LOGS = 1e-6
WEIGHTS = 1e-5
"""Sums in another order differ by some 1e-7 of a gradient; eight steps of a learning rate of 0.1 or less, through which
a difference grows, come to less than this."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Write 40 examples of each kind."""
    folder, random = tmp_path_factory.mktemp("shards"), np.random.default_rng(5)
    classes = np.arange(40) % 3
    pictures = random.integers(0, 100, (40, 8, 8)) + 60 * classes[:, None, None]
    colours = random.integers(0, 256, (40, 8, 8, 3))
    sequences = random.normal(size=(40, 6, 2)).astype(np.float32)
    ends = random.integers(2, 7, (40, 1))
    tokens = random.integers(1, 9, (40, 6)) * (np.arange(6) < ends)
    weight = random.uniform(0, 2, 40)
    np.savez(folder / "pictures.npz", x_train=pictures.astype(np.uint8), y_train=classes, weight=weight)
    np.savez(folder / "colours.npz", x_train=colours.astype(np.uint8), y_train=classes)
    np.savez(folder / "masks.npz", x_train=pictures.astype(np.uint8), y_train=(pictures // 60 % 3).astype(np.uint8))
    np.savez(folder / "sequences.npz", x_train=sequences, y_train=classes)
    np.savez(
        folder / "steps.npz",
        x_train=sequences,
        y_train=sequences.sum(axis=2),
        weight=random.uniform(0, 2, (40, 6)) * (np.arange(6) < ends),
    )
    np.savez(folder / "tokens.npz", x_train=tokens, y_train=tokens % 3)
    np.savez(folder / "token_classes.npz", x_train=tokens, y_train=classes)
    rows = random.normal(size=(40, 3)).astype(np.float32)
    np.savez(folder / "numbers.npz", x_train=rows, y_train=rows[:, :2] ** 2, weight=weight)
    several = np.column_stack([rows.sum(axis=1) > 0, np.eye(3)[classes]]).astype(np.uint8)
    np.savez(folder / "several.npz", x_train=rows, y_train=several)
    return folder


@dataclass
class Trained:
    logs: dict[str, float]
    weights: dict[str, Any]
    computation: Computation


@pytest.fixture
def train(folder):
    """Take the steps of an experiment, on the whole batch or on shards."""

    def run(text, shards, steps=STEPS):
        computation = begin(folder, text, shards)
        return take(computation, steps)

    return run


def begin(folder, text, shards):
    file = folder / "experiment.yaml"
    file.write_text(f"seed: 3\n{text}\n")
    prepared = prepare(load(file))
    return Computation(build(prepared, start_device(prepared.experiment), shards=shards))


def take(computation, steps):
    computation.begin_epoch()
    assert computation.train(computation.batches(0), steps) is None
    model = computation.model
    logs = {name: float(value) for name, value in model.get_metrics_result().items()}
    return Trained(logs, state.model_arrays(model), computation)


def require_equal(whole, sharded, logs=LOGS, weights=WEIGHTS):
    assert sharded.logs == pytest.approx(whole.logs, rel=logs, abs=logs)
    assert sharded.weights.keys() == whole.weights.keys()
    for name, array in whole.weights.items():
        np.testing.assert_allclose(sharded.weights[name], array, rtol=weights, atol=weights, err_msg=name)


def data(name, more=""):
    return f"data: {{npz: {{path: {name}.npz{more}}}}}\nfit: {{batch_size: 11, epochs: 9}}\n"


PICTURES = data("pictures")
COLOURS = data("colours")
DENSE = PICTURES + "model: {layers: [Flatten, Dense: {units: 5, activation: relu}]}\n"
SGD = "compile: {optimizer: {SGD: {learning_rate: 0.05}}}\n"


def optimizer(text):
    return f"{DENSE}compile: {{optimizer: {{{text}}}}}\n"


def layers(text, data=PICTURES):
    return f"{data}model: {{layers: [{text}]}}\n{SGD}"


# Without an epsilon, Adam and its kin divide what rounding leaves of a gradient of zero by itself.
OPTIMIZERS = {
    "SGD": "SGD: {learning_rate: 0.05, momentum: 0.9, nesterov: true, clipvalue: 0.01}",
    "Adam": "Adam: {learning_rate: 0.01, epsilon: 0.001, clipnorm: 0.1}",
    "AdamW": "AdamW: {learning_rate: 0.01, epsilon: 0.001, global_clipnorm: 0.1, use_ema: true, "
    "ema_overwrite_frequency: 3}",
    "Lamb": "Lamb: {learning_rate: 0.01, epsilon: 0.001}",
    "Muon": "Muon: {learning_rate: 0.01, adam_lr_ratio: 0.1}",
    "accumulation": "SGD: {learning_rate: 0.05, gradient_accumulation_steps: 3}",
}


@pytest.mark.parametrize("text", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_an_optimizer_takes_the_gradient_of_the_whole_batch(train, text):
    require_equal(train(optimizer(text), None), train(optimizer(text), SHARDS))


LOSSES = {
    "regularizers": layers(
        "Flatten, Dense: {units: 5, kernel_regularizer: {L1L2: {l1: 0.01, l2: 0.02}}, activity_regularizer: {L2: "
        "{l2: 0.03}}}"
    ),
    "class_weight": DENSE.replace("epochs: 9", "epochs: 9, class_weight: {'1': 3}") + SGD,
    "weights of examples": DENSE.replace(".npz", ".npz, sample_weight: weight") + SGD,
    "weights of steps": layers(
        "GRU: {units: 4, return_sequences: true}", data("steps", ", labels: arrays, sample_weight: weight")
    ),
    "ignore": layers(
        "Conv2D: {filters: 3, kernel_size: 3, padding: same}", data("masks", ", labels: masks, ignore: [1]")
    ),
    "mask_zero": layers(
        "Embedding: {input_dim: 9, output_dim: 4, mask_zero: true}, GRU: {units: 4, return_sequences: true}",
        data("tokens", ", labels: masks"),
    ),
    "mask_zero of sequences": layers(
        "Embedding: {input_dim: 9, output_dim: 4, mask_zero: true}, LSTM: {units: 4}", data("token_classes")
    ),
    "Masking": layers("Masking: {mask_value: 0.0}, GRU: {units: 4}", data("sequences")),
}


@pytest.mark.parametrize("text", LOSSES.values(), ids=LOSSES)
def test_a_loss_counts_what_it_counts_in_the_whole_batch(train, text):
    require_equal(train(text, None), train(text, SHARDS))
