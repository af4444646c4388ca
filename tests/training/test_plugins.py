"""A run with a plugin goes on by itself: it keeps the code, and refuses another one."""

import shutil
import signal

import pytest

import kerasrun
from kerasrun import model_file
from kerasrun.engine.state import from_hdf5
from kerasrun.errors import Interrupted, ModelFileError, PluginError, RunDirectoryError
from kerasrun.experiment.load import parse
from kerasrun.runs import checkpoints
from kerasrun.runs.directory import open_run
from kerasrun.runs.metrics import Table
from kerasrun.tasks.base import Output
from tests.training.conftest import DIGITS
from tests.training.exactness import variables_digest
from tests.training.test_extending import evidence
from tests.training.whole_and_cut import train_whole_and_cut

pytestmark = pytest.mark.tensorflow

PLUGIN = '''
import keras
from keras import ops


@keras.saving.register_keras_serializable(package="own")
class Noisy(keras.layers.Layer):
    """A trained factor and noise, which has random state."""

    def __init__(self, stddev, **kwargs):
        super().__init__(**kwargs)
        self.stddev = stddev
        self.noise = keras.layers.GaussianNoise(stddev)

    def build(self, shape):
        self.factor = self.add_weight(shape=(shape[-1],), initializer="ones", name="factor")

    def call(self, x, training=False):
        return self.factor * self.noise(x, training=training)

    def get_config(self):
        return {**super().get_config(), "stddev": self.stddev}


@keras.saving.register_keras_serializable(package="own")
def own_loss(y_true, y_pred):
    return ops.sum(ops.square(y_true - y_pred), axis=-1)


def falling(epoch, lr, factor=0.5):
    return lr * factor if epoch else lr


class Counting(keras.callbacks.Callback):
    """Stops training after three epochs, which only a state that came back can count."""

    def __init__(self):
        super().__init__()
        self.epochs = 0

    def on_epoch_end(self, epoch, logs=None):
        self.epochs += 1
        self.model.stop_training = self.epochs == 3

    def get_state(self):
        return {"epochs": self.epochs}

    def set_state(self, state):
        self.epochs = state["epochs"]
'''
LINE = PLUGIN[: PLUGIN.index("self.epochs += 1")].count("\n") + 1
EXPERIMENT = """
plugins: [own.py]
data: {npz: {path: digits.npz}}
model: {layers: [Flatten, {Noisy: {stddev: 0.1}}, {Dense: {units: 10, activation: softmax}}]}
compile: {loss: own_loss, metrics: [accuracy, own_loss], optimizer: {SGD: {learning_rate: 0.1}}}
fit: {batch_size: 300, epochs: 9, validation_data: test}
callbacks: [Counting, {LearningRateScheduler: {schedule: {falling: {factor: 0.25}}}}]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """`whole/run-1` was left alone, `cut/run-1` stopped after its second epoch; the user's file is gone."""
    folder = tmp_path_factory.mktemp("plugin")
    shutil.copy(DIGITS, folder)
    (folder / "own.py").write_text(PLUGIN)
    train_whole_and_cut(folder, EXPERIMENT)
    (folder / "own.py").unlink()
    shutil.copytree(folder / "cut", folder / "changed")
    return folder


@pytest.mark.long
def test_a_changed_plugin_refuses_the_resume(folder):
    run = open_run(folder / "changed" / "run-1")
    (run.plugins / "own.py").write_text(PLUGIN.replace("ops.square", "ops.abs"))
    with pytest.raises(RunDirectoryError, match=r"plugin own\.py [0-9a-f]{12} → [0-9a-f]{12}"):
        kerasrun.resume(run)


@pytest.mark.long
def test_a_run_goes_on_with_its_own_copy_to_the_same_bits(folder):
    whole, cut = open_run(folder / "whole" / "run-1"), open_run(folder / "cut" / "run-1")
    kerasrun.resume(cut)
    assert cut.metrics_file.read_bytes() == whole.metrics_file.read_bytes()
    assert variables_digest(cut.last_model) == variables_digest(whole.last_model)
    rows = Table(whole.metrics_file).rows()
    assert [row["learning_rate"] for row in rows] == pytest.approx([0.1, 0.025, 0.00625])
    assert rows[0]["own_loss"] == pytest.approx(rows[0]["loss"], rel=1e-5)


@pytest.mark.long
def test_evaluate_finds_the_plugin_unasked(folder):
    run = open_run(folder / "whole" / "run-1")
    best = run.read_run()["best"]
    assert kerasrun.evaluate(run).metrics["loss"] == pytest.approx(best["value"], rel=1e-6)


@pytest.mark.long
def test_a_model_outside_its_run_needs_the_file(folder, tmp_path):
    run = open_run(folder / "whole" / "run-1")
    model = shutil.copy(run.best_model, tmp_path / "model.keras")
    with pytest.raises(ModelFileError, match=r"made with the plugin own\.py, which is not beside it: --plugin"):
        model_file.load(model)
    (tmp_path / "own.py").write_text("pass")
    with pytest.raises(PluginError, match="not the plugin that"):
        model_file.load(model, [tmp_path / "own.py"])
    loaded, info = model_file.load(model, [run.plugins / "own.py"])
    assert type(loaded.layers[-2]).__name__ == "Noisy"
    assert list(info.plugins) == ["own.py"]


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (
            "import keras\n",
            "import keras\nimport no_such_module\n",
            r"own\.py:3: the plugin cannot be imported: Module.*\n    import no_such_module$",
        ),
        ("ops.sum(", "ops.som(", r"own\.py:\d+: AttributeError: .*som"),
        ("self.epochs += 1", "self.epochs += logs['x']", rf"own\.py:{LINE}: KeyError: 'x'"),
        ('{"epochs": self.epochs}', '{"epochs": self.model}', r"the state of Counting is not plain"),
        ('{"epochs": self.epochs}', "{1: self.epochs}", r"the state of Counting is not plain: it has the key 1,"),
    ],
)
def test_an_error_in_a_plugin_is_told_with_its_line(tmp_path, before, after, told):
    shutil.copy(DIGITS, tmp_path)
    assert PLUGIN.count(before) == 1
    (tmp_path / "own.py").write_text(PLUGIN.replace(before, after))
    file = tmp_path / "run.yaml"
    file.write_text(EXPERIMENT)
    with pytest.raises(PluginError, match=told):
        kerasrun.train(file, output=tmp_path)


NETWORK = """
import keras


@keras.saving.register_keras_serializable(package="own")
class Network(keras.Model):
    def __init__(self, units):
        super().__init__()
        self.dense = keras.layers.Dense(units, activation="softmax")

    def call(self, x):
        return self.dense(x)
"""


@pytest.mark.parametrize(("units", "last"), [(10, "Network"), (16, "Dense")])
def test_a_network_of_a_plugin_gets_an_output_layer_unless_it_has_as_many_outputs(tmp_path, units, last):
    import keras

    (tmp_path / "own.py").write_text(NETWORK)
    text = f"plugins: [own.py]\ndata: {{npz: {{path: x}}}}\nmodel: {{layers: [{{Network: {{units: {units}}}}}]}}"
    network = parse(text, tmp_path / "e.yaml").experiment.model
    inputs = keras.Input((4,))
    model = keras.Model(inputs, network.build(inputs, Output(10, "softmax")))
    assert type(model.layers[-1]).__name__ == last


HALTING = '''
import keras


class Halting(keras.callbacks.Callback):
    """Ends training in the second step after the first validation."""

    validations = 0

    def on_test_begin(self, logs=None):
        self.validations += 1

    def on_train_batch_end(self, batch, logs=None):
        if batch == 1 and self.validations == 1:
            self.model.stop_training = True

    def get_state(self):
        return {"validations": self.validations}

    def set_state(self, state):
        self.validations = state["validations"]
'''
HALTED = """
plugins: [halting.py]
data: {npz: {path: digits.npz, limit: 100}}
model: {MLP: {units: [4]}}
fit: {batch_size: 25, epochs: 4, validation_data: test}
callbacks: [Halting]
"""


@pytest.fixture(scope="module")
def halted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("halted")
    shutil.copy(DIGITS, folder)
    (folder / "halting.py").write_text(HALTING)
    (folder / "run.yaml").write_text(HALTED)
    return kerasrun.train(folder / "run.yaml", output=folder / "whole")


@pytest.mark.long
def test_a_callback_may_cut_an_epoch_short_as_in_fit(halted):
    progress = checkpoints.newest(halted).progress
    steps = from_hdf5(checkpoints.newest(halted).state_file)["optimizer/0000/adam/iteration"]
    assert (progress["epoch"], int(steps)) == (2, 4 + 2)
    assert [row["val_loss"] is not None for row in Table(halted.metrics_file).rows()] == [True, True]


@pytest.mark.long
@pytest.mark.parametrize("place", [(0, 5), (1, 2)])
def test_what_a_callback_knew_and_asked_for_outlives_a_cut(halted, tmp_path, monkeypatch, place):
    """Cut in the first validation, which stands for a fifth step, and after the step that was to be the last."""
    from kerasrun.training.loop import TrainingLoop

    def stopping(method, *, validates):
        def stopped(loop, *arguments):
            if not validates:
                method(loop, *arguments)
            if (loop.position.epoch, loop.position.step + validates) == place:
                loop.stop.signal = signal.SIGINT
            return method(loop, *arguments) if validates else None

        return stopped

    with monkeypatch.context() as patch:
        patch.setattr(TrainingLoop, "_chunk", stopping(TrainingLoop._chunk, validates=False))
        patch.setattr(TrainingLoop, "_validate", stopping(TrainingLoop._validate, validates=True))
        with pytest.raises(Interrupted):
            kerasrun.train(halted.root.parents[1] / "run.yaml", output=tmp_path)
    cut = open_run(tmp_path / "run-1")
    kerasrun.resume(cut)
    assert evidence(cut) == evidence(halted)
