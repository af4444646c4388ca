"""Several outputs: what the text decides of them is told before anything is loaded."""

import pytest

from kerasrun.errors import DataError, ExperimentError
from kerasrun.experiment.load import parse
from kerasrun.experiment.logs import log_names
from kerasrun.experiment.outputs import outputs_of
from kerasrun.experiment.resolved import resolved_yaml
from kerasrun.experiment.rules.base import Facts, check_with_data

LAYERS = """\
model:
  layers:
    - Dense: {units: 8, name: body}
    - Dense: {units: 1, activation: sigmoid, name: priority}
    - Dense: {units: 3, activation: softmax, name: department, inputs: [body]}
    - Dense: {units: 1, name: hours, inputs: [body]}
"""
DATA = "data: {csv: {train: t.csv, target: [urgent, sales, support, billing, hours]}}\n"
OUTPUTS = "  outputs: [priority, department, hours]\n"


@pytest.fixture(autouse=True)
def _kinds():
    """The real ones."""


def loaded(section="", data=DATA, outputs=OUTPUTS, overrides=()):
    return parse(data + LAYERS + outputs + section, "e.yaml", overrides)


def told(*arguments, **named):
    with pytest.raises(ExperimentError) as error:
        loaded(*arguments, **named)
    return str(error.value)


def test_losses_and_metrics_follow_from_the_layers():
    outputs = outputs_of(loaded().experiment)
    assert [(output.name, output.loss.name, output.kind, output.weight) for output in outputs] == [
        ("priority", "binary_crossentropy", "multi_label", 1.0),
        ("department", "categorical_crossentropy", "classes", 1.0),
        ("hours", "mean_squared_error", "numbers", 1.0),
    ]
    assert [list(output.metrics) for output in outputs] == [
        ["priority_accuracy"],
        ["department_accuracy"],
        ["hours_mae"],
    ]


def test_each_output_may_have_its_own():
    compiled = """compile:
  loss: {priority: mse, department: {CategoricalCrossentropy: {label_smoothing: 0.1}}, hours: mae}
  loss_weights: {hours: 0.2}
  metrics: {department: [accuracy, AUC, AUC], hours: R2Score}
checkpoint: {monitor: val_hours_r2_score}
callbacks: [EarlyStopping: {monitor: val_department_loss}]
"""
    experiment = loaded(compiled).experiment
    _, department, hours = outputs_of(experiment)
    assert department.loss.arguments == {"label_smoothing": 0.1}
    assert (department.weight, hours.weight) == (1.0, 0.2)
    losses = ("loss", "priority_loss", "department_loss", "hours_loss")
    metrics = ("department_accuracy", "department_auc", "department_auc_1", "hours_r2_score")
    assert log_names(experiment, False) == (*losses, *metrics, "learning_rate")
    assert parse(resolved_yaml(experiment), "e.yaml").experiment == experiment


def test_one_loss_and_one_list_of_metrics_are_for_each():
    outputs = outputs_of(loaded("compile: {loss: mse, metrics: [mae]}").experiment)
    assert {output.loss.name for output in outputs} == {"mse"}
    assert [list(output.metrics) for output in outputs] == [["priority_mae"], ["department_mae"], ["hours_mae"]]


def test_the_command_line_may_name_them():
    experiment = loaded(outputs="", overrides=["model.outputs=[priority,department,hours]"]).experiment
    assert experiment.model.outputs == ("priority", "department", "hours")


@pytest.mark.parametrize(
    ("outputs", "words"),
    [
        ("[priority, departmant]", "8:23: model.outputs.1: no layer is called 'departmant'; expected body, "),
        ("[hours, hours]", "model.outputs.1: the output 'hours' a second time; expected each output once"),
        ("[hours]", "model.outputs: received a list; expected at least 2 values"),
        ("hours", "model.outputs: received 'hours'; expected a list"),
        (
            "[priority, department]",
            "8:12: model.outputs: outputs of 1 + 3 = 4 units; expected as many as an example has labels: 5",
        ),
    ],
)
def test_outputs_that_cannot_be_are_told(outputs, words):
    assert words in told(outputs=f"  outputs: {outputs}\n")


@pytest.mark.parametrize(
    ("section", "words"),
    [
        (
            "compile: {loss: {priority: mse, hours: mae}}",
            "compile.loss: no loss for the output 'department'; ",
        ),
        ("compile: {loss: {priority: mse}}", "no loss for the output 'department' and the output 'hours'"),
        ("compile: {loss: {prioriti: mse}}", "compile.loss.prioriti: no output is called 'prioriti'; expected "),
        ("compile: {loss: {prioriti: {Huber: {delta: 2}}}}", "no output is called 'prioriti'; expected "),
        ("compile: {loss: {Hubert: {delta: 2}}}", "compile.loss: unknown loss 'Hubert'; "),
        ("compile: {loss: {prioriti: Hubert}}", "compile.loss: received 'Hubert' for 'prioriti'; "),
        ("compile: {metrics: {prioriti: mae}}", "compile.metrics.prioriti: no output is called 'prioriti'; expected "),
        ("compile: {loss: {priority: mse, hours: foo, department: mse}}", "compile.loss.hours: unknown loss 'foo'"),
        (
            "compile: {loss_weights: {hour: 1}}",
            "compile.loss_weights.hour: no output is called 'hour'; expected ",
        ),
        ("compile: {loss_weights: {hours: -1}}", "compile.loss_weights.hours: received -1"),
        ("compile: {metrics: {hours: [maa]}}", "compile.metrics.hours.0: unknown metric 'maa'"),
        ("compile: {metrics: {hours: maa}}", "compile.metrics.hours: unknown metric 'maa'"),
        ("compile: {loss: sparse_categorical_crossentropy}", "expected categorical_crossentropy: the columns of an"),
        ("fit: {class_weight: balanced}", "fit.class_weight: received weights of classes; expected nothing here"),
        ("checkpoint: {monitor: hours_mea}", "monitors 'hours_mea'; expected loss, priority_loss, department_loss, "),
    ],
)
def test_what_is_wrong_with_one_of_them_is_told(section, words):
    assert words in told(section)


@pytest.mark.parametrize(
    "section",
    ["compile: {loss_weights: {a: 1}}", "compile: {metrics: {a: mae}}", "compile: {loss: {a: mse, b: mse}}"],
)
def test_a_network_of_one_output_has_nothing_by_output(section):
    assert "under model.outputs" in told(section, outputs="")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("{csv: {train: t.csv, label: species}}", "several outputs, but an example has one class; expected labels of"),
        ("{image_masks: {path: x}}", "several outputs, but the labels are masks"),
    ],
)
def test_labels_of_one_column_have_one_output(data, words):
    assert words in told(data=f"data: {data}\n")


def test_a_loss_that_neither_text_nor_layer_tells_is_asked_for():
    layers = "model:\n  layers:\n    - Dense: {units: 5, name: a}\n    - ReLU: {name: b}\n  outputs: [a, b]\n"
    with pytest.raises(ExperimentError, match=r"no loss for the output 'b', .*: set compile\.loss\.b"):
        parse(DATA + layers, "e.yaml")


def test_units_are_held_against_labels_that_only_the_data_count():
    found = loaded(data="data: {npz: {path: x.npz, labels: numbers}}\n")
    check_with_data(found.experiment, Facts("numbers", columns=5), found.document)
    with pytest.raises(DataError, match=r"1 \+ 3 \+ 1 = 5 units; expected as many as an example has labels: 6"):
        check_with_data(found.experiment, Facts("numbers", columns=6), found.document)
