"""A step on four shards is the step on the whole batch: the same loss, metrics and weights, but for rounding.

An experiment here has batches of 11, 11, 11 and 7 examples. Their shards have 3, 3, 3, 2 and 2, 2, 2, 1, so what was
averaged over shards, not examples, would show.
"""

import logging
import re
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from kerasrun.engine import devices, state
from kerasrun.engine.prepared import prepare, start_device
from kerasrun.errors import ModelError
from kerasrun.experiment.load import load
from kerasrun.pipeline.order import epoch_order
from kerasrun.training.computation import Computation
from kerasrun.training.train import build
from kerasrun.workers.collectives import Alone
from tests.grids import rest_is_long

pytestmark = pytest.mark.tensorflow

SHARDS = 4
FEW = 2
"""Shards of what takes long to trace."""
STEPS = 8
"""Two passes over 40 examples."""
LOGS = 1e-6
WEIGHTS = 1e-5
"""Sums in another order differ by some 1e-7 of a gradient; eight steps of a learning rate of 0.1 or less, through which
a difference grows, come to less than this."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Write 40 examples of each kind."""
    folder, random = tmp_path_factory.mktemp("examples"), np.random.default_rng(5)
    classes = np.arange(40) % 3
    pictures = random.integers(0, 100, (40, 8, 8)) + 60 * classes[:, None, None]
    ends = random.integers(2, 7, (40, 1))
    sequences = random.normal(size=(40, 6, 2)).astype(np.float32) * (np.arange(6) < ends)[:, :, None]
    tokens = random.integers(1, 9, (40, 6)) * (np.arange(6) < ends)
    weight = random.uniform(0, 2, 40)
    np.savez(folder / "pictures.npz", x_train=pictures.astype(np.uint8), y_train=classes, weight=weight)
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
    lines = ["photo,age,city,kind"]
    for place, picture in enumerate(pictures):
        Image.fromarray(picture.astype(np.uint8)).save(folder / f"{place}.png")
        lines.append(f"{place}.png,{place * 7 % 40},{('Bern', 'Genf', 'Chur')[place % 3]},{'ab'[place % 5 % 2]}")
    (folder / "rows.csv").write_text("\n".join(lines))
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


@pytest.mark.parametrize("text", rest_is_long(OPTIMIZERS.values()), ids=OPTIMIZERS)
def test_an_optimizer_takes_the_gradient_of_the_whole_batch(train, text):
    require_equal(train(optimizer(text), None), train(optimizer(text), SHARDS))


LOSSES = {
    "regularizers": layers(
        "Flatten, Dense: {units: 5, kernel_regularizer: {L1L2: {l1: 0.01, l2: 0.02}}, activity_regularizer: {L2: "
        "{l2: 0.03}}}"
    ),
    "regularizer of an assigned weight": layers(
        "Flatten, SpectralNormalization: {layer: {Dense: {units: 5, kernel_regularizer: {L2: {l2: 0.02}}}}}"
    ),
    "class_weight and weights of examples": DENSE.replace("npz}", "npz, sample_weight: weight}").replace(
        "epochs: 9", "epochs: 9, class_weight: {'1': 3}"
    )
    + SGD,
    "weights of steps": layers(
        "Dense: {units: 4, activation: tanh}",
        data("steps", ", examples: sequences, labels: arrays, sample_weight: weight"),
    ),
    "ignore": layers(
        "Conv2D: {filters: 3, kernel_size: 3, padding: same}", data("masks", ", labels: masks, ignore: [1]")
    ),
    "mask_zero, labels of steps": layers(
        "Embedding: {input_dim: 9, output_dim: 4, mask_zero: true}, Dense: {units: 4}",
        data("tokens", ", labels: masks"),
    ),
    "mask_zero, labels of sequences": layers(
        "Embedding: {input_dim: 9, output_dim: 4, mask_zero: true}, GlobalAveragePooling1D", data("token_classes")
    ),
}


@pytest.mark.parametrize("text", rest_is_long(LOSSES.values()), ids=LOSSES)
def test_a_loss_counts_what_it_counts_in_the_whole_batch(train, text):
    require_equal(train(text, None), train(text, SHARDS))


DRAWS = {
    "Dropout and its kin": layers(
        "GaussianNoise: {stddev: 0.1}, Conv2D: {filters: 4, kernel_size: 3, activation: relu}, "
        "SpatialDropout2D: {rate: 0.3}, Flatten, GaussianDropout: {rate: 0.2}, Dense: {units: 5}, "
        "AlphaDropout: {rate: 0.1}, Dropout: {rate: 0.3}"
    ),
    "ImageDataGenerator": DENSE
    + SGD
    + "augmentation: {ImageDataGenerator: {rotation_range: 20, zoom_range: 0.2, brightness_range: [0.8, 1.2]}}",
    "augmentation layers": DENSE
    + SGD
    + "augmentation: [RandomTranslation: {height_factor: 0.1, width_factor: 0.1}, RandomRotation: {factor: 0.05}, "
    "RandomContrast: {factor: 0.2}, RandomElasticTransform: {factor: 1.0}]",
    "mixing": DENSE + SGD + "augmentation: [RandomRotation: {factor: 0.05}, CutMix, MixUp: {alpha: 0.5}]",
}


@pytest.mark.long
@pytest.mark.parametrize("text", DRAWS.values(), ids=DRAWS)
def test_what_is_drawn_for_an_example_is_that_of_the_whole_batch(train, text):
    require_equal(train(text, None), train(text, SHARDS))


SEQUENCES = {
    "recurrent": layers(
        "Masking: {mask_value: 0.0}, LSTM: {units: 3, dropout: 0.3, recurrent_dropout: 0.3}", data("sequences")
    ),
    "attention": layers(
        "Dense: {units: 4, name: a}, MultiHeadAttention: {num_heads: 2, key_dim: 3, dropout: 0.3, inputs: [a, a]}, "
        "TimeDistributed: {layer: {Dropout: {rate: 0.3}}}, GlobalAveragePooling1D",
        data("sequences", ", examples: sequences"),
    ),
}


@pytest.mark.long
@pytest.mark.parametrize("text", SEQUENCES.values(), ids=SEQUENCES)
def test_sequences_are_left_out_and_dropped_as_in_the_whole_batch(train, text):
    require_equal(train(text, None), train(text, FEW))


BRANCHES = {
    "several outputs": data("several", ", labels: multi_label")
    + """\
model:
  layers:
    - Dense: {units: 4, activation: relu, name: body}
    - Dense: {units: 1, activation: sigmoid, name: urgent}
    - Dense: {units: 3, name: kind, inputs: [body]}
  outputs: [urgent, kind]
compile:
  optimizer: {SGD: {learning_rate: 0.05}}
  loss: {urgent: bce, kind: {CategoricalCrossentropy: {from_logits: true}}}
  loss_weights: {kind: 0.3}
  metrics: {urgent: [accuracy, AUC], kind: accuracy}
""",
    "several inputs": """\
data: {image_table: {train: rows.csv, folder: ., label: kind, features: [age, city]}}
fit: {batch_size: 11, epochs: 9}
preprocessing: {features: [Normalization]}
model:
  layers:
    - Conv2D: {filters: 3, kernel_size: 3, activation: relu, inputs: [image]}
    - GlobalMaxPooling2D: {name: seen}
    - Concatenate: {inputs: [features, seen]}
"""
    + SGD,
}


@pytest.mark.long
@pytest.mark.parametrize("text", BRANCHES.values(), ids=BRANCHES)
def test_branches_of_a_network_share_a_batch(train, text):
    require_equal(train(text, None), train(text, SHARDS))


def compiled(text, experiment):
    return experiment + f"compile: {{optimizer: {{SGD: {{learning_rate: 0.05}}}}, {text}}}\n"


NUMBERS = data("numbers", ", labels: numbers") + "model: {layers: [Dense: {units: 5, activation: relu}]}\n"
SCORES = {
    "of classes": compiled(
        "loss: {CategoricalCrossentropy: {label_smoothing: 0.1}}, metrics: [accuracy, AUC, "
        "{F1Score: {average: macro}}, {MeanIoU: {num_classes: 3, sparse_y_true: false, sparse_y_pred: false}}]",
        DENSE,
    ),
    "of numbers": compiled("loss: Huber, metrics: [mae, R2Score]", NUMBERS),
    "that are sums": compiled("loss: {MeanSquaredError: {reduction: sum}}", NUMBERS),
    "that are ratios": compiled(
        "loss: Dice, metrics: [DiceCoef]",
        data("masks", ", labels: masks, ignore: [1]")
        + "model: {layers: [Conv2D: {filters: 2, kernel_size: 3, padding: "
        "same, activation: relu}]}\n",
    ),
}


@pytest.mark.parametrize("text", rest_is_long(SCORES.values()), ids=SCORES)
def test_losses_and_metrics_are_those_of_the_whole_batch(train, text):
    require_equal(train(text, None), train(text, SHARDS))


SYNCHRONIZED = layers(
    "Conv2D: {filters: 4, kernel_size: 3, use_bias: false}, BatchNormalization: {synchronized: true}, ReLU, Flatten"
)


NORMALIZED = "BatchNormalization: {synchronized: true}"
WITHIN = {
    "listed": SYNCHRONIZED,
    "steps left out": layers(
        f"Embedding: {{input_dim: 9, output_dim: 4, mask_zero: true}}, {NORMALIZED}, Dense: {{units: 4}}",
        data("tokens", ", labels: masks"),
    ),
    "TimeDistributed": layers(
        f"Masking: {{mask_value: 0.0}}, TimeDistributed: {{layer: {{{NORMALIZED}}}}}, GlobalAveragePooling1D",
        data("sequences", ", examples: sequences"),
    ),
    "a network within a network": data("pictures") + "model: {saved: {path: nested.json, weights: null}}\n" + SGD,
}


@pytest.mark.long
@pytest.mark.parametrize("text", WITHIN.values(), ids=WITHIN)
def test_synchronized_normalization_has_the_statistics_of_the_whole_batch(train, folder, text):
    own = keras.layers
    branch = keras.Sequential([own.Input((6, 6, 4)), own.BatchNormalization(synchronized=True), own.Dropout(0.2)])
    nested = keras.Sequential([own.Input((8, 8, 1)), own.Conv2D(4, 3), branch, own.Flatten(), own.Dense(3, "softmax")])
    (folder / "nested.json").write_text(nested.to_json())
    require_equal(train(text, None), train(text, SHARDS), logs=1e-5)


BLOCK = """
import keras

@keras.saving.register_keras_serializable()
class Block(keras.layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.normalization = keras.layers.BatchNormalization(synchronized=True)

    def call(self, x, training=None):
        return self.normalization(x, training=training)
"""


def test_normalization_out_of_reach_is_refused_with_its_layer(folder):
    (folder / "block.py").write_text(BLOCK)
    with pytest.raises(ModelError, match="Block 'block': a BatchNormalization within it cannot") as refused:
        begin(folder, f"{layers('Flatten, Block')}plugins: [block.py]", SHARDS)
    assert refused.value.layer == ("model", 1)


@pytest.mark.long
def test_plain_normalization_moves_by_the_mean_over_shards(train, folder):
    """The first batch has 11 examples, in shards of 3, 3, 3 and 2; each shard has its own variance."""
    text = (
        data("numbers", ", labels: numbers")
        + "preprocessing: []\nmodel: {layers: [BatchNormalization: {momentum: 0.9}]}"
    )
    moved = train(text, SHARDS, steps=1).weights
    with np.load(folder / "numbers.npz") as archive:
        batch = archive["x_train"][epoch_order(3, 0, 40)[:11]]
    shards = np.split(batch, [3, 6, 9])
    mean, variance = (sum(len(one) * statistic(one, axis=0) for one in shards) / 11 for statistic in (np.mean, np.var))
    (moving_mean,) = (array for name, array in moved.items() if name.endswith("moving_mean"))
    (moving_variance,) = (array for name, array in moved.items() if name.endswith("moving_variance"))
    np.testing.assert_allclose(moving_mean, 0.1 * mean, atol=1e-6)
    np.testing.assert_allclose(moving_variance, 0.9 + 0.1 * variance, atol=1e-6)


# From 2048 on float16 has every 2nd number and bfloat16 every 16th, which has every 512th from 65536 on. 1e-8 is
# 171.8 / 128 × 2 ** -27; float16 ends at 2 ** -24.
ROUNDED = {"float16": [2048 + 4, np.inf, 0], "bfloat16": [2048, 65536 + 9 * 512, 2 * 172 / 128 * 2**-27]}


@pytest.mark.parametrize(("sent_as", "expected"), ROUNDED.items())
def test_what_is_sent_is_rounded_and_added_in_32_bits(sent_as, expected):
    rows = tf.constant([[2049.0, 70000.0, 1e-8], [3.0, 0.0, 1e-8]])
    np.testing.assert_array_equal(Alone().sum_in_order(rows, sent_as), np.float32(expected))


STAGES = (
    PICTURES
    + """\
model:
  layers:
    - Flatten
    - Dense: {units: 6, activation: relu, name: first}
    - BatchNormalization: {synchronized: true, name: second}
    - Dense: {units: 5}
stages:
  - {epochs: 1, trainable: second, optimizer: {SGD: {learning_rate: 0.05}}}
  - {epochs: 1, trainable: true, optimizer: {SGD: {learning_rate: 0.01, momentum: 0.9}}}
"""
).replace(", epochs: 9", "")


@pytest.mark.long
def test_stages_and_features_of_frozen_layers_are_those_of_the_whole_batch(folder):
    def trained(shards):
        computation = begin(folder, STAGES, shards)
        computation.measure_budget()
        computation.choose_frozen_part([])
        assert computation.frozen is not None
        assert computation.compute_frozen_part(lambda: False)
        first = take(computation, STEPS // 2)
        computation.enter_stage(0, 1)
        return first, take(computation, STEPS // 2)

    for whole, sharded in zip(trained(None), trained(SHARDS), strict=True):
        require_equal(whole, sharded, logs=1e-5)


def said(folder, text, caplog, shards=SHARDS):
    caplog.clear()
    with caplog.at_level(logging.INFO, "kerasrun"):
        begin(folder, text, shards)
    return caplog.text


PLAIN = SYNCHRONIZED.replace("synchronized: true", "synchronized: false")


@pytest.mark.long
def test_what_shards_compute_otherwise_is_said_at_the_start(folder, caplog):
    assert "BatchNormalization that learns normalizes each shard by itself" in said(folder, PLAIN, caplog)
    half = said(folder, DENSE + "precision: mixed_bfloat16", caplog)
    assert "precision: mixed_bfloat16 rounds the gradient of each shard" in half
    equalized = said(folder, f"{DENSE}augmentation: [Equalization]", caplog)
    assert "augmentation: Equalization evens out the pixels of each shard by itself" in equalized
    assert "evens out" not in said(folder, f"{DENSE}augmentation: [Equalization, MixUp]", caplog)
    (folder / "energy.py").write_text(ENERGY)
    of_plugin = said(folder, f"{DENSE.replace('Flatten', 'Flatten, Energy')}plugins: [energy.py]", caplog)
    assert "energy.py: what add_loss adds is averaged over examples" in of_plugin


ENERGY = """
import keras

@keras.saving.register_keras_serializable()
class Energy(keras.layers.Layer):
    def call(self, x):
        self.add_loss(keras.ops.sum(x))
        return x
"""


NOISE = """
import keras
import tensorflow as tf

@keras.saving.register_keras_serializable()
class Noise(keras.layers.Layer):
    def call(self, x, training=None):
        if training:
            x += keras.random.normal(keras.ops.shape(x), stddev=0.1, seed=1)
            x += tf.random.normal(tf.shape(x), stddev=0.1)
            x += tf.random.stateless_uniform([64], [1, 2])
            x = keras.random.dropout(x, 0.2, seed=2) + keras.random.shuffle(x, axis=1, seed=3)
            x = tf.map_fn(lambda row: row + tf.random.uniform([]), x)
            x += keras.random.shuffle(x, seed=4)
        return x
"""


def test_a_line_that_draws_for_a_shard_by_itself_is_named_at_the_start(folder, caplog):
    (folder / "noise.py").write_text(NOISE)
    found = said(folder, f"{DENSE.replace('Flatten', 'Flatten, Noise')}plugins: [noise.py]", caplog)
    assert re.findall(r"noise\.py:(\d+): draws for each shard by itself", found) == ["10", "13", "14"]


@pytest.mark.parametrize(
    ("text", "shards"),
    [
        (SYNCHRONIZED, SHARDS),
        (PLAIN.replace("synchronized: false", "trainable: false"), SHARDS),
        (DENSE, SHARDS),
        (PLAIN, None),
    ],
)
def test_nothing_is_said_where_shards_are_equal_to_the_batch(folder, caplog, text, shards):
    assert not re.search("each shard|averaged", said(folder, text, caplog, shards))


def test_xla_is_refused_with_shards(folder):
    (folder / "experiment.yaml").write_text(f"{DENSE}compile: {{jit_compile: true}}\ndeterministic: false\n")
    prepared = prepare(load(folder / "experiment.yaml"))
    words = "compile.jit_compile: XLA cannot hold what several processes compute together; set it to auto"
    with pytest.raises(ModelError, match=words):
        build(prepared, devices.start(), shards=SHARDS)
