"""What every task keeps to, found by listing the folder: a new one needs a `SAMPLE` in its test file, nothing here."""

import csv
import importlib
import io
import json
import re
import subprocess
import sys
from typing import get_args

import numpy as np
import pytest

from kerasrun.components import Component
from kerasrun.errors import ModelError
from kerasrun.report.predictions import to_csv, to_json, to_text
from kerasrun.report.values import OutputKind
from kerasrun.tasks.base import Targets, task_named, task_names

NAMES = task_names()
SAMPLES = {name: importlib.import_module(f"tests.tasks.test_{name}").SAMPLE for name in NAMES}
# Several outputs take losses and last layers from their parts.
OF_ONE_OUTPUT = [name for name in NAMES if not SAMPLES[name].task.parts]
LOSSES = [(name, loss) for name in OF_ONE_OUTPUT for loss in SAMPLES[name].losses]

every_task = pytest.mark.parametrize("name", NAMES)
every_loss = pytest.mark.parametrize(("name", "loss"), LOSSES)


def targets_of(name, loss):
    """What the labels become for a loss and the last layer that suits it."""
    sample = SAMPLES[name]
    output = sample.task.output(len(sample.classes), loss)
    return sample.task.agreed(loss, len(sample.classes), output.units, output.activation)


def test_tasks_were_found():
    assert {"classes", "masks"} < set(NAMES)
    assert len(LOSSES) >= len(OF_ONE_OUTPUT) >= len(NAMES) - 1


def test_an_unknown_name_is_an_error():
    with pytest.raises(ModelError, match="no task is called 'boxes', only arrays, classes"):
        task_named("boxes")


@every_task
def test_a_task_is_light_to_import(name):
    heavy = {"numpy", "PIL", "matplotlib", "keras"}
    code = f"import sys, kerasrun.tasks.{name}; print(sorted({heavy} & set(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert loaded.strip() == "[]"


@every_task
def test_the_sample_is_of_the_task(name):
    assert type(SAMPLES[name].task) is type(task_named(name))
    assert len(SAMPLES[name].split.labels) == len(SAMPLES[name].found) == 6


@pytest.mark.parametrize("name", OF_ONE_OUTPUT)
@pytest.mark.parametrize("classes", [2, 3])
def test_the_default_loss_suits_the_last_layer_that_suits_the_labels(name, classes):
    task = SAMPLES[name].task
    output = task.output(classes)
    loss = task.default_loss(classes, output.units)
    assert task.output(classes, loss) == output
    targets = task.agreed(loss, classes, output.units, output.activation)
    assert (targets.task, targets.loss, targets.units) == (task, loss, output.units)


@every_loss
def test_a_unit_too_many_is_refused(name, loss):
    sample = SAMPLES[name]
    units = sample.task.output(len(sample.classes), loss).units
    with pytest.raises(ModelError, match=f"the last layer has {units + 1} .* needs {units}: set its"):
        sample.task.agreed(loss, len(sample.classes), units + 1, None)


@pytest.mark.parametrize("name", OF_ONE_OUTPUT)
def test_a_network_that_ends_in_another_shape_is_told_how_to_end(name):
    with pytest.raises(ModelError, match="the network ends in an output of shape"):
        SAMPLES[name].task.check_shape((2, 2), (4, 4, 1))


@pytest.mark.tensorflow
@every_loss
def test_labels_that_are_read_in_parts_are_those_that_train(name, loss):
    sample, targets = SAMPLES[name], targets_of(name, loss)
    whole = sample.task.labels_of(sample.split, 0, 6, targets)
    parts = [sample.task.labels_of(sample.split, begin, begin + 3, targets) for begin in (0, 3)]
    assert np.array_equal(np.concatenate(parts), np.asarray(whole))
    training = sample.task.training_labels(sample.split, targets)
    if hasattr(training, "encode"):
        raw = training.inputs.take(np.arange(6)) if hasattr(training, "inputs") else training.numbers
        training = training.encode(raw)
    assert np.array_equal(np.asarray(training), np.asarray(whole))
    zeros = np.asarray(sample.task.zeros(6, (4, 4), targets))
    assert (zeros.shape, zeros.dtype) == (np.asarray(whole).shape, np.asarray(whole).dtype)


@pytest.mark.tensorflow
@every_loss
def test_loss_and_default_metrics_take_the_encoded_labels(name, loss):
    sample, targets = SAMPLES[name], targets_of(name, loss)
    metrics = {metric.name: metric for metric in sample.task.default_metrics}
    built = sample.task.compile_arguments(targets, metrics)
    assert [metric.name for metric in built["metrics"]] == list(metrics)
    y_true = sample.task.labels_of(sample.split, 0, 6, targets)
    y_pred = np.full((*sample.found.shape[:-1], targets.units), 0.5, np.float32)
    assert np.isfinite(float(built["loss"](y_true, y_pred)))
    for metric in built["metrics"]:
        metric.update_state(y_true, y_pred)
        assert np.ndim(metric.result()) == 0


@every_task
def test_scores_of_outputs_in_parts_are_those_of_the_whole(name, tmp_path):
    sample = SAMPLES[name]
    question = sample.question(tmp_path)
    whole, parts = (sample.task.scorer(sample.split, question) for _ in range(2))
    whole.add(sample.found)
    for chunk in (sample.found[:4], sample.found[4:]):
        parts.add(chunk)
    written = json.dumps(whole.scores().as_dict())
    assert json.dumps(parts.scores().as_dict()) == written
    assert all(value is None or np.isfinite(value) for value in whole.scores().headline.values())
    assert whole.scores().headline
    assert whole.scores().to_text()


@every_task
def test_pictures_of_scores_are_drawn(name, tmp_path):
    from matplotlib.figure import Figure

    sample = SAMPLES[name]
    scorer = sample.task.scorer(sample.split, sample.question(tmp_path))
    scorer.add(sample.found)
    figures = scorer.scores().figures()
    assert figures
    assert all(isinstance(figure, Figure) for figure in figures.values())


@every_task
@pytest.mark.parametrize("every", [False, True])
def test_predictions_are_one_for_each_example_in_every_form(name, every, tmp_path):
    sample = SAMPLES[name]
    question = sample.question(tmp_path, every=every, top=len(sample.classes) if every else 1)
    whole = sample.task.predictions([sample.found], question)
    assert sample.task.predictions([sample.found[:4], sample.found[4:]], question) == whole
    assert [prediction.path for prediction in whole] == list(question.paths)
    assert [row["path"] for row in csv.DictReader(io.StringIO(to_csv(whole)))] == list(question.paths)
    assert [one["path"] for one in json.loads(to_json(whole))] == list(question.paths)
    assert len(to_text(whole).splitlines()) == 7
    assert all(file.exists() for file in question.files)


@every_task
def test_a_threshold_is_told_why_it_decides_nothing(name):
    task = SAMPLES[name].task
    reasons = [task.without_threshold(classes, outputs) for classes in (2, 3) for outputs in get_args(OutputKind)]
    assert all(why is None or re.match("(takes|makes|predicts|has) ", why) for why in reasons)
    assert task.without_threshold(2, "scores")


@every_task
def test_a_label_is_drawn_beside_its_image(name):
    from matplotlib.figure import Figure

    sample, figure = SAMPLES[name], Figure()
    axes = figure.subplots()
    labels = sample.labels if isinstance(sample.labels, np.ndarray) else sample.labels.take(np.arange(6))
    sample.task.draw(axes, labels[1], sample.classes)
    sample.task.explain(figure, sample.classes)
    assert axes.get_title() or axes.images
    assert len(axes.get_title()) <= 20


@every_task
def test_a_draft_says_what_the_labels_are_and_measures_what_keras_knows(name):
    from kerasrun.keras_catalogue import identifiers

    sample = SAMPLES[name]
    assert "3" in sample.task.about(3)
    known = {"accuracy", *identifiers("metrics")}
    assert {*sample.task.drafted_metrics(2), *sample.task.drafted_metrics(3)} <= known


@every_task
def test_targets_say_what_the_outputs_are(name):
    sample = SAMPLES[name]
    loss = sample.losses[0] if sample.losses else Component("outputs_loss")
    targets = Targets(sample.task, loss, len(sample.classes), len(sample.classes))
    assert targets.parts == sample.task.parts
    assert targets.outputs in get_args(OutputKind)
