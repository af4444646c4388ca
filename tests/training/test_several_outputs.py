"""A network of several outputs: trained, cut and resumed, evaluated and asked, as Keras would have it."""

import csv

import numpy as np
import pytest

import kerasrun
from kerasrun.errors import DataError, ModelError, ModelFileError
from kerasrun.runs.directory import open_run
from tests.training.whole_and_cut import train_whole_and_cut

pytestmark = pytest.mark.tensorflow

COLUMNS = ["a", "b", "c", "urgent", "sales", "support", "billing", "hours", "counts"]
DATA = """\
data:
  csv:
    train: train.csv
    test: test.csv
    target: [urgent, sales, support, billing, hours]
    sample_weight: counts
"""
# One that ends in a sigmoid, one in logits, one in a number.
MODEL = """\
model:
  layers:
    - Dense: {units: 8, activation: relu, name: body}
    - Dropout: {rate: 0.1, name: dropped}
    - Dense: {units: 1, activation: sigmoid, name: priority}
    - Dense: {units: 3, name: department, inputs: [dropped]}
    - Dense: {units: 1, name: duration, inputs: [dropped]}
  outputs: [priority, department, duration]
compile:
  loss: {priority: bce, department: {CategoricalCrossentropy: {from_logits: true}}, duration: mse}
  loss_weights: {department: 0.5, duration: 0.1}
  metrics: {priority: accuracy, department: accuracy, duration: mae}
"""
FIT = """\
fit: {epochs: 3, batch_size: 25, validation_data: test}
checkpoint: {monitor: val_department_accuracy}
callbacks: [EarlyStopping: {monitor: val_priority_loss, patience: 3}]
"""
WEIGHTS = {"priority": 1.0, "department": 0.5, "duration": 0.1}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Trained as a whole, and cut and resumed."""
    folder = tmp_path_factory.mktemp("outputs")
    rng = np.random.default_rng(1)
    for name, examples in (("train", 90), ("test", 40)):
        x = rng.normal(size=(examples, 3))
        labels = np.column_stack([x.sum(axis=1) > 0, np.eye(3)[x.argmax(axis=1)], x[:, 0] - x[:, 1]])
        rows = np.column_stack([x, labels, rng.integers(1, 4, examples)])
        with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([COLUMNS, *rows.tolist()])
    train_whole_and_cut(folder, DATA + MODEL + FIT)
    kerasrun.resume(folder / "cut" / "run-1")
    return folder


@pytest.fixture(scope="module")
def report(folder):
    return kerasrun.evaluate(folder / "whole" / "run-1", last=True)


@pytest.mark.long
def test_a_run_that_was_cut_ends_with_the_same_bits(folder):
    from kerasrun.engine.state import from_hdf5
    from kerasrun.runs import checkpoints

    whole, cut = (open_run(folder / name / "run-1") for name in ("whole", "cut"))
    assert cut.metrics_file.read_bytes() == whole.metrics_file.read_bytes()
    first, second = (from_hdf5(checkpoints.newest(run).state_file) for run in (whole, cut))
    assert {name: array.tobytes() for name, array in first.items()} == {
        name: array.tobytes() for name, array in second.items()
    }


def test_the_loss_is_that_of_the_outputs_by_their_weights(folder):
    with open_run(folder / "whole" / "run-1").metrics_file.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3
    for row in rows:
        for val in ("", "val_"):
            parts = [weight * float(row[f"{val}{name}_loss"]) for name, weight in WEIGHTS.items()]
            assert float(row[f"{val}loss"]) == pytest.approx(sum(parts), rel=1e-5)


def test_evaluate_says_what_keras_says_of_a_network_with_as_many_tensors(folder, report):
    import keras

    trained = keras.saving.load_model(open_run(folder / "whole" / "run-1").last_model, compile=False)
    model = keras.Model(trained.input, trained.get_layer("output").input)
    losses = {
        "priority": "bce",
        "department": keras.losses.CategoricalCrossentropy(from_logits=True),
        "duration": "mse",
    }
    metrics = {"priority": ["accuracy"], "department": ["accuracy"], "duration": ["mae"]}
    model.compile(loss=losses, loss_weights=WEIGHTS, metrics=metrics)
    rows = np.loadtxt(folder / "test.csv", delimiter=",", skiprows=1, dtype=np.float32)
    y = dict(zip(WEIGHTS, np.split(rows[:, 3:8], [1, 4], axis=1), strict=True))
    # Batches of one size: Keras takes the mean of an output's loss over batches, without counting their examples.
    expected = model.evaluate(rows[:, :3], y, batch_size=20, verbose=0, return_dict=True)
    assert report.metrics == pytest.approx(expected, rel=1e-5)


def test_each_output_is_scored_as_what_it_is(report):
    priority, department, duration = report.scores.outputs.values()
    assert department.accuracy == pytest.approx(report.metrics["department_accuracy"])
    assert priority.exact_match == pytest.approx(report.metrics["priority_accuracy"])
    assert duration.targets[0].mae == pytest.approx(report.metrics["duration_mae"], rel=1e-5)
    assert "duration_r2" in report.scores.headline


def test_predictions_stand_under_the_names_of_outputs_and_columns(folder):
    model = open_run(folder / "whole" / "run-1").last_model
    first, *_ = kerasrun.predict([folder / "test.csv"], model=model)
    row = first.as_row()
    shares = [row[f"department.{name}"] for name in ("sales", "support", "billing")]
    assert sum(shares) == pytest.approx(1, rel=1e-5)
    assert row[f"department.{row['department']}"] == max(shares)
    assert 0 <= row["priority.urgent"] <= 1
    assert first.as_cells()["duration"] == f"hours {row['duration.hours']:.5g}"
    assert first.as_dict()["outputs"]["priority"] == {"values": {"urgent": row["priority.urgent"]}}
    with pytest.raises(ModelFileError, match="has several outputs, so there is nothing for --threshold"):
        kerasrun.predict([folder / "test.csv"], model=model, threshold=0.4)


def test_the_model_file_is_one_that_keras_compiles_again(folder):
    import keras

    import kerasrun.outputs  # noqa: F401  registers what the file names

    model = keras.saving.load_model(open_run(folder / "whole" / "run-1").last_model)
    rows = np.loadtxt(folder / "test.csv", delimiter=",", skiprows=1, dtype=np.float32)
    values = model.evaluate(rows[:, :3], rows[:, 3:8], batch_size=25, verbose=0, return_dict=True)
    assert {f"{name}_loss" for name in WEIGHTS} < values.keys()


@pytest.mark.parametrize(
    ("override", "error", "sentence"),
    [
        (
            "data.csv.target=[urgent,urgent_,support,billing,hours]",
            DataError,
            "no column 'urgent_'",
        ),
        (
            "data.csv.target=[hours,sales,support,billing,urgent]",
            DataError,
            r"the labels hours of the output 'priority' must be from 0 to 1 for bce, but example \d+ of train has",
        ),
        (
            "data.csv.target=[sales,urgent,support,billing,hours]",
            DataError,
            r"the labels urgent, support, billing of the output 'department' must be one-hot for Cat.*they sum to [02]",
        ),
        (
            "model.layers.3.Dense.activation=softmax",
            ModelError,
            "the output 'department': the last layer ends in softmax, but .*from_logits: true",
        ),
        (
            "compile.metrics.duration=accuracy",
            ModelError,
            "the output 'duration': .*Accuracy counts right classes, but the labels are numbers",
        ),
    ],
)
def test_what_the_data_or_the_network_contradict_is_one_sentence(folder, tmp_path, override, error, sentence):
    with pytest.raises(error, match=sentence):
        kerasrun.train(folder / "run.yaml", overrides=[override], output=tmp_path)


def test_units_that_only_the_network_knows_are_told(folder, tmp_path):
    layers = "[{Dense: {units: 1, activation: sigmoid, name: a}}, {Dense: {units: 3}}, {Softmax: {name: b}}]"
    overrides = [f"model={{layers: {layers}, outputs: [a, b]}}", "compile={}", "checkpoint={}", "callbacks=[]"]
    with pytest.raises(ModelError, match=r"the outputs a, b have 1 \+ 3 = 4 units, but an example has 5 labels"):
        kerasrun.train(folder / "run.yaml", overrides=overrides, output=tmp_path)
