"""Training on mixed examples: as Keras weighs them, repeated by a resume, and seen by nothing but training."""

import numpy as np
import pytest

import kerasrun
from kerasrun.engine.prepared import prepare
from kerasrun.experiment.load import load
from kerasrun.runs.metrics import Table
from tests.grids import rest_is_long
from tests.seeds import moved
from tests.training.conftest import train_small, write_small
from tests.training.test_every_family import ends_with_the_same_bits

pytestmark = pytest.mark.tensorflow
STILL = "compile: {optimizer: {SGD: {learning_rate: 0}}}\n"
MIXED = "augmentation: [MixUp: {alpha: 0.8}, CutMix]\n"


def row(run, number=0):
    return Table(run.metrics_file).rows()[number]


@pytest.mark.long
def test_only_training_sees_mixed_examples(tmp_path, digits):
    text = f"{STILL}fit: {{batch_size: 30, validation_data: test}}\n"
    plain, mixed = (row(train_small(tmp_path, text + more)) for more in ("", MIXED))
    assert mixed["loss"] != plain["loss"]
    assert {name: mixed[name] for name in mixed if name.startswith("val_")} == {
        name: plain[name] for name in plain if name.startswith("val_")
    }


@pytest.mark.long
def test_a_model_file_has_no_part_in_it(train):
    import keras

    run = train(f"{MIXED}fit: {{batch_size: 30, validation_data: test}}\n")
    assert not {"MixUp", "CutMix"} & {type(layer).__name__ for layer in keras.models.load_model(run.best_model).layers}
    report = kerasrun.evaluate(run, split="test")
    assert (report.metrics["loss"], report.metrics["accuracy"]) == (row(run)["val_loss"], row(run)["val_accuracy"])


@pytest.fixture
def two_classes(tmp_path, digits):
    """Zeros and ones alone, as `two.npz`."""
    chosen = digits["y_train"] < 2
    np.savez(tmp_path / "two.npz", x_train=digits["x_train"][chosen], y_train=digits["y_train"][chosen])


@pytest.mark.parametrize(("loss", "units"), rest_is_long([("categorical_crossentropy", 2), ("binary_crossentropy", 1)]))
def test_an_epoch_is_that_of_fit_on_the_same_mixed_batches(tmp_path, two_classes, loss, units):
    """With weights of classes, which Keras takes of the largest share."""
    import keras
    import tensorflow as tf

    from kerasrun.engine.prepared import start_device
    from kerasrun.training.train import build

    text = (
        f"data: {{npz: {{path: two.npz}}}}\nfit: {{batch_size: 9, class_weight: {{'1': 4.5}}}}\n{MIXED}"
        f"compile: {{optimizer: {{SGD: {{learning_rate: 0.1}}}}, loss: {loss}, metrics: [mae]}}\n"
    )
    found = row(train_small(tmp_path, text))
    prepared = prepare(load(write_small(tmp_path, text)))
    job = build(prepared, start_device(prepared.experiment))
    batches = list(stream(job, units))
    shares = np.concatenate([y for _, y in batches])
    assert ((shares > 0.05) & (shares < 0.95)).any()

    keras.utils.set_random_seed(moved(1))
    inputs = keras.Input((32, 32, 1))
    x = keras.layers.Dense(8, activation="relu")(keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(inputs)))
    last = keras.layers.Dense(units, activation="sigmoid" if units == 1 else "softmax")
    model = keras.Model(inputs, last(x))
    model.compile(keras.optimizers.SGD(0.1), loss, metrics=["mae"])
    spec = tuple(tf.TensorSpec((None, *one.shape[1:])) for one in batches[0])
    dataset = tf.data.Dataset.from_generator(lambda: iter(batches), output_signature=spec)
    logs = model.fit(
        dataset, class_weight={0: 1.0, 1: 4.5}, steps_per_epoch=len(batches), shuffle=False, verbose=0
    ).history
    assert found["loss"] == pytest.approx(logs["loss"][0], rel=1e-5)
    assert found["mae"] == pytest.approx(logs["mae"][0], rel=1e-5)


def stream(job, units):
    """The batches of an epoch without their weights, mixed by Keras's layers."""
    from kerasrun.pipeline.batches import training_batches

    labels = job.targets.task.training_labels(job.train, job.targets)
    batches = training_batches(
        job.train.inputs,
        labels,
        **{"batch_size": 9, "seed": job.experiment.seed, "first_step": 0, "epochs": 1},
        augmentation=job.augmentation,
    )
    for x, y in batches:
        assert y.shape[1] == units
        yield x.numpy(), y.numpy()


@pytest.mark.long
@pytest.mark.parametrize(
    "text",
    [
        "compile: {optimizer: {Adam: {gradient_accumulation_steps: 3}}}\nfit: {epochs: 3, batch_size: 25}\n",
        "stages: [{epochs: 1, trainable: output}, {epochs: 2, trainable: true}]\nfit: {batch_size: 25}\n",
    ],
    ids=["accumulation", "stages"],
)
def test_a_resumed_run_ends_with_the_same_bits(tmp_path, digits, text):
    """The last batch of an epoch is smaller: 160 in batches of 25."""
    ends_with_the_same_bits(
        tmp_path,
        "data: {npz: {path: digits.npz}}\nmodel: {MLP: {units: [8], dropout: 0.2}}\n"
        f"augmentation: [RandomFlip, CutMix, MixUp]\n{text}".replace(
            "fit: {", "fit: {class_weight: balanced, validation_split: 0.2, "
        ),
    )
