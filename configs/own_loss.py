"""A loss, a metric and a callback of one's own, for configs/own_loss_plugin.yaml."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="own_loss")
class SmoothedCrossentropy(keras.losses.Loss):
    """Cross-entropy that asks for `1 - smoothing` on the right class, and shares the rest among all."""

    def __init__(self, smoothing=0.1, name="smoothed_crossentropy"):
        super().__init__(name=name)
        self.smoothing = smoothing

    def call(self, y_true, y_pred):
        wanted = (1 - self.smoothing) * y_true + self.smoothing / y_true.shape[-1]
        return -ops.sum(wanted * ops.log(y_pred + 1e-7), axis=-1)

    def get_config(self):
        return {**super().get_config(), "smoothing": self.smoothing}


@keras.saving.register_keras_serializable(package="own_loss")
def certainty(y_true, y_pred):
    """How probable the network takes its answer for."""
    return ops.max(y_pred, axis=-1)


class StopWhenCertain(keras.callbacks.Callback):
    """End training after `patience` epochs in a row of at least so much certainty."""

    def __init__(self, certainty, patience=2):
        super().__init__()
        self.certainty, self.patience = certainty, patience
        self.epochs = 0

    def on_epoch_end(self, epoch, logs=None):
        self.epochs = self.epochs + 1 if logs["val_certainty"] >= self.certainty else 0
        self.model.stop_training = self.epochs >= self.patience

    def get_state(self):
        return {"epochs": self.epochs}

    def set_state(self, state):
        self.epochs = state["epochs"]
