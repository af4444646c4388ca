"""What every callback promises; its own test file, found by its name, has the sample of its arguments."""

import importlib
import json
import pkgutil
import shutil

import pytest

import kerasrun
from kerasrun import callbacks
from kerasrun.callbacks import CallbackState, adapters, build_callbacks
from kerasrun.components import Component
from kerasrun.errors import ExperimentError
from kerasrun.experiment.load import parse
from kerasrun.experiment.refused import refusal
from kerasrun.families import members
from kerasrun.keras_catalogue import names, signature
from kerasrun.runs import checkpoints
from kerasrun.runs.directory import open_run
from tests.training.conftest import DIGITS, train_small, write_digits
from tests.training.test_extending import evidence
from tests.training.whole_and_cut import train_whole_and_cut

MODULES = {name: kind.__module__.rpartition(".")[2] for name, kind in adapters().items()}
SAMPLES = {
    name: importlib.import_module(f"tests.callbacks.test_{module}").SAMPLE for name, module in sorted(MODULES.items())
}
EXPERIMENT = f"""
data: {{npz: {{path: digits.npz}}}}
model: {{MLP: {{units: [4]}}}}
compile: {{optimizer: {{SGD: {{learning_rate: 0.01, use_ema: true}}}}}}
fit: {{batch_size: 300, epochs: 4, validation_data: test}}
callbacks: {json.dumps([{name: sample} for name, sample in SAMPLES.items()])}
"""
FILES = [(name, kind.file) for name, kind in adapters().items() if kind.file]


def build(folder, name):
    (adapter,) = build_callbacks([Component(name, SAMPLES[name])], folder)
    return adapter


def test_the_family_is_all_of_keras_s_that_an_experiment_may_name():
    assert len(SAMPLES) >= 8
    assert sorted(MODULES.values()) == members(callbacks.__path__)
    assert sorted(SAMPLES) == sorted(name for name in names("callbacks") if not refusal("callbacks", name))


@pytest.mark.parametrize("name", SAMPLES)
def test_a_file_has_the_name_of_its_callback(name):
    assert MODULES[name].replace("_", "") == name.lower()


@pytest.mark.parametrize("name", SAMPLES)
def test_what_it_says_of_its_arguments_is_true_of_keras(name):
    known, kind = signature("callbacks", name), adapters()[name]
    taken = {one.name for one in known.parameters}
    assert ({"monitor"} <= taken) == kind.monitors
    assert kind.file is None or kind.file in taken
    assert kind.default_file is None or kind.file is not None


def test_the_samples_are_experiments():
    assert [one.name for one in parse(EXPERIMENT, "e.yaml").experiment.callbacks] == list(SAMPLES)


@pytest.mark.parametrize(("name", "file"), FILES)
@pytest.mark.parametrize("path", ["../out", "/out", "run.json", "plots"])
def test_no_file_leaves_the_run_or_is_one_of_kerasrun(name, file, path):
    with pytest.raises(ExperimentError, match=rf"callbacks\.0\.{name}\.{file}: received '{path}"):
        parse(EXPERIMENT, "e.yaml", [f"callbacks={json.dumps([{name: SAMPLES[name] | {file: path}}])}"])


@pytest.mark.tensorflow
@pytest.mark.parametrize(("name", "file"), FILES)
def test_its_file_is_in_the_run(tmp_path, name, file):
    written = getattr(build(tmp_path, name).callback, file)
    assert written == str(tmp_path / SAMPLES[name].get(file, adapters()[name].default_file))


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", SAMPLES)
def test_its_state_is_plain_and_comes_back(tmp_path, name):
    import keras

    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    kept, fresh = build(tmp_path, name), build(tmp_path, name)
    for one in (kept, fresh):
        for folder in one.folders():
            folder.mkdir(parents=True, exist_ok=True)
        one.callback.set_model(model)
        one.callback.on_train_begin()
        one.callback.on_epoch_begin(0)
        assert all(hasattr(one.callback, field) for field in (*one.state, *one.weights))
    for number, field in enumerate(kept.state):
        now = getattr(kept.callback, field)
        setattr(kept.callback, field, not now if isinstance(now, bool) else number)
    values = json.loads(json.dumps(CallbackState([kept]).values()))
    assert list(values[0]) == ["callback", *kept.state]
    CallbackState([fresh]).restore(values, CallbackState([kept]).arrays())
    assert CallbackState([fresh]).values() == values
    for one in (kept, fresh):
        one.flush()
        one.close()


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A run with every callback that was left alone, and one that was stopped after its second epoch and resumed."""
    folder = tmp_path_factory.mktemp("callbacks")
    shutil.copy(DIGITS, folder)
    train_whole_and_cut(folder, EXPERIMENT)
    whole, cut = (open_run(folder / which / "run-1") for which in ("whole", "cut"))
    kerasrun.resume(cut)
    return whole, cut


@pytest.mark.tensorflow
def test_a_resumed_run_is_the_run_that_was_left_alone(runs):
    whole, cut = map(evidence, runs)
    assert [one["callback"] for one in whole["callbacks"]] == list(SAMPLES)
    assert cut == whole


@pytest.mark.long
@pytest.mark.tensorflow
def test_what_grows_is_recorded_and_as_long_after_a_resume(runs):
    whole, cut = (checkpoints.newest(run).progress["outputs"] for run in runs)
    assert whole.keys() == cut.keys()
    assert len(whole) > 1
    assert (runs[0].root / "log.csv").read_bytes() == (runs[1].root / "log.csv").read_bytes()


SCRATCH = '''
"""History: what fit returns."""

from kerasrun.callbacks.base import Adapter


class History(Adapter):
    """Kept in memory."""

    name = "History"
    state = ("epoch",)
'''


@pytest.fixture
def scratch(tmp_path, monkeypatch):
    """One more file in the family's folder; Keras has its callback, which experiments may not name otherwise."""
    import sys

    from kerasrun.experiment import refused

    (tmp_path / "history.py").write_text(SCRATCH)
    monkeypatch.setattr(callbacks, "__path__", [*callbacks.__path__, str(tmp_path)])
    monkeypatch.delitem(refused._REFUSED["callbacks"], "History")
    adapters.cache_clear()
    yield tmp_path
    adapters.cache_clear()
    sys.modules.pop("kerasrun.callbacks.history", None)
    vars(callbacks).pop("history", None)


def test_the_folder_of_the_family_is_listed():
    found = {info.name for info in pkgutil.iter_modules(callbacks.__path__)}
    assert set(MODULES.values()) == {name for name in found if name != "base" and not name.startswith("_")}


@pytest.mark.tensorflow
def test_one_new_file_is_a_new_member(scratch):
    write_digits(scratch)
    run = train_small(scratch, "fit: {epochs: 2}\ncallbacks: [History]")
    assert checkpoints.newest(run).progress["callbacks"] == [{"callback": "History", "epoch": [0, 1]}]


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", SAMPLES)
def test_steps_are_fused_beside_it(tmp_path, name):
    """With the arguments of its sample: those that ask for every step are in its own test file."""
    assert build(tmp_path, name).needs_every_step() is False
