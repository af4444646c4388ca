"""What callbacks keep, where they write, and which are not supported."""

import pytest

from kerasrun.components import Component
from kerasrun.errors import UsageError

pytestmark = pytest.mark.tensorflow


def build(tmp_path, name, **arguments):
    from kerasrun.training.callbacks import build_callbacks

    (callback,) = build_callbacks([Component(name, arguments)], tmp_path)
    return callback


@pytest.mark.parametrize(
    ("name", "arguments", "attribute", "path"),
    [
        ("TensorBoard", {}, "log_dir", "tensorboard"),
        ("TensorBoard", {"log_dir": "tb"}, "log_dir", "tb"),
        ("CSVLogger", {"filename": "log.csv"}, "filename", "log.csv"),
        ("ModelCheckpoint", {"filepath": "w/{epoch}.keras"}, "filepath", "w/{epoch}.keras"),
    ],
)
def test_files_lie_in_the_run(tmp_path, name, arguments, attribute, path):
    assert getattr(build(tmp_path, name, **arguments), attribute) == str(tmp_path / path)


def test_a_callback_whose_state_is_not_known_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"RemoteMonitor is not supported.*EarlyStopping"):
        build(tmp_path, "RemoteMonitor")


@pytest.mark.parametrize(
    ("name", "arguments", "every_step"),
    [
        ("TensorBoard", {}, False),
        ("TensorBoard", {"histogram_freq": 1}, False),
        ("TensorBoard", {"update_freq": "batch"}, True),
        ("ModelCheckpoint", {"filepath": "a.keras"}, False),
        ("ModelCheckpoint", {"filepath": "a.keras", "save_freq": 5}, True),
        ("EarlyStopping", {}, False),
    ],
)
def test_only_those_that_need_every_step_get_it(tmp_path, name, arguments, every_step):
    from kerasrun.training.callbacks import needs_every_step

    assert needs_every_step(build(tmp_path, name, **arguments)) is every_step


def test_early_stopping_comes_back_after_training_has_begun_anew(tmp_path):
    import numpy as np

    from kerasrun.training.callbacks import CallbackState

    kept, fresh = (build(tmp_path, "EarlyStopping", monitor="loss", min_delta=0.1) for _ in range(2))
    kept.on_train_begin()
    kept.wait, kept.best, kept.best_epoch, kept.best_weights = 2, 0.5, 3, [np.ones(2), np.zeros(1)]
    fresh.on_train_begin()
    CallbackState([fresh]).restore(CallbackState([kept]).values(), CallbackState([kept]).arrays())
    assert (fresh.wait, fresh.best, fresh.best_epoch) == (2, 0.5, 3)
    assert [weight.tolist() for weight in fresh.best_weights] == [[1, 1], [0]]
    assert fresh.min_delta == 0.1


def test_callbacks_cannot_be_exchanged(tmp_path):
    from kerasrun.training.callbacks import CallbackState

    saved = CallbackState([build(tmp_path, "EarlyStopping")]).values()
    with pytest.raises(UsageError, match="EarlyStopping as callback number 1, now it is TerminateOnNaN"):
        CallbackState([build(tmp_path, "TerminateOnNaN")]).restore(saved, {})
