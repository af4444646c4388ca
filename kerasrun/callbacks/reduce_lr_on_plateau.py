"""ReduceLROnPlateau: sets a smaller learning rate when an epoch ends and a value improves no more."""

from kerasrun.callbacks.base import Adapter


class ReduceLROnPlateau(Adapter):
    name = "ReduceLROnPlateau"
    state = ("wait", "cooldown_counter", "best")
    monitors = True
    sets_learning_rate = True
    changes_model = True
