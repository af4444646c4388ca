"""Data that a function or a class of a plugin gives."""

import re

import numpy as np
import pytest

import kerasrun
from kerasrun.errors import DataError, ExperimentError, PluginError
from kerasrun.experiment.load import parse
from kerasrun.experiment.resolved import resolved_yaml
from kerasrun.reading.memory import kept_within
from kerasrun.results.prediction import predict
from kerasrun.sources.npz import Npz
from tests.training.exactness import variables_digest
from tests.training.whole_and_cut import train_whole_and_cut

PLUGIN = """
from pathlib import Path

import numpy as np


class Rows:
    def __init__(self, array):
        self.array, self.shape, self.dtype = array, array.shape, array.dtype

    def __getitem__(self, number):
        assert type(number) is int
        return self.array[number]


def waves(split, file: Path, scale=1.0, how="array"):
    arrays = np.load(file)
    if f"x_{split}" not in arrays:
        return None
    x, y = scale * arrays[f"x_{split}"], arrays[f"y_{split}"]
    if how == "broken":
        return x / "two", y
    if how == "generator":
        return (pair for pair in zip(x, y))
    if how == "alone":
        return x
    return Rows(x) if how == "rows" else x, y
"""
EXPERIMENT = """
plugins: [own.py]
data: {waves: {file: x.npz}}
model: {layers: [Conv1D: {filters: 4, kernel_size: 3}, GlobalMaxPooling1D, Dropout: {rate: 0.2}]}
fit: {epochs: 3, batch_size: 25}
"""


@pytest.fixture
def folder(tmp_path):
    random = np.random.default_rng(1)
    y = np.arange(60) % 2
    x = random.normal(size=(60, 8, 3)) + y[:, None, None]
    np.savez(tmp_path / "x.npz", x_train=x, y_train=y, x_test=x[:9], y_test=y[:9])
    np.save(tmp_path / "x.npy", x[:9])
    (tmp_path / "own.py").write_text(PLUGIN)
    return tmp_path


def source(folder, keys="file: x.npz"):
    return parse(EXPERIMENT.replace("file: x.npz", keys), folder / "run.yaml").experiment.data


def test_it_gives_the_data_that_the_same_arrays_in_a_file_give(folder):
    expected = Npz(path=folder / "x.npz", examples="sequences").open()
    for keys in ("file: x.npz", "file: x.npz, how: rows", "{file: x.npz, scale: 1, limit: 100}"[1:-1]):
        assert source(folder, keys).open().fingerprint == expected.fingerprint
    assert source(folder, "file: x.npz, scale: 2").open().fingerprint != expected.fingerprint


def test_its_keys_survive_the_resolved_experiment(folder):
    experiment = parse(EXPERIMENT, folder / "run.yaml").experiment
    assert experiment.data.file == folder / "x.npz"
    assert parse(resolved_yaml(experiment), "other.yaml").experiment == experiment


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("generator", "gives a generator, which a resumed run could not take up"),
        ("alone", r"gives ndarray; expected \(x, y\)"),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_reason(folder, how, words):
    with pytest.raises(DataError, match=rf"own\.py:16: waves\('train'\): {words}"):
        source(folder, f"file: x.npz, how: {how}").open()


def test_an_error_in_it_is_told_with_its_line(folder):
    with pytest.raises(PluginError, match=r"own\.py:22: "):
        source(folder, "file: x.npz, how: broken").open()


@pytest.mark.parametrize(
    ("keys", "plugin", "words"),
    [
        ("scale: 2", PLUGIN, r"e\.yaml:3:8: data\.waves"),
        ("file: x, scales: 2", PLUGIN, "did you mean 'scale'"),
        (
            "file: x, scale: two",
            PLUGIN.replace("scale=", "scale: float = "),
            "e.yaml:3:32: .*received 'two'; expected a number",
        ),
        ("file: x", PLUGIN + "import keras\n", "line 28 of own.py imports Keras"),
        ("file: x", PLUGIN.replace("scale", "limit"), "the argument 'limit' of waves is a name"),
        ("file: x", PLUGIN.replace("how", "open"), "the argument 'open' of waves is a name"),
        ("file: x", PLUGIN.replace("how", "kind"), "the argument 'kind' of waves is a name"),
        ("file: x", PLUGIN.replace("how", "_how"), "the argument '_how' of waves is a name"),
    ],
)
def test_what_is_wrong_is_told_by_the_text(folder, keys, plugin, words):
    (folder / "own.py").write_text(plugin)
    with pytest.raises(ExperimentError, match=words):
        parse(EXPERIMENT.replace("file: x.npz", keys), folder / "e.yaml")


def test_the_next_experiment_does_not_have_it(folder):
    assert source(folder).kind == "waves"
    with pytest.raises(ExperimentError, match="unknown kind of data 'waves'"):
        parse(EXPERIMENT.replace("plugins: [own.py]", ""), folder / "run.yaml")


@pytest.mark.tensorflow
def test_a_run_of_it_is_exact_evaluates_and_predicts(folder):
    train_whole_and_cut(folder, EXPERIMENT)
    (folder / "own.py").unlink()  # the run has a copy
    run = kerasrun.resume(folder / "cut" / "run-1")
    assert variables_digest(run.last_model) == variables_digest(folder / "whole" / "run-1" / "last.keras")
    (folder / "run.yaml").write_text(EXPERIMENT.replace("waves: {file:", "npz: {path:"))
    (folder / "own.py").write_text(PLUGIN)
    of_file = kerasrun.train(folder / "run.yaml", output=folder / "of_file")
    assert variables_digest(run.last_model) == variables_digest(of_file.last_model)
    assert kerasrun.evaluate(run).metrics == kerasrun.evaluate(of_file).metrics
    assert len(predict(folder / "x.npy", model=run.last_model)) == 9


@pytest.mark.long
@pytest.mark.tensorflow
def test_a_resume_refuses_data_that_are_not_the_same_again(folder):
    (folder / "own.py").write_text(PLUGIN.replace("scale * arrays", "np.random.default_rng().random() * arrays"))
    train_whole_and_cut(folder, EXPERIMENT)
    with pytest.raises(kerasrun.errors.KerasrunError, match=r"data \w+ → \w+"):
        kerasrun.resume(folder / "cut" / "run-1")


OWN = """
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, field_validator

from kerasrun.sources import Source

STEPS = 8


class Rows:
    def __init__(self, array, how):
        self.array, self.how, self.shape, self.dtype = array, how, array.shape, array.dtype

    def __getitem__(self, number):
        if self.how == "fewer" and number > 50:
            return self.array[number + 1000]
        if self.how == "raises" and number == 7:
            raise OSError("the sensor is gone")
        if self.how == "shape" and number == 7:
            return self.array[number][0]
        return self.array[number].astype("S" if self.how == "text" else self.dtype)


class Waves(Source):
    file: Path
    steps: Annotated[int, Field(ge=2)] = STEPS
    how: Literal["array", "rows", "fewer", "raises", "shape", "text", "labels", "objects"] = "array"
    named: "str | None" = Field(None, max_length=3)

    @field_validator("named")
    def _is_lower(cls, named):
        if named and not named.islower():
            raise ValueError("must be lower")
        return named

    @cached_property
    def read(self):
        return np.load(self.file)

    def arrays(self, split):
        if split == "validation":
            return None
        x, y = self.read[f"x_{split}"][:, : self.steps], self.read[f"y_{split}"]
        if self.how == "labels":
            return x, y[1:]
        if self.how == "objects":
            return x.astype(object), y
        return (x if self.how == "array" else Rows(x, self.how)), y


class Levels(Waves):
    labels: Literal["numbers"] = "numbers"
"""
OWN_EXPERIMENT = EXPERIMENT.replace("waves", "Waves")


@pytest.fixture
def own(folder):
    (folder / "own.py").write_text(OWN)
    return folder


def own_source(own, keys="file: x.npz", name="Waves"):
    return parse(OWN_EXPERIMENT.replace("file: x.npz", keys).replace("Waves", name), own / "run.yaml").experiment.data


def test_a_class_gives_the_data_that_the_same_arrays_in_a_file_give(own):
    expected = Npz(path=own / "x.npz", examples="sequences").open().fingerprint
    for keys in ("file: x.npz", "file: x.npz, how: rows", "file: x.npz, steps: 8, named: no"):
        assert own_source(own, keys).open().fingerprint == expected
    assert own_source(own, name="waves").open().fingerprint == expected
    assert own_source(own, "file: x.npz, steps: 5").open().splits["test"].inputs.example_shape == (5, 3)
    assert own_source(own, "file: x.npz, limit: 10").open().splits["train"].inputs.example_shape == (8, 3)
    levels = own_source(own, name="levels")
    assert (levels.label_kind, levels.open().label_kind) == ("numbers", "numbers")
    experiment = parse(OWN_EXPERIMENT, own / "run.yaml").experiment
    assert parse(resolved_yaml(experiment), "other.yaml").experiment == experiment


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ("steps: 2", r"e\.yaml:3:8: data\.Waves.*'file' is missing"),
        ("file: x, step: 2", r"e\.yaml:3:25: data\.Waves\.step: unknown key .step.; .*did you mean 'steps'"),
        ("file: x, steps: 1", r"e\.yaml:3:32: data\.Waves\.steps: received 1; expected a whole number of at least 2"),
        ("file: x, steps: many", "received .many.; expected a whole number"),
        ("file: [x]", "expected a path"),
        ("file: x, how: row", "did you mean 'rows'"),
        ("file: x, named: four", "data.Waves.named: received 'four'"),
        ("file: x, labels: number", "did you mean 'numbers'"),
    ],
)
def test_the_keys_of_a_class_are_checked_like_those_of_the_package(own, keys, words):
    with pytest.raises(ExperimentError, match=words):
        parse(OWN_EXPERIMENT.replace("file: x.npz", keys), own / "e.yaml")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("sources import", "sources.base import", r"own\.py:44: derive Waves from kerasrun\.sources\.Source"),
        ("def arrays", "def array", r"own\.py:28: Waves needs arrays\(self, split\)"),
        ("steps: Ann", "open: Ann", "the field 'open' of Waves is a name that all data have"),
        ("STEPS =", "import keras\nSTEPS =", "line 11 of own.py imports Keras"),
    ],
)
def test_a_class_that_cannot_be_used_is_told_by_the_text(own, old, new, words):
    (own / "own.py").write_text(OWN.replace(old, new))
    with pytest.raises(ExperimentError, match=words):
        parse(OWN_EXPERIMENT, own / "e.yaml")


def test_a_check_runs_nothing_of_the_plugin(own):
    (own / "own.py").write_text(OWN.replace("STEPS = 8", "raise SystemExit"))
    assert own_source(own).steps is None


@pytest.mark.parametrize("memory", [0, 10**8])
@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ("how: fewer", r"own\.py:20: IndexError: index 1051 is out of bounds"),
        ("how: raises", r"own\.py:22: OSError: the sensor is gone"),
        (
            "how: shape",
            r"own\.py:44: Waves\('train'\): x\[7\]: gives float64 of shape \(3,\); expected .* \(8, 3\)",
        ),
        ("how: text", r"own\.py:44: Waves\('train'\): x\[0\]: gives \|S\d+ of shape \(8, 3\); expected float64"),
        ("how: labels", r"own\.py:44: Waves\('train'\): x has 60 examples, but .*y has 59 labels"),
        ("how: objects", r"own\.py:44: Waves\('train'\): x: holds object; expected numbers"),
        ("named: Ab", r"own\.py:44: named: Value error, must be lower"),
        ("{file: none.npz}"[1:-1], r"own\.py:\d+: FileNotFoundError"),
    ],
)
def test_a_wrong_class_is_the_users_error_in_its_line(own, keys, words, memory):
    keys = keys if "file" in keys else f"file: x.npz, {keys}"
    with kept_within(memory), pytest.raises((DataError, PluginError), match=words):
        own_source(own, keys).open()


@pytest.mark.parametrize("place", ["STEPS = 8", "return self.array[number][0]"])
def test_a_plugin_that_ends_the_process_is_told_in_its_line(own, place):
    (own / "own.py").write_text(OWN.replace(place, f"{'STEPS = 8; ' * ('STEPS' in place)}raise SystemExit(7)"))
    with pytest.raises(PluginError, match=r"own\.py:\d+: .*SystemExit: 7"):
        own_source(own, "file: x.npz, how: shape").open()


@pytest.mark.parametrize("shape", ["()", "(-3, 8, 3)", "(60, -8, 3)"])
def test_a_shape_that_no_examples_have_is_refused(own, shape):
    (own / "own.py").write_text(OWN.replace("return (x if", f"x = Rows(x, self.how); x.shape = {shape}; return (x if"))
    with pytest.raises(DataError, match=rf"own\.py:44: Waves\('train'\): x: its shape is {re.escape(shape)}"):
        own_source(own).open()


@pytest.mark.long
@pytest.mark.tensorflow
@pytest.mark.parametrize("memory", ["", "cache: {memory: 0}\n"])
def test_a_run_of_a_class_is_exact_evaluates_predicts_and_is_inspected(own, memory):
    text = f"{OWN_EXPERIMENT.replace('x.npz', 'x.npz, how: rows')}{memory}"
    train_whole_and_cut(own, text)
    (own / "own.py").unlink()  # the run has a copy
    run = kerasrun.resume(own / "cut" / "run-1")
    assert variables_digest(run.last_model) == variables_digest(own / "whole" / "run-1" / "last.keras")
    (own / "of_file.yaml").write_text(
        EXPERIMENT.replace("waves: {file:", "npz: {path:").replace("plugins: [own.py]", "")
    )
    of_file = kerasrun.train(own / "of_file.yaml", output=own / "of_file")
    assert variables_digest(run.last_model) == variables_digest(of_file.last_model)
    assert run.metrics_file.read_bytes() == of_file.metrics_file.read_bytes()
    assert kerasrun.evaluate(run).metrics == kerasrun.evaluate(of_file).metrics
    assert len(predict(own / "x.npy", model=run.last_model)) == 9
    (own / "own.py").write_text(OWN)
    seen = kerasrun.inspect(own / "run.yaml")
    assert seen.counts == {"train": 60, "test": 9}
    assert [found.kind for found in seen.findings if found.crosses_splits] == ["duplicates_across_splits"]
