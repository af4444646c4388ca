from types import SimpleNamespace

import pytest

from kerasrun.callbacks import CallbackState, build_callbacks
from kerasrun.components import Component
from kerasrun.errors import CheckpointError

pytestmark = pytest.mark.tensorflow

SAMPLE = {"patience": 9, "restore_best_weights": True}


def build(tmp_path, **arguments):
    (adapter,) = build_callbacks([Component("EarlyStopping", arguments)], tmp_path)
    return adapter


def test_it_comes_back_after_training_has_begun_anew(tmp_path):
    import numpy as np

    adapters = [build(tmp_path, monitor="loss", min_delta=0.1) for _ in range(2)]
    kept, fresh = (one.callback for one in adapters)
    fresh.set_model(SimpleNamespace(weights=[np.ones(2), np.zeros(1)]))
    kept.on_train_begin()
    kept.wait, kept.best, kept.best_epoch, kept.best_weights = 2, 0.5, 3, [np.ones(2), np.zeros(1)]
    fresh.on_train_begin()
    before, after = (CallbackState([one]) for one in adapters)
    assert sorted(before.arrays()) == ["callbacks/0/best_weights/0000", "callbacks/0/best_weights/0001"]
    after.restore(before.values(), before.arrays())
    assert (fresh.wait, fresh.best, fresh.best_epoch) == (2, 0.5, 3)
    assert [weight.tolist() for weight in fresh.best_weights] == [[1, 1], [0]]
    assert fresh.min_delta == 0.1
    with pytest.raises(CheckpointError, match="best weights of another model, as EarlyStopping keeps them"):
        after.restore(before.values(), {"callbacks/0/best_weights/0000": np.ones(3)})


def test_it_says_in_which_epoch_it_stopped_training(tmp_path):
    adapter = build(tmp_path)
    assert adapter.who_stopped(0) is None
    adapter.callback.stopped_epoch = 3
    assert [adapter.who_stopped(epoch) for epoch in (2, 3)] == [None, "EarlyStopping on val_loss"]
