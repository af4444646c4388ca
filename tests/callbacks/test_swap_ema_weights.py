import pytest

from kerasrun.callbacks import build_callbacks
from kerasrun.callbacks.swap_ema_weights import SwapEMAWeights
from kerasrun.components import Component
from kerasrun.errors import UsageError

SAMPLE = {}


@pytest.mark.parametrize(
    ("done", "before", "after", "words"),
    [(2, 2, 3, "cannot be extended"), (2, 4, 2, "epoch 2 is over: give at least 3")],
)
def test_averages_that_took_the_place_of_the_weights_decide_the_epochs(done, before, after, words):
    epochs = {"done": done, "before": before, "after": after}
    SwapEMAWeights.check_epochs({}, **epochs)
    with pytest.raises(UsageError, match=words):
        SwapEMAWeights.check_epochs({"swap_on_epoch": True}, **epochs)


@pytest.mark.tensorflow
def test_the_optimizer_that_was_built_must_keep_an_average(tmp_path):
    import keras

    (adapter,) = build_callbacks([Component("SwapEMAWeights")], tmp_path)
    adapter.check_optimizer(keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(use_ema=True)))
    with pytest.raises(UsageError, match="use_ema: true"):
        adapter.check_optimizer(keras.optimizers.SGD())
