"""What is known of each of Keras's callbacks that an experiment may name; one that is not here is refused.

Light to import.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class KnownCallback:
    """What a resume must know of a callback."""

    state: tuple[str, ...]
    """The attributes that change while it trains.

    Named one by one: a sweep over attributes would also save `min_delta`, which every `_set_monitor_op` negates again.
    """
    changes_model: bool
    """Whether it changes the model or its optimizer between the writing of `best.keras` and the checkpoint at the end
    of the epoch, which then has other weights."""


KNOWN_CALLBACKS: Mapping[str, KnownCallback] = {
    "CSVLogger": KnownCallback(state=("keys",), changes_model=False),
    "EarlyStopping": KnownCallback(state=("wait", "stopped_epoch", "best", "best_epoch"), changes_model=False),
    # The learning rate that it sets is the optimizer's, a variable.
    "LearningRateScheduler": KnownCallback(state=(), changes_model=False),
    "ModelCheckpoint": KnownCallback(
        state=("best", "_batches_seen_since_last_saving", "_last_batch_seen", "_current_epoch"), changes_model=False
    ),
    "ReduceLROnPlateau": KnownCallback(state=("wait", "cooldown_counter", "best"), changes_model=True),
    "SwapEMAWeights": KnownCallback(state=("_ema_weights_in_model",), changes_model=True),
    "TensorBoard": KnownCallback(state=("_global_train_batch", "_global_test_batch"), changes_model=False),
    "TerminateOnNaN": KnownCallback(state=(), changes_model=False),
}


def may_change_model(callback: str) -> bool:
    """As `KnownCallback.changes_model`; of a plugin's callback nobody knows, so that it may."""
    return KNOWN_CALLBACKS[callback].changes_model if callback in KNOWN_CALLBACKS else True
