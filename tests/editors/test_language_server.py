"""An editor completes, explains and checks experiments by the schema: tried with the language server that editors run.

`make editors` installs it, with npm.
"""

import random

import pytest

from kerasrun.errors import ExperimentError
from kerasrun.experiment.load import parse
from kerasrun.experiment.new_files import MODELINE, SCHEMA, write_schema
from tests.editors.language_server import NODE, SERVER, LanguageServer
from tests.fuzz import experiments
from tests.test_configs import CONFIGS, IDS

pytestmark = pytest.mark.skipif(
    not (NODE and SERVER.is_file()), reason="the language server for YAML is not installed: make editors, with npm"
)

RIGHT = """\
data:
  npz: {path: digits.npz}
model:
  layers:
    - Conv2D: {filters: 8, kernel_size: 3, activation: relu}
    - Flatten
    - Dense: {units: 10}
compile:
  optimizer: {Adam: {learning_rate: 0.001}}
  loss: categorical_crossentropy
  metrics: [accuracy]
fit:
  batch_size: 32
  epochs: 3
  validation_split: 0.1
callbacks:
  - EarlyStopping: {monitor: val_loss, patience: 5}
"""
WRONG = [
    ("epochs: 3", "epoch: 3"),
    ("epochs: 3", "epochs: many"),
    ("epochs: 3", "epochs: 0"),
    ("epochs: 3", "epochs: 2.5"),
    ("epochs: 3", "epochs:"),
    ("batch_size: 32", "batch_size: [32]"),
    ("batch_size: 32", "batch_size: true"),
    ("validation_split: 0.1", "validation_split: 1.5"),
    ("validation_split: 0.1", "validation_data: train"),
    ("npz: {", "nzp: {"),
    ("path: digits.npz", "file: digits.npz"),
    ("npz: {path: digits.npz}", "npz:"),
    ("Conv2D", "Conv2d"),
    ("Flatten", "Flaten"),
    ("Flatten", "Conv2D: 8"),
    ("filters: 8", "filter: 8"),
    ("filters: 8, ", ""),
    ("kernel_size: 3", "kernel_size: three"),
    ("units: 10", "units: 0"),
    ("activation: relu", "activation: rleu"),
    ("activation: relu", "kernel_initializer: he_nomal"),
    ("Adam", "Adan"),
    ("learning_rate: 0.001", "learning_rate: -1"),
    ("learning_rate: 0.001", "lr: 0.001"),
    ("{learning_rate: 0.001}", "{learning_rate: {CosineDecai: {initial_learning_rate: 1, decay_steps: 9}}}"),
    ("categorical_crossentropy", "categorical_crossentrop"),
    ("[accuracy]", "[acuracy]"),
    ("[accuracy]", "{accuracy: 3}"),
    ("EarlyStopping", "EarlyStoping"),
    ("patience: 5", "patience: soon"),
    ("patience: 5", "patience: -5"),
    ("data:\n  npz: {path: digits.npz}\n", ""),
    ("fit:", "precision: float16\nfit:"),
    ("fit:", "device: 3\nfit:"),
    ("fit:", "time_limit: three hours\nfit:"),
    ("fit:", "seeds: 3\nfit:"),
]
"""What is wrong in a file, and what it was before."""
FORMS = [
    "data: {npz: {path: a.npz}}\nmodel: LeNet\n",
    "data: {npz: {path: a.npz}}\nmodel:\n  LeNet:\nfit:\ncallbacks:\n",
    "data: {npz: {path: a.npz}}\nmodel: {class_name: MLP, config: {units: [8]}}\n",
    "data: {npz: {path: a.npz}}\nmodel:\n  layers:\n    - Dense(64, activation='relu')\n    - Dropout: 0.5\n"
    "    - Flatten:\n",
    "data: {npz: {path: a.npz}}\nmodel: \n  layers:\n    - Conv2D:\n        filters: 8\n        kernel_size: (3, 3)\n",
    "data: {npz: {path: a.npz}}\nmodel: {layers: [{class_name: Dense, config: {units: 3}}]}\n",
    "data: {npz: {path: a.npz}}\nmodel: {layers: [{Dense: {units: 8, name: Own, activation: relu}}, Own, Own: ]}\n",
    "data: {directory: {path: a, image_size: 32, classes: [1, 0002, no]}}\nmodel: LeNet\n",
    "data:\n  directory:\n    path: a\n    image_size: (32, 32)\nmodel: {LeNet: {activation: tanh}}\n",
    "data: {npz: {path: '${DATA:-a.npz}'}}\nmodel: '${MODEL:-LeNet}'\nfit: {epochs: '${EPOCHS:-3}'}\n",
    "data: {npz: {path: a.npz}}\nmodel: LeNet\nfit: {batch_size: 1_024, epochs: '3'}\ntime_limit: 2h30m\n",
    "data: {npz: {path: a.npz}}\nmodel: LeNet\ncompile: {optimizer: ADAM, loss: MSE, metrics: [mae, AUC]}\n",
    "data: {npz: {path: a.npz}}\nmodel: LeNet\ncompile: {optimizer: SGD(learning_rate=0.1)}\ntrack: mlflow\n",
    "data: {npz: {path: a.npz}}\nmodel: LeNet\ncompile: {optimizer: {SGD: {decay: 1e-4, learning_rate: 1e-2}}}\n",
    "data: {npz: {path: a.npz}}\nmodel: LeNet\ncompile: {optimizer: {Adam: {learning_rate: "
    "{PiecewiseConstantDecay: {boundaries_epochs: [2, 4], values: [1, 0.1, 0.01]}}}}}\n",
    "data: {npz: {path: a.npz}}\nmodel: LeNet\nstages: [&s {epochs: 3, trainable: true}, {<<: *s, epochs: 1}, *s]\n",
    "data: {npz: {path: a.npz}}\nmodel: LeNet\naugmentation: {ImageDataGenerator: {rescale: 1./255, "
    "brightness_range: '(0.8, 1.2)', zoom_range: [0.8, 1.2], data_format: None, fill_mode: nearest}}\n",
    "data: {npz: {path: a.npz}}\nmodel: LeNet\ncache: {memory: 2GiB, disk: 50GB}\ndeterministic: yes\nname: 12\n",
    "data: {npz: {path: a.npz}}\nmodel: LeNet\nfit: {validation_fold: 2/5, class_weight: {0: 1, cat: 2.5}}\n",
    "data: {image_masks: {path: ., mask_values: {cat: 3, dog: 7}, ignore: 255}}\n"
    "model: {layers: [Conv2D: {filters: 4, kernel_size: 3}]}\n",
]
"""Ways to write an experiment."""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("edited")
    write_schema(folder / SCHEMA)
    started = LanguageServer(folder)
    yield started
    started.close()


def told(server, text, name="edited.yaml"):
    return [(one["range"]["start"]["line"], one["message"]) for one in server.diagnostics(name, MODELINE + text)]


def edited(old, new):
    assert RIGHT.count(old) == 1 or old in ("fit:", "data:\n  npz: {path: digits.npz}\n")
    return RIGHT.replace(old, new, 1)


def test_what_is_right_is_not_marked(server):
    assert told(server, RIGHT) == []


@pytest.mark.parametrize(("old", "new"), WRONG, ids=lambda text: text.strip())
def test_what_is_wrong_is_marked_in_its_line(server, old, new):
    text = edited(old, new)
    line = 1 + RIGHT[: RIGHT.index(old)].count("\n")
    with pytest.raises(ExperimentError):
        parse(text, "edited.yaml")
    marked = [at for at, _ in told(server, text)]
    assert line in marked


@pytest.mark.parametrize("file", CONFIGS, ids=IDS)
def test_no_shipped_experiment_is_marked(server, file):
    assert told(server, file.read_text(encoding="utf-8"), file.name) == []


@pytest.mark.parametrize("text", FORMS)
def test_no_form_that_is_read_is_marked(server, text):
    parse(text, "edited.yaml")
    assert told(server, text) == []


def test_a_file_on_a_base_says_only_what_differs(server):
    assert told(server, "base: other.yaml\nfit: {epochs: 5, validation_split: null}\nsweep: {trials: 3}\n") == []
    assert told(server, "base: other.yaml\nfit: {epoch: 5}\n") != []


def test_names_of_plugins_are_right_where_there_are_plugins(server):
    own = RIGHT.replace("Conv2D", "Convolution").replace("Adam", "Lion2")
    assert told(server, own) != []
    assert told(server, f"plugins: [own.py]\n{own}") == []


def test_arguments_of_a_layer_are_completed_with_what_they_mean(server):
    offered = server.completion("completed.yaml", MODELINE + RIGHT.replace("{filters: 8, ", "{filters: 8, |"))
    assert {"strides", "padding", "kernel_regularizer", "use_bias", "inputs"} <= set(offered)
    assert "units" not in offered
    assert "stride length" in str(offered["strides"]["documentation"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("|", {"data", "model", "fit", "callbacks", "base"}),
        ("fit:\n  |", {"epochs", "batch_size", "validation_split"}),
        ("data:\n  |", {"npz", "directory", "csv"}),
        ("data:\n  npz:\n    |", {"path", "image_size"}),
        ("model: |", {"LeNet"}),
        ("model:\n  layers:\n    - |", {"Conv2D", "Dense", "Flatten"}),
        ("model:\n  layers:\n    - Conv2D:\n        filters: 3\n        |", {"kernel_size", "padding"}),
        ("model:\n  layers:\n    - Conv2D:\n        padding: |", {"valid", "same"}),
        ("model:\n  layers:\n    - Conv2D:\n        activation: |", {"relu", "softmax"}),
        ("compile:\n  optimizer: |", {"Adam", "SGD"}),
        ("compile:\n  optimizer:\n    Adam:\n      |", {"learning_rate", "clipnorm"}),
        ("callbacks:\n  - |", {"EarlyStopping", "TensorBoard"}),
        ("precision: |", {"float32", "mixed_float16"}),
    ],
)
def test_keys_and_values_are_completed(server, text, expected):
    assert expected <= set(server.completion("completed.yaml", MODELINE + text))


@pytest.mark.parametrize(
    ("mark", "words"),
    [
        ("bat|ch_size", "Examples in one step, over all devices."),
        ("n|pz", "Arrays in one"),
        ("Con|v2D", "2D convolution layer."),
        ("kernel_s|ize", "size of the convolution window"),
        ("Ad|am", "Optimizer that implements the Adam algorithm."),
        ("learning_r|ate", "LearningRateSchedule"),
        ("pat|ience", "Number of epochs with no improvement"),
    ],
)
def test_keys_are_explained(server, mark, words):
    text = RIGHT.replace(mark.replace("|", ""), mark, 1)
    assert words in " ".join(server.hover("explained.yaml", MODELINE + text).replace("\\", "").split())


@pytest.mark.long
def test_what_is_read_of_changed_experiments_is_not_marked(server, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    experiments.prepare()
    read = 0
    for seed in range(1000):
        case = experiments.make(random.Random(seed), tmp_path)
        text = case.file.read_bytes().decode("utf-8", "replace")
        try:
            parse(text, case.file)
        except ExperimentError:
            continue
        read += 1
        assert told(server, text) == [], f"seed {seed}:\n{text}"
    assert read > 100
