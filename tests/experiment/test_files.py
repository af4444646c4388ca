import os
from pathlib import Path

import pytest

from kerasrun.components import Component
from kerasrun.errors import ExperimentError
from kerasrun.experiment.files import on_its_bases, parse_text
from kerasrun.experiment.load import load, parse
from kerasrun.experiment.resolved import as_plain, resolved_yaml
from kerasrun.text.yaml_text import plain

SMALLEST = "data: {folder: {path: x}}\nmodel: Small\n"


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def write(tmp_path, **files):
    for name, content in files.items():
        file = tmp_path / f"{name.replace('__', '/')}.yaml"
        file.parent.mkdir(exist_ok=True)
        file.write_text(content)


def told(file, *settings):
    with pytest.raises(ExperimentError) as error:
        load(file, settings)
    return str(error.value)


def places(text):
    return [line.split(" ")[0] for line in text.splitlines() if not line.startswith(" ") and ": " in line]


def test_of_several_files_the_one_that_builds_on_the_others_wins(tmp_path):
    write(
        tmp_path,
        a=SMALLEST + "seed: 1\nfit: {epochs: 1, batch_size: 1}\n",
        b="seed: 2\nfit: {epochs: 2}\n",
        e="base: [a.yaml, b.yaml]\nfit: {validation_split: 0.3}\n",
    )
    experiment = load("e.yaml", ["seed=4"]).experiment
    assert (experiment.name, experiment.seed) == ("e", 4)
    assert (experiment.fit.epochs, experiment.fit.batch_size, experiment.fit.validation_split) == (2, 1, 0.3)


def test_a_base_may_have_a_base_and_each_file_counts_once(tmp_path):
    write(
        tmp_path,
        common=SMALLEST + "seed: 1\nname: common\n",
        a="base: common.yaml\nseed: 2\n",
        b="base: common.yaml\nfit: {epochs: 3}\n",
        e="base: [a.yaml, b.yaml]\n",
    )
    loaded = load("e.yaml")
    assert (loaded.experiment.seed, loaded.experiment.fit.epochs, loaded.experiment.name) == (2, 3, "common")
    assert [base.path.name for base in loaded.bases] == ["common.yaml", "a.yaml", "b.yaml"]
    assert loaded.bases[1].text == "base: common.yaml\nseed: 2\n"


@pytest.mark.parametrize(
    ("below", "above", "expected"),
    [
        ("optimizer: {Adam: {beta_1: 0.8}}", "optimizer: SGD", Component("SGD")),
        (
            "optimizer: {Adam: {beta_1: 0.8}}",
            "optimizer: {Adam: {learning_rate: 1}}",
            Component("Adam", {"learning_rate": 1}),
        ),
        ("optimizer: {class_name: SGD, config: {}}", "optimizer: {SGD: {momentum: 0.5}}", None),
        ("optimizer: SGD", "optimizer: null", Component("Adam")),
        ("optimizer: SGD", "metrics: [mse]", Component("SGD")),
    ],
)
def test_a_component_is_replaced(tmp_path, below, above, expected):
    write(tmp_path, a=f"{SMALLEST}compile: {{{below}}}\n", e=f"base: a.yaml\ncompile: {{{above}}}\n")
    assert load("e.yaml").experiment.compile.optimizer == (expected or Component("SGD", {"momentum": 0.5}))


def test_so_are_a_list_the_data_and_the_network(tmp_path):
    write(
        tmp_path,
        a="data: {folder: {path: x, color_mode: grayscale}}\nmodel: {Small: {units: 3}}\ncallbacks: [TensorBoard]\n",
        e="base: a.yaml\ndata: {folder: {path: y}}\nmodel: {Small: {dropout: 0.5}}\ncallbacks: [TerminateOnNaN]\n",
    )
    experiment = load("e.yaml").experiment
    assert experiment.data.color_mode == "rgb"
    assert (experiment.model.units, experiment.model.dropout) == (8, 0.5)
    assert experiment.callbacks == (Component("TerminateOnNaN"),)


LAYERS = "{Dense: {units: 1, name: p}}, {Dense: {units: 1, name: h, inputs: [input]}}"


def test_weights_and_what_is_said_for_each_output_are_put_together_by_name(tmp_path):
    document = put_together(
        tmp_path,
        f"model: {{layers: [{LAYERS}], outputs: [p, h]}}\nfit: {{class_weight: {{cat: 2, dog: 3}}}}\n"
        "compile: {loss: {p: mse, h: {Huber: {delta: 2}}}, "
        "loss_weights: {p: 2, h: 3}, metrics: {p: [mse], h: [mae]}}\n",
        "fit: {class_weight: {dog: 1, cow: 4, cat: null}}\n"
        "compile: {loss: {h: Huber}, loss_weights: {h: 1}, metrics: {h: [mape]}}\n",
    )
    assert document["fit"]["class_weight"] == {"dog": 1, "cow": 4}
    assert document["compile"] == {
        "loss": {"p": "mse", "h": "Huber"},
        "loss_weights": {"p": 2, "h": 1},
        "metrics": {"p": ["mse"], "h": ["mape"]},
    }


def test_a_loss_for_all_outputs_is_a_component(tmp_path):
    below, above = "compile: {loss: {Huber: {delta: 2}}}\n", "compile: {loss: {Tversky: {alpha: 1}}}\n"
    assert put_together(tmp_path, below, above)["compile"]["loss"] == {"Tversky": {"alpha": 1}}


def test_preprocessing_of_several_inputs_is_put_together_by_name(tmp_path):
    below, above = "preprocessing: {image: [Rescaling], x: []}\n", "preprocessing: {x: [Normalization]}\n"
    expected = {"image": ["Rescaling"], "x": ["Normalization"]}
    assert put_together(tmp_path, below, above)["preprocessing"] == expected


def put_together(tmp_path, below, above):
    write(tmp_path, a=below)
    problems = []
    root, _ = on_its_bases(parse_text(f"base: a.yaml\n{above}", "e.yaml", problems), Path("e.yaml"), problems)
    assert problems == []
    return plain(root)


@pytest.mark.parametrize("fit", ["null", "", "{epochs: null, batch_size: null}"])
def test_null_takes_a_value_away(tmp_path, fit):
    write(tmp_path, a=SMALLEST + "fit: {epochs: 3, batch_size: 3}\n", e=f"base: a.yaml\nfit: {fit}\n")
    assert load("e.yaml").experiment.fit == parse(SMALLEST, "e.yaml").experiment.fit


def test_a_path_is_relative_to_the_file_that_says_it(tmp_path, monkeypatch):
    monkeypatch.setenv("PART", "y")
    write(
        tmp_path, common__a='data: {folder: {path: "../${PART}"}}\nmodel: Small\n', mine__e="base: ../common/a.yaml\n"
    )
    assert load("mine/e.yaml").experiment.data.path.resolve() == tmp_path / "y"
    write(tmp_path, mine__e="base: ../common/a.yaml\ndata: {folder: {path: z}}\n")
    assert load("mine/e.yaml").experiment.data.path.resolve() == tmp_path / "mine" / "z"
    assert load("mine/e.yaml", ["data.folder.path=z"]).experiment.data.path == tmp_path / "z"


def test_a_plugin_of_a_base_is_found_beside_it(tmp_path):
    (tmp_path / "common").mkdir()
    decorator = "@keras.saving.register_keras_serializable()\n"
    (tmp_path / "common" / "own.py").write_text(
        f"import keras\n{decorator}def own_loss(y_true, y_pred): return y_pred\n"
    )
    write(tmp_path, common__a=SMALLEST + "plugins: [own.py]\n", e="base: common/a.yaml\ncompile: {loss: own_loss}\n")
    assert load("e.yaml").experiment.plugins == (tmp_path / "common" / "own.py",)


def test_each_of_three_files_is_named_for_its_own_mistake(tmp_path):
    write(
        tmp_path,
        common__lowest=SMALLEST + "fit:\n  epochs: ten\n  batch_size: 1\n",
        common__a="# as for all\nbase: lowest.yaml\ncompile: {optimizer: Admm}\n",
        e="base: common/a.yaml\nfit:\n  batch_size: 0\n",
    )
    assert told("e.yaml", "seed=x") == (
        "common/lowest.yaml:4:11: fit.epochs: received 'ten'; expected a whole number of at least 1\n"
        "      epochs: ten\n"
        "              ^\n"
        "common/a.yaml:3:22: compile.optimizer: unknown optimizer 'Admm'; expected a name of keras.optimizers; "
        "did you mean 'Adam'?\n"
        "    compile: {optimizer: Admm}\n"
        "                         ^\n"
        "e.yaml:3:15: fit.batch_size: received 0; expected a whole number of at least 1\n"
        "      batch_size: 0\n"
        "                  ^\n"
        "--set seed=x: column 6: seed: received 'x'; expected a whole number of at least 0 and below 4294967296\n"
        "    seed=x\n"
        "         ^\n"
        "4 problems"
    )


def test_what_is_no_yaml_is_told_of_every_base(tmp_path):
    write(tmp_path, a="fit: [1\n", b="- x\n", c="", e="base: [a.yaml, b.yaml, c.yaml, d.yaml]\nseeed: 1\n")
    assert places(told("e.yaml")) == ["c.yaml:1:1:", "b.yaml:1:1:", "a.yaml:1:6:", "e.yaml:1:32:"]


@pytest.mark.parametrize(
    ("base", "words"),
    [
        ("3", "e.yaml:1:7: base: received 3; expected the name of an experiment file, or a list of such names"),
        ("[a.yaml, {b: c}]", "e.yaml:1:16: base.1: received a mapping; expected the name"),
        ("aa.yaml", "e.yaml:1:7: base: aa.yaml: no such file; expected an experiment file; did you mean 'a.yaml'?"),
        ("folder", "e.yaml:1:7: base: folder: a folder; expected an experiment file"),
        ("~nosuchuser/a.yaml", "no such file"),
        (f"[{'a.yaml, ' * 51}]", "base.50: very many bases; expected at most 50 in all files"),
        ("${NONE_OF_IT}.yaml", "e.yaml:1:7: base: no environment variable NONE_OF_IT"),
    ],
)
def test_a_base_that_is_none_is_told_at_its_place(tmp_path, base, words):
    (tmp_path / "folder").mkdir()
    write(tmp_path, a=SMALLEST, e=f"base: {base}\n")
    assert words in told("e.yaml")
    assert told("e.yaml").count("e.yaml:1:") == 1


def test_a_circle_is_told_where_it_closes_and_by_all_its_files(tmp_path):
    write(tmp_path, b="base: e.yaml\n", c="base: b.yaml\n", e="base: c.yaml\n")
    (line, *_) = told("e.yaml").splitlines()
    assert line == (
        "b.yaml:1:7: base: a circle of files: e.yaml → c.yaml → b.yaml → e.yaml; "
        "expected files that do not build on themselves"
    )
    write(tmp_path, e="base: e.yaml\n")
    assert "e.yaml:1:7: base: a circle of files: e.yaml → e.yaml" in told("e.yaml")


@pytest.mark.long
def test_a_base_is_bounded_like_any_text_and_all_of_them_together(tmp_path):
    os.mkfifo(tmp_path / "pipe.yaml")
    write(tmp_path, e="base: pipe.yaml\n")
    assert "base: pipe.yaml: cannot be read: it is a named pipe, not a file" in told("e.yaml")
    values = f"x: [{'1,' * 40_000}1]\n"
    write(tmp_path, a=values, b=values, c=values, e="base: [a.yaml, b.yaml, c.yaml]\n")
    assert "e.yaml:1:24: base.2: very many values; expected at most 100,000 in all files" in told("e.yaml")
    for name in "ab":
        (tmp_path / f"{name}.yaml").write_text(SMALLEST + "#" * 2**23)
    write(tmp_path, c="{}", e="base: [c.yaml, a.yaml, b.yaml]\n")
    assert "e.yaml:1:24: base.2: b.yaml:1:1: has more than 8,388,5" in told("e.yaml")


def test_what_a_run_keeps_builds_on_nothing():
    text = parse(SMALLEST, "/e.yaml").experiment
    content = resolved_yaml(text) + "base: /etc/passwd\n"
    with pytest.raises(
        ExperimentError, match=r"resolved\.yaml:\d+:1: base: 'base' in this place; expected it in an exp"
    ):
        parse(content, "/run/resolved.yaml", alone=True)
    with pytest.raises(ExperimentError, match=r"--set base=a\.yaml: column 1: base: 'base' in this place"):
        parse(SMALLEST, "/e.yaml", ["base=a.yaml"])


def test_a_base_without_a_file_that_says_more_is_as_if_it_were_named_itself(tmp_path):
    write(tmp_path, a=SMALLEST + "compile: {loss: mse}\n", e="base: a.yaml\n")
    assert as_plain(load("e.yaml", ["name=a"]).experiment) == as_plain(load("a.yaml").experiment)
