"""How callbacks are made, and what is asked of all of them at once."""

import pytest

from kerasrun import plugins
from kerasrun.callbacks import CallbackState, build_callbacks, closed_if_interrupted
from kerasrun.components import Component
from kerasrun.errors import RunDirectoryError, UsageError
from kerasrun.experiment.load import parse

pytestmark = pytest.mark.tensorflow


def build(tmp_path, name, **arguments):
    (adapter,) = build_callbacks([Component(name, arguments)], tmp_path)
    return adapter


def test_a_callback_whose_state_is_not_known_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"RemoteMonitor is not supported.*EarlyStopping"):
        build(tmp_path, "RemoteMonitor")


def test_callbacks_cannot_be_exchanged(tmp_path):
    saved = CallbackState([build(tmp_path, "EarlyStopping")]).values()
    with pytest.raises(UsageError, match="EarlyStopping as callback number 1, now it is TerminateOnNaN"):
        CallbackState([build(tmp_path, "TerminateOnNaN")]).restore(saved, {})


def test_files_are_closed_when_training_is_interrupted(tmp_path):
    logger = build(tmp_path, "CSVLogger", filename="log.csv")
    logger.callback.on_train_begin()
    with pytest.raises(KeyboardInterrupt), closed_if_interrupted([logger], "runs/r-1"):
        raise KeyboardInterrupt
    assert logger.callback.csv_file.closed


def test_a_full_disk_under_the_event_files_is_the_run_s(tmp_path):
    import tensorflow as tf

    error = tf.errors.ResourceExhaustedError(None, None, "Failed to flush 1 events to events file; no space left")
    board, told = build(tmp_path, "TensorBoard"), "TensorBoard's files in runs/r-1 cannot be written.*resume runs/r-1"
    with pytest.raises(RunDirectoryError, match=told), closed_if_interrupted([board], "runs/r-1"):
        raise error
    with pytest.raises(tf.errors.OpError, match="elsewhere"), closed_if_interrupted([], "runs/r-1"):
        raise tf.errors.OpError(None, None, "elsewhere", 1)


PLUGIN = '''
import keras


class Patient(keras.callbacks.EarlyStopping):
    """Keeps a number beside the best weights."""

    patience_left = 3

    def get_state(self):
        return {"left": self.patience_left}

    def set_state(self, state):
        self.patience_left = state["left"]


class Both(keras.callbacks.CSVLogger, keras.callbacks.TensorBoard):
    stateless = True

    def __init__(self):
        super().__init__("both.csv")


class Listening(keras.callbacks.Callback):
    stateless = True

    def on_train_batch_end(self, batch, logs=None):
        pass
'''


@pytest.fixture
def own(tmp_path):
    (tmp_path / "own.py").write_text(PLUGIN)
    parse("data: {npz: {path: x}}\nmodel: MLP\nplugins: [own.py]", tmp_path / "e.yaml")
    yield lambda name: build(tmp_path, name)
    plugins.use(())


def test_a_plugin_s_callback_says_itself_what_it_keeps(own):
    kept, fresh = own("Patient"), own("Patient")
    kept.callback.patience_left = 1
    values = CallbackState([kept]).values()
    assert values == [{"callback": "Patient", "state": {"left": 1}}]
    CallbackState([fresh]).restore(values, {})
    assert fresh.callback.patience_left == 1
    assert own("Listening").values() == {"callback": "Listening"}


def test_a_plugin_s_callback_may_do_whatever_it_likes(own):
    for name, every_step in (("Patient", False), ("Listening", True)):
        adapter = own(name)
        assert adapter.changes_model
        assert adapter.changes_frozen_layers
        assert adapter.needs_every_step() is every_step
        assert adapter.watched() == set()


def test_a_plugin_s_callback_is_also_what_it_derives_from(own):
    adapter = own("Patient")
    adapter.callback.stopped_epoch = 2
    adapter.callback.best_weights = [1.0]
    assert adapter.who_stopped(2) == "EarlyStopping on val_loss"
    assert list(CallbackState([adapter]).arrays()) == ["callbacks/0/best_weights/0000"]


def test_a_plugin_s_callback_is_all_that_it_derives_from(own):
    adapter = own("Both")
    adapter.keep_files(begun=True)
    assert adapter.callback.append is True
    assert adapter.callback.write_graph is False
    assert {str(path) for path in adapter.outputs()} == {"both.csv", "logs/train", "logs/validation"}
