"""Which key paths a shell offers behind `-s`."""

import pytest

from kerasrun.experiment.key_paths import key_paths
from kerasrun.experiment.schema import Experiment, Fit
from kerasrun.keras_catalogue import signature

EXPERIMENT = """\
data: {npz: {path: a.npz}}
model: {layers: [Flatten, {Dense: {units: 9}}]}
compile: {optimizer: {SGD: {momentum: 0.9}}}
fit: {epochs: 7}
stages: [{epochs: 3}]
callbacks: [TensorBoard, {EarlyStopping: {monitor: loss}}]
"""


@pytest.fixture
def file(tmp_path):
    (tmp_path / "mine.yaml").write_text(EXPERIMENT, encoding="utf-8")
    return tmp_path / "mine.yaml"


def test_every_section_is_offered():
    assert {path.rstrip("=.") for path in key_paths("")} == set(Experiment.model_fields)


def test_every_key_of_a_section_is_offered():
    assert key_paths("fit.") == [f"fit.{key}=" for key in Fit.model_fields]


@pytest.mark.parametrize(
    ("begun", "offered"),
    [
        ("fi", [f"fit.{key}=" for key in Fit.model_fields]),
        ("data", ["data=", "data."]),
        ("data.npz.pat", ["data.npz.path="]),
        (
            "compile.optimizer.Adam.learning_rate",
            ["compile.optimizer.Adam.learning_rate=", "compile.optimizer.Adam.learning_rate."],
        ),
        ("compile.optimizer.Adam.beta_1", ["compile.optimizer.Adam.beta_1=", "compile.optimizer.Adam.beta_1=0.9"]),
        ("model.MLP.drop", ["model.MLP.dropout=", "model.MLP.dropout=0.0"]),
        ("compile.metrics", ["compile.metrics=", "compile.metrics."]),
        ("precision", ["precision=", "precision=float32"]),
        ("fit.nothing", []),
        ("nothing.at.all", []),
        ("fit.epochs.more", []),
    ],
)
def test_what_begins_so_is_offered(begun, offered):
    assert key_paths(begun) == offered


@pytest.mark.parametrize(
    ("begun", "offered"),
    [
        ("compile.optimizer.SGD.mom", ["compile.optimizer.SGD.momentum=", "compile.optimizer.SGD.momentum=0.9"]),
        ("callbacks.EarlyStopping.mon", ["callbacks.EarlyStopping.monitor=", "callbacks.EarlyStopping.monitor=loss"]),
        ("model.layers.Dense.un", ["model.layers.Dense.units=", "model.layers.Dense.units=9"]),
        ("stages.0.ep", ["stages.0.epochs=", "stages.0.epochs=3"]),
        ("fit.ep", ["fit.epochs=", "fit.epochs=7"]),
    ],
)
def test_an_experiment_says_which_components_there_are(file, begun, offered):
    assert key_paths(begun, file) == offered


def test_of_the_only_component_its_arguments_are_offered(file):
    arguments = [one.name for one in signature("callbacks", "EarlyStopping").parameters]
    assert key_paths("callbacks.E", file) == [f"callbacks.EarlyStopping.{name}=" for name in arguments]
    assert {path.split(".")[2] for path in key_paths("compile.optimizer.", file)} == {"SGD"}


def test_a_file_that_cannot_be_read_says_nothing(tmp_path):
    (tmp_path / "wrong.yaml").write_text("fit: [", encoding="utf-8")
    for file in (tmp_path / "wrong.yaml", tmp_path / "none.yaml"):
        assert key_paths("fit.ep", file) == ["fit.epochs=", "fit.epochs=1"]


def test_what_is_offered_can_be_set(file):
    from kerasrun.experiment.files import parse_text
    from kerasrun.experiment.overrides import apply

    problems = []
    root = parse_text(EXPERIMENT, "mine.yaml", problems)
    apply(root, [f"{path}1" for path in key_paths("model.layers.Dense.", file) if path.endswith("=")], problems)
    assert problems == []
