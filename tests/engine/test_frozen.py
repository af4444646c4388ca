"""What frozen layers compute is computed once: where a network is cut, and that nothing but speed changes."""

import os
import signal

import keras
import numpy as np
import pytest
from keras import layers

import kerasrun
from kerasrun.engine.frozen import features, frozen_part, part_to_keep
from kerasrun.engine.state import from_hdf5
from kerasrun.errors import Interrupted
from kerasrun.reading.inputs import ArrayInputs
from kerasrun.runs import checkpoints
from kerasrun.training import computation
from tests.training.conftest import DIGITS
from tests.training.whole_and_cut import train_cut

pytestmark = pytest.mark.tensorflow

# The first and the last stage keep what `normalize` gives, the second has nothing that is frozen.
EXPERIMENT = f"""
data: {{npz: {{path: {DIGITS}, limit: 120}}}}
model:
  layers:
    - Conv2D: {{filters: 4, kernel_size: 3, activation: relu, name: first}}
    - Flatten
    - BatchNormalization: {{name: normalize}}
    - Dropout: {{rate: 0.2}}
    - Dense: {{units: 8, activation: relu, name: second, kernel_regularizer: l2}}
compile: {{optimizer: {{Adam: {{learning_rate: 0.01}}}}}}
fit: {{batch_size: 25, validation_data: test}}
stages:
  - {{epochs: 3, trainable: second}}
  - {{epochs: 1, trainable: true}}
  - {{epochs: 1, trainable: second}}
checkpoint: {{keep: 9, seconds_between: 0}}
"""


@pytest.fixture
def kept(monkeypatch):
    """The number of examples whenever features were computed."""
    seen = []
    monkeypatch.setattr(
        "kerasrun.training.computation.features",
        lambda part, inputs, *rest: seen.append(len(inputs)) or features(part, inputs, *rest),
    )
    return seen


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("whole"), EXPERIMENT)


def trained(folder, text, **arguments):
    (folder / "run.yaml").write_text(text, encoding="utf-8")
    return kerasrun.train(folder / "run.yaml", output=folder / "runs", **arguments)


def variables(run, epoch):
    return from_hdf5(checkpoints.at_end_of_epoch(run, epoch).state_file)


def network(build):
    """The name of the layer after which a network of frozen layers and one that learns is cut."""
    inputs = keras.Input((8, 8, 3))
    outputs = build(inputs)
    part = frozen_part(keras.Model(inputs, layers.Dense(2, name="learns")(layers.Flatten(name="flat")(outputs))))
    return part and part.last


def fixed(layer):
    layer.trainable = False
    return layer


def conv(name):
    return fixed(layers.Conv2D(3, 1, name=name))


def test_a_network_is_cut_before_what_learns():
    assert network(lambda x: conv("b")(conv("a")(x))) == "flat"
    assert network(lambda x: layers.Conv2D(3, 1)(conv("a")(x))) == "a"


def test_a_network_is_cut_before_what_draws():
    assert network(lambda x: layers.Dropout(0.1)(conv("a")(x))) == "a"
    assert network(lambda x: conv("a")(layers.RandomFlip()(x))) is None


def test_an_activation_of_ones_own_may_do_whatever_it_likes():
    assert network(lambda x: fixed(layers.Conv2D(3, 1, activation=lambda x: x * 2))(conv("a")(x))) == "a"
    assert network(lambda x: fixed(layers.Conv2D(3, 1, activation="relu"))(conv("a")(x))) == "flat"
    assert network(lambda x: fixed(layers.Conv2D(3, 1, activation=layers.ReLU()))(conv("a")(x))) == "flat"


def test_statistics_that_move_are_not_frozen():
    assert network(lambda x: layers.BatchNormalization(center=False, scale=False)(conv("a")(x))) == "a"
    assert network(lambda x: fixed(layers.BatchNormalization())(conv("a")(x))) == "flat"


def test_one_tensor_crosses_the_cut():
    def skip(x):
        a = conv("a")(x)
        return layers.Add(name="sum")([a, layers.Conv2D(3, 1)(conv("b")(a))])

    def frozen_skip(x):
        a = conv("a")(x)
        return layers.Add(name="sum")([a, conv("b")(a)])

    assert network(skip) == "a"
    assert network(frozen_skip) == "flat"
    assert network(lambda x: layers.Concatenate()([x, layers.Conv2D(3, 1)(conv("a")(x))])) is None


def test_a_model_within_the_network_is_frozen_as_a_whole():
    inner = keras.Sequential([keras.Input((8, 8, 3)), conv("a"), fixed(layers.BatchNormalization())], name="inner")
    assert network(inner) == "flat"
    inner.layers[-1].trainable = True
    assert network(inner) is None


def test_a_model_of_ones_own_may_do_whatever_it_likes():
    class Own(keras.Sequential):
        pass

    assert network(Own([keras.Input((8, 8, 3)), conv("a")])) is None


def test_a_mask_is_not_lost_at_the_cut():
    inputs = keras.Input((5,))
    words = fixed(layers.Embedding(9, 4, mask_zero=True))(inputs)
    assert frozen_part(keras.Model(inputs, layers.LSTM(2)(words))) is None
    mean = layers.GlobalAveragePooling1D(name="mean")(words)
    assert frozen_part(keras.Model(inputs, layers.Dense(2)(mean))).last == "mean"  # where the mask has been used


def test_nothing_is_kept_where_no_layer_with_weights_is_frozen():
    assert network(layers.Rescaling(1 / 255)) is None


@pytest.mark.long
def test_training_on_features_is_training_on_examples(whole, tmp_path, kept):
    """But for the last bits: what is computed with other batches is rounded otherwise."""
    examples = trained(tmp_path, EXPERIMENT, overrides=["cache.features=false"])
    assert kept == []
    for epoch in range(1, 4):
        on, off = variables(whole, epoch), variables(examples, epoch)
        assert on.keys() == off.keys()
        assert on
        for name in on:
            np.testing.assert_allclose(on[name], off[name], rtol=1e-4, atol=1e-5, err_msg=name)


def test_the_rest_gives_the_logits_of_the_whole(whole):
    model = keras.saving.load_model(whole.best_model, compile=False)
    for layer in model.layers:
        layer.trainable = layer.name in ("second", "output")
    part = frozen_part(model)
    with np.load(DIGITS) as archive:
        x = archive["x_test"][:50, ..., np.newaxis].astype(np.float32)
    given = features(part, ArrayInputs(x), 25)
    assert part.last == "normalize"
    np.testing.assert_allclose(part.rest(given.array), model(x), rtol=0, atol=1e-5)


@pytest.mark.long
def test_a_resume_decides_as_the_run_did_and_ends_with_the_same_bits(whole, tmp_path, kept, monkeypatch):
    train_cut(tmp_path, EXPERIMENT)
    monkeypatch.setattr(computation, "memory_budget", lambda: 0)
    run = kerasrun.resume(tmp_path / "cut" / "run-1")
    assert kept == [120, 120] * 3  # by each process in the first stage and in the last, for training and validation
    expected, found = variables(whole, 5), variables(run, 5)
    assert expected
    for name, value in expected.items():
        np.testing.assert_array_equal(value, found[name], err_msg=name)
    assert run.metrics_file.read_bytes() == whole.metrics_file.read_bytes()


@pytest.mark.long
def test_a_stop_while_features_are_computed_is_resumed(whole, tmp_path, monkeypatch):
    def stopped(part, inputs, batch_size, stop, *others):
        os.kill(os.getpid(), signal.SIGINT)
        return features(part, inputs, batch_size, stop, *others)

    with monkeypatch.context() as patch:
        patch.setattr("kerasrun.training.computation.features", stopped)
        with pytest.raises(Interrupted, match="after step 0 of 5 in epoch 1 of 5; everything is saved"):
            trained(tmp_path, EXPERIMENT)
    run = kerasrun.resume(tmp_path / "runs" / "run-1")
    assert run.metrics_file.read_bytes() == whole.metrics_file.read_bytes()


def test_features_that_do_not_fit_are_not_kept():
    inputs = keras.Input((8, 8, 3))
    model = keras.Model(inputs, layers.Conv2D(1, 1)(conv("a")(inputs)))
    budget = 100 * 8 * 8 * 3 * 4
    assert part_to_keep(model, 100, budget).last == "a"
    assert part_to_keep(model, 101, budget) is None


@pytest.mark.long
def test_augmented_examples_are_computed_each_time(tmp_path, kept):
    trained(tmp_path, EXPERIMENT, overrides=["augmentation=[RandomFlip]", "stages.0.epochs=1"])
    assert kept == []


@pytest.mark.long
def test_a_callback_of_a_plugin_may_change_what_is_frozen(tmp_path, kept):
    (tmp_path / "own.py").write_text(
        "import keras\n\n\nclass Thaw(keras.callbacks.Callback):\n    stateless = True\n", encoding="utf-8"
    )
    trained(tmp_path, f"plugins: [own.py]\ncallbacks: [Thaw]\n{EXPERIMENT}", overrides=["stages.0.epochs=1"])
    assert kept == []
