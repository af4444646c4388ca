"""A plugin is checked before it is run: its file, its names, their arguments."""

import sys

import pytest

from kerasrun import plugins
from kerasrun.errors import ExperimentError, PluginError
from kerasrun.experiment.load import parse

PLUGIN = """
raise AssertionError("a check has run the file")
import keras
import tensorflow as tf
from keras import layers, saving
from keras.callbacks import Callback, EarlyStopping


@keras.saving.register_keras_serializable()
class Scale(layers.Dense):
    def __init__(self, factor, **kwargs):
        super().__init__(**kwargs)


@saving.register_keras_serializable(package="own")
class Own(tf.keras.losses.Loss):
    def __init__(self, sharpness=1.0, name="own"):
        super().__init__(name=name)


class Unregistered(keras.Layer):
    pass


@saving.register_keras_serializable()
class Nameless(keras.metrics.Metric):
    def __init__(self):
        super().__init__()


@saving.register_keras_serializable()
def mine(y_true, y_pred):
    pass


def warm(epoch, lr, factor=2.0):
    pass


class Kept(Callback):
    def get_state(self): ...
    def set_state(self, state): ...


class Free(Callback):
    stateless = True


class Forgetful(EarlyStopping):
    pass


class Deaf(Kept):
    def on_test_batch_end(self, batch, logs=None): ...
"""


@pytest.fixture
def read(tmp_path):
    """Check an experiment beside `own.py`; returns its problems without the lines that show them."""
    (tmp_path / "own.py").write_text(PLUGIN)

    def problems(text):
        try:
            parse(f"data: {{folder: {{path: x}}}}\nmodel: Small\nplugins: [own.py]\n{text}", tmp_path / "e.yaml")
        except ExperimentError as error:
            return [line for line in str(error).splitlines() if "e.yaml:" in line]
        return []

    yield problems
    plugins.use(())


@pytest.mark.parametrize(
    "text",
    [
        "preprocessing: [{Scale: {factor: 2, units: 3, name: scaled}}]",
        "compile: {loss: {Own: {sharpness: 2}}, metrics: [mine, {mine: {name: again}}]}",
        "callbacks: [Kept, Free, {LearningRateScheduler: {schedule: {warm: {factor: 3}}}}]",
        "compile: {metrics: [mine]}\ncallbacks: [{EarlyStopping: {monitor: mine, mode: max}}]",
    ],
)
def test_what_a_plugin_has_is_named_like_keras_s_own(read, text):
    assert read(text) == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("preprocessing: [{Scale: {units: 3}}]", "4:18: preprocessing.0.Scale: 'factor' is missing"),
        ("preprocessing: [{Scale: {factr: 3, units: 3}}]", "of own.Scale; did you mean 'factor'?"),
        ("preprocessing: [Scal]", "unknown layer 'Scal'; expected a name of keras.layers; did you mean 'Scale'?"),
        ("compile: {loss: {Own: {sharpness: very}}}", "received the text 'very'; expected a number"),
        ("compile: {loss: {mine: {smooth: 1}}}", "the argument 'smooth' of mine; expected none"),
        (
            "preprocessing: [Unregistered]",
            "line 21 of own.py: put @keras.saving.register_keras_serializable() above it",
        ),
        ("compile: {metrics: [Nameless]}", "its __init__ must take a name"),
        ("callbacks: [Forgetful]", "a resumed run could not continue it: give it get_state()"),
        ("callbacks: [Deaf]", "its on_test_batch_end would never be called"),
        ("compile: {metrics: [mine]}\ncallbacks: [{EarlyStopping: {monitor: mine}}]", "does not know whether more is"),
        ("callbacks: [{LearningRateScheduler: {schedule: {warm: {lr: 3}}}}]", "unknown argument 'lr' of warm"),
    ],
)
def test_a_mistake_with_it_is_told_at_its_place(read, text, told):
    (line,) = read(text)
    assert told in line


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "own.py: no such file; expected a Python file"),
        ("def (", "own.py: no Python in line 1: invalid syntax"),
        ("x = 1", "own.py: nothing in it can be named"),
        ("import keras\nclass Dense(keras.layers.Layer): ...", "line 2: keras.layers has a Dense too; give 'Dense' an"),
        ("import keras\nclass DiceLoss(keras.losses.Loss): ...", "line 2: keras.losses has a DiceLoss too"),
    ],
)
def test_a_file_that_cannot_serve_is_told(read, tmp_path, content, told):
    (tmp_path / "own.py").unlink()
    if content is not None:
        (tmp_path / "own.py").write_text(content)
    (line,) = read("")
    assert "e.yaml:3:11: plugins.0: " in line
    assert told in line


def test_a_file_of_another_name_is_no_python(tmp_path):
    (tmp_path / "own.txt").write_text("x = 1")
    with pytest.raises(PluginError, match=r"whose name ends in \.py"):
        plugins.read(tmp_path / "own.txt")


def test_names_are_those_of_the_experiment_at_hand_alone(read, tmp_path):
    assert read("compile: {loss: Own}") == []
    with pytest.raises(ExperimentError, match="unknown loss 'Own'"):
        parse("data: {folder: {path: x}}\nmodel: Small\ncompile: {loss: Own}", tmp_path / "e.yaml")


def test_what_was_checked_is_run_and_kept_whatever_becomes_of_the_file(tmp_path):
    file = tmp_path / "edited.py"
    file.write_text("VALUE = 1\ndef edited_rate(epoch): return VALUE\n")
    loaded = parse("plugins: [edited.py]\ndata: {folder: {path: x}}\nmodel: Small", tmp_path / "e.yaml")
    file.write_text("VALUE = 2\n")
    plugins.load()
    (plugin,) = plugins.in_use()
    assert sys.modules[plugin.module].VALUE == 1
    assert plugin.content.startswith(b"VALUE = 1")
    assert loaded.text.startswith("plugins:")


def test_a_file_that_is_named_many_times_is_read_once(tmp_path, monkeypatch):
    (tmp_path / "own.py").write_text("no Python")
    read, count = plugins.read, []
    monkeypatch.setattr(plugins, "read", lambda file: (count.append(file), read(file))[1])
    named = ", ".join(["own.py"] * 3)
    with pytest.raises(ExperimentError, match=r"no Python(.|\n)*a second plugin of this name(.|\n)*plugins\.2"):
        parse(f"data: a\nmodel: b\nplugins: [{named}]\n", tmp_path / "e.yaml")
    assert len(count) == 1
