"""LearningRateScheduler: sets the optimizer's learning rate, a variable, and keeps nothing itself."""

from kerasrun.callbacks.base import Adapter


class LearningRateScheduler(Adapter):
    name = "LearningRateScheduler"
    state = ()
    sets_learning_rate = True
