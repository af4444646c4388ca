import math
from pathlib import Path

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from kerasrun.components import Component
from kerasrun.experiment.load import parse
from kerasrun.experiment.resolved import _Dumper, as_plain, resolved_yaml
from kerasrun.text.problems import Text
from kerasrun.text.yaml_text import parse as parse_yaml
from kerasrun.text.yaml_text import plain, split_lines

SMALLEST = "data: {folder: {path: x}}\nmodel: Small\n"


def dumped(values):
    return yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


def test_every_default_is_written_and_paths_are_absolute():
    written = as_plain(parse(SMALLEST, "/configs/e.yaml").experiment)
    assert written["name"] == "e"
    assert written["data"] == {
        "folder": {
            **{"limit": None, "path": "/configs/x"},
            **{"image_size": None, "color_mode": "rgb", "classes": None, "shuffle": True},
        }
    }
    assert written["model"] == {"Small": {"units": 8, "dropout": 0.0}}
    assert written["compile"] == {
        "optimizer": "Adam",
        "loss": None,
        "loss_weights": None,
        "metrics": None,
        "jit_compile": "auto",
    }
    assert written["fit"]["batch_size"] == 32


def test_layers_are_written_as_the_list_they_are():
    layers = "data: {folder: {path: x}}\nmodel: {layers: [{Dense: {units: 3, name: a}}, {Add: {inputs: [a, a]}}]}\n"
    experiment = parse(layers, "/configs/e.yaml").experiment
    assert as_plain(experiment)["model"] == {
        "layers": [{"Dense": {"units": 3, "name": "a"}}, {"Add": {"inputs": ["a", "a"]}}],
        "outputs": None,
    }
    assert parse(resolved_yaml(experiment), "/elsewhere/f.yaml").experiment == experiment


def test_weights_are_written_under_the_names_of_their_classes():
    experiment = parse(SMALLEST + "fit: {class_weight: {1.10: 2, no: 0.5}}\n", "/configs/e.yaml").experiment
    assert as_plain(experiment)["fit"]["class_weight"] == {"1.10": 2.0, "no": 0.5}
    assert parse(resolved_yaml(experiment), "/elsewhere/f.yaml").experiment == experiment


def test_text_of_the_command_line_is_written_like_any_other():
    experiment = parse(SMALLEST, "/configs/e.yaml", ["callbacks=[{CSVLogger: {filename: a.csv}}]"]).experiment
    assert "filename: a.csv\n" in resolved_yaml(experiment)


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=10,
)


@settings(deadline=None)
@given(VALUES)
def test_every_value_that_is_written_is_read_back(value):
    problems = []
    content = dumped({"a": value})
    assert plain(parse_yaml(content, Text("e", split_lines(content)), problems)) == {"a": value}
    assert problems == []


def test_text_is_quoted_where_another_program_would_misread_it():
    assert dumped(["no", "0001", "12:30:00", "1e-3", "a"]) == "['no', '0001', '12:30:00', '1e-3', a]\n"


def test_not_a_number_is_read_back():
    content = dumped([math.nan])
    assert math.isnan(plain(parse_yaml(content, Text("e", ()), []))[0])


NAMES = st.text("abc019._ -", min_size=1, max_size=6).filter(lambda name: name[0].isalnum())
METRICS = st.lists(st.sampled_from(["accuracy", "AUC", {"F1Score": {"average": "macro"}}, {"mse": {"name": "1e-3"}}]))
EXPERIMENTS = st.fixed_dictionaries(
    {
        "data": st.fixed_dictionaries(
            {"path": st.just("no")},
            optional={"classes": st.lists(NAMES, max_size=3), "image_size": st.tuples(st.integers(), st.integers())},
        ).map(lambda fields: {"folder": fields}),
        "model": st.one_of(
            st.just("Small"),
            st.floats(0, 0.99).map(lambda share: {"Small": {"dropout": share}}),
            st.just({"layers": [{"Dense": {"units": 3, "name": "0001"}}, {"Add": {"inputs": ["0001", "input"]}}]}),
        ),
    },
    optional={
        "name": NAMES,
        "seed": st.integers(0, 2**32 - 1),
        "compile": st.fixed_dictionaries(
            {"metrics": METRICS, "optimizer": st.floats(1e-9, 1e9).map(lambda rate: {"SGD": {"learning_rate": rate}})}
        ),
        "fit": st.fixed_dictionaries({"epochs": st.integers(1), "validation_split": st.floats(0.01, 0.99)}),
        "callbacks": st.just(["TensorBoard", {"EarlyStopping": {"monitor": "val_loss"}}]),
        "device": st.sampled_from(["cpu", [0, 1]]),
    },
)


@settings(deadline=None)
@given(EXPERIMENTS)
def test_the_resolved_experiment_reads_back_to_the_same(document):
    document = yaml.safe_load(yaml.safe_dump(document | {"data": _listed(document["data"])}))
    experiment = parse(dumped(document), "/configs/e.yaml").experiment
    assert parse(resolved_yaml(experiment), Path("/elsewhere/f.yaml")).experiment == experiment
    assert isinstance(experiment.compile.optimizer, Component)


def _listed(data):
    fields = data["folder"]
    return {"folder": {key: list(value) if isinstance(value, tuple) else value for key, value in fields.items()}}
