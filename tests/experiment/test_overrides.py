import pytest

from kerasrun.components import Component, PlacedText
from kerasrun.errors import ExperimentError
from kerasrun.experiment import overrides
from kerasrun.experiment.load import parse
from kerasrun.text.problems import Text
from kerasrun.text.yaml_text import parse as parse_yaml
from kerasrun.text.yaml_text import plain, split_lines


def changed(content, *settings):
    problems = []
    node = parse_yaml(content, Text("e.yaml", split_lines(content)), problems)
    overrides.apply(node, settings, problems)
    return plain(node), [str(problem) for problem in problems]


@pytest.mark.parametrize(
    ("content", "setting", "expected"),
    [
        ("fit: {epochs: 1}", "fit.epochs=3", {"fit": {"epochs": 3}}),
        ("seed: 1", "fit.epochs=1e1", {"seed": 1, "fit": {"epochs": 10.0}}),
        ("fit:", "fit.epochs=3", {"fit": {"epochs": 3}}),
        ("model: LeNet", "model.LeNet.units=3", {"model": {"LeNet": {"units": 3}}}),
        ("model: LeNet", "model={MLP: {units: [3, 4]}}", {"model": {"MLP": {"units": [3, 4]}}}),
        (
            "compile: {optimizer: Adam}",
            "compile.optimizer.Adam.learning_rate=0.1",
            {"compile": {"optimizer": {"Adam": {"learning_rate": 0.1}}}},
        ),
        (
            "compile: {optimizer: {SGD: {momentum: 0.9}}}",
            "compile.optimizer=Adam",
            {"compile": {"optimizer": "Adam"}},
        ),
        ("callbacks: [A, {B: {x: 1}}]", "callbacks.1.B.x=2", {"callbacks": ["A", {"B": {"x": 2}}]}),
        ("callbacks: [A, {B: {x: 1}}]", "callbacks.B.x=2", {"callbacks": ["A", {"B": {"x": 2}}]}),
        ("callbacks: [A, {B: {x: 1}}]", "callbacks.A.x=2", {"callbacks": [{"A": {"x": 2}}, {"B": {"x": 1}}]}),
        ("callbacks: [A, B]", "callbacks.0=C", {"callbacks": ["C", "B"]}),
        ("a: 1", "a=", {"a": None}),
        ("a: 1", "a=b=c", {"a": "b=c"}),
    ],
)
def test_a_setting_changes_its_place(content, setting, expected):
    assert changed(content, setting) == (expected, [])


OUTPUTS = "outputs: [priority, hours]"


@pytest.mark.parametrize(
    ("content", "setting", "expected"),
    [
        (
            "stages: [{epochs: 1, optimizer: Adam}]",
            "stages.0.optimizer.Adam.learning_rate=0.1",
            {"stages": [{"epochs": 1, "optimizer": {"Adam": {"learning_rate": 0.1}}}]},
        ),
        (
            "compile: {optimizer: {LossScaleOptimizer: {inner_optimizer: Adam}}}",
            "compile.optimizer.LossScaleOptimizer.inner_optimizer.Adam.learning_rate=0.1",
            {"compile": {"optimizer": {"LossScaleOptimizer": {"inner_optimizer": {"Adam": {"learning_rate": 0.1}}}}}},
        ),
        (
            "stages: [{epochs: 1, optimizer: {SGD: {learning_rate: CosineDecay}}}]",
            "stages.0.optimizer.SGD.learning_rate.CosineDecay.decay_steps=5",
            {"stages": [{"epochs": 1, "optimizer": {"SGD": {"learning_rate": {"CosineDecay": {"decay_steps": 5}}}}}]},
        ),
        (
            "callbacks: [LearningRateScheduler: {schedule: step_decay}]",
            "callbacks.LearningRateScheduler.schedule.step_decay.drop=0.5",
            {"callbacks": [{"LearningRateScheduler": {"schedule": {"step_decay": {"drop": 0.5}}}}]},
        ),
        (
            "preprocessing: [TimeDistributed: {layer: Dense}]",
            "preprocessing.TimeDistributed.layer.Dense.units=3",
            {"preprocessing": [{"TimeDistributed": {"layer": {"Dense": {"units": 3}}}}]},
        ),
        (
            "augmentation: [Pipeline: {layers: [RandomFlip, RandomZoom]}]",
            "augmentation.Pipeline.layers.RandomFlip.mode=vertical",
            {"augmentation": [{"Pipeline": {"layers": [{"RandomFlip": {"mode": "vertical"}}, "RandomZoom"]}}]},
        ),
        (
            "augmentation: ImageDataGenerator",
            "augmentation.ImageDataGenerator.horizontal_flip=true",
            {"augmentation": {"ImageDataGenerator": {"horizontal_flip": True}}},
        ),
        (
            "model: {layers: [Bidirectional: {layer: LSTM}]}",
            "model.layers.Bidirectional.layer.LSTM.units=4",
            {"model": {"layers": [{"Bidirectional": {"layer": {"LSTM": {"units": 4}}}}]}},
        ),
        (
            "model: {layers: [RNN: {cell: {StackedRNNCells: {cells: [LSTMCell, GRUCell]}}}]}",
            "model.layers.0.RNN.cell.StackedRNNCells.cells.GRUCell.units=4",
            {
                "model": {
                    "layers": [
                        {"RNN": {"cell": {"StackedRNNCells": {"cells": ["LSTMCell", {"GRUCell": {"units": 4}}]}}}}
                    ]
                }
            },
        ),
        (
            "model: {layers: [Dense: {kernel_initializer: HeNormal, kernel_regularizer: L2}]}",
            "model.layers.Dense.kernel_initializer.HeNormal.seed=3",
            {
                "model": {
                    "layers": [{"Dense": {"kernel_initializer": {"HeNormal": {"seed": 3}}, "kernel_regularizer": "L2"}}]
                }
            },
        ),
        (
            "model: {layers: [Dense: {kernel_constraint: MaxNorm}]}",
            "model.layers.Dense.kernel_constraint.MaxNorm.max_value=3",
            {"model": {"layers": [{"Dense": {"kernel_constraint": {"MaxNorm": {"max_value": 3}}}}]}},
        ),
        (
            "model: {layers: [Dense]}",
            "model.outputs=[a, b]",
            {"model": {"layers": ["Dense"], "outputs": ["a", "b"]}},
        ),
    ],
)
def test_a_name_without_arguments_is_given_some_wherever_it_is(content, setting, expected):
    assert changed(content, setting) == (expected, [])


@pytest.mark.parametrize(
    ("section", "setting", "expected"),
    [
        (
            "loss: {priority: mse, hours: Huber}",
            "loss.hours.Huber.delta=2",
            {"loss": {"priority": "mse", "hours": {"Huber": {"delta": 2}}}},
        ),
        ("loss: {priority: mse}", "loss.hours=mae", {"loss": {"priority": "mse", "hours": "mae"}}),
        ("loss: null", "loss.hours=mae", {"loss": {"hours": "mae"}}),
        (
            "metrics: {hours: R2Score}",
            "metrics.hours.R2Score.name=r",
            {"metrics": {"hours": {"R2Score": {"name": "r"}}}},
        ),
        (
            "metrics: {hours: [R2Score]}",
            "metrics.hours.R2Score.name=r",
            {"metrics": {"hours": [{"R2Score": {"name": "r"}}]}},
        ),
        ("metrics: [R2Score]", "metrics.R2Score.name=r", {"metrics": [{"R2Score": {"name": "r"}}]}),
    ],
)
def test_what_is_written_for_each_output_is_changed_for_one(section, setting, expected):
    value, problems = changed(f"model: {{layers: [], {OUTPUTS}}}\ncompile: {{{section}}}", f"compile.{setting}")
    assert (value["compile"], problems) == (expected, [])


@pytest.mark.parametrize(
    ("content", "setting", "told"),
    [
        (
            "stages: [{epochs: 1, optimizer: Adam}]",
            "stages.0.optimizer.SGD.momentum=1",
            "column 20: stages.0.optimizer: 'SGD' beside 'Adam': two components in one place",
        ),
        (
            "model: {layers: [Dense: {activation: relu}]}",
            "model.layers.Dense.activation.relu.x=1",
            "model.layers.0.Dense.activation: 'relu' under a value",
        ),
        ("compile: {loss: mse}", "compile.loss.hours=mae", "compile.loss: 'hours' beside 'mse'"),
        ("fit: {class_weight: balanced}", "fit.class_weight.cat=2", "fit.class_weight: 'cat' under a value"),
    ],
)
def test_a_second_component_in_one_place_is_told_wherever_it_is(content, setting, told):
    _, problems = changed(content, setting)
    assert len(problems) == 1
    assert told in problems[0]


def test_the_optimizer_of_a_stage_is_given_an_argument():
    content = "data: {folder: {path: x}}\nmodel: Small\nstages: [{epochs: 1, optimizer: Adam}]\n"
    (stage,) = parse(content, "e.yaml", ["stages.0.optimizer.Adam.learning_rate=0.1"]).experiment.stages
    assert stage.optimizer == Component("Adam", {"learning_rate": 0.1})


def test_later_settings_win():
    assert changed("a: 1", "a=2", "a=3") == ({"a": 3}, [])


@pytest.mark.parametrize(
    ("content", "setting", "told"),
    [
        ("a: 1", "a", "--set a: column 2: no '='; expected key.path=value"),
        ("a: 1", "=3", "--set =3: column 1: the key path ''; expected names joined by '.'"),
        ("a: 1", "a..b=3", "--set a..b=3: column 1: the key path 'a..b'"),
        ("a: 1", "a.b=3", "--set a.b=3: column 3: a: 'b' under a value; expected a to hold keys"),
        (
            "callbacks: [A]",
            "callbacks.1=B",
            "column 11: callbacks: '1' in a list; expected an index from 0 to 0, or one of A",
        ),
        ("callbacks: [Early]", "callbacks.Earl.x=1", "did you mean 'Early'?"),
        ("callbacks: [A, A]", "callbacks.A.x=1", "column 11: callbacks: 'A' 2 times; expected an index from 0 to 1"),
        ("callbacks: []", "callbacks.0=A", "expected no index, the list is empty"),
        ("a: 1", "a=[1", "--set a=[1: column 3: a list whose ']' or ',' is missing"),
        ("a:", "a.b={x: 1, x: 2}", "--set a.b={x: 1, x: 2}: column 12: a.b.x: the key 'x' again (first in column 6"),
        (
            "compile: {optimizer: Adam}",
            "compile.optimizer.SGD.momentum=1",
            "column 19: compile.optimizer: 'SGD' beside 'Adam': two components in one place; "
            "expected one; set compile.optimizer={SGD: {…}} to replace 'Adam'",
        ),
        (
            "callbacks: [{A: {x: 1}}]",
            "callbacks.0.x=1",
            "column 13: callbacks.0: 'x' beside 'A'; expected the arguments of 'A' under callbacks.0.A",
        ),
        (
            "data: {npz: {path: x}}",
            "data.idx.path=y",
            "column 6: data: 'idx' beside 'npz'; expected the arguments of 'npz' under data.npz, or data={idx: {…}}",
        ),
    ],
)
def test_a_setting_that_cannot_be_made_is_told_at_its_column(content, setting, told):
    _, problems = changed(content, setting)
    assert len(problems) == 1
    assert told in problems[0]


def test_text_is_marked_as_the_command_lines():
    value, _ = changed("a: x", "b=[y, {c: z}]")
    assert not isinstance(value["a"], PlacedText)
    assert isinstance(value["b"][0], PlacedText)
    assert isinstance(value["b"][1]["c"], PlacedText)


def test_paths_are_relative_to_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    content = "data: {folder: {path: ../digits}}\nmodel: Small\n"
    file = tmp_path / "configs" / "e.yaml"
    assert parse(content, file).experiment.data.path == tmp_path / "configs" / ".." / "digits"
    assert parse(content, file, ["data.folder.path=digits"]).experiment.data.path == tmp_path / "digits"


def test_what_a_setting_makes_wrong_is_told_at_its_column():
    with pytest.raises(ExperimentError) as told:
        parse("data: {folder: {path: x}}\nmodel: Small\n", "e.yaml", ["fit.epochs=ten", "compile.optimizer=Admm"])
    assert str(told.value) == (
        "--set fit.epochs=ten: column 12: fit.epochs: received 'ten'; expected a whole number of at least 1\n"
        "    fit.epochs=ten\n"
        "               ^\n"
        "--set compile.optimizer=Admm: column 19: compile.optimizer: unknown optimizer 'Admm'; "
        "expected a name of keras.optimizers; did you mean 'Adam'?\n"
        "    compile.optimizer=Admm\n"
        "                      ^\n"
        "2 problems"
    )


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        (".".join("a" * 900) + "=1", "a key path of 900 names; expected at most 100"),
        (f"callbacks.{'1' * 5000}=A", " in a list; expected an index from 0 to 0, or one of TensorBoard"),
    ],
)
def test_a_key_path_of_any_length_is_told(setting, told):
    text = "data: {npz: {path: a.npz}}\nmodel: LeNet\ncallbacks: [TensorBoard]\n"
    with pytest.raises(ExperimentError) as error:
        parse(text, "e.yaml", [setting])
    assert told in str(error.value)
