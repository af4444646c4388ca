"""The Dice coefficient as image segmentation measures it, as a metric and as a loss.

`2 |A ∩ B| / (|A| + |B|)`, with `smooth` added above and below, over all pixels of a batch together, as `dice_coef` of
many tutorials. `keras.losses.Dice` has no `smooth` but 1e-7 below, takes no masks of class numbers, and knows no single
class.
"""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="kerasrun")
class DiceCoef(keras.metrics.Metric):  # type: ignore[misc]  # Keras has no types
    """The mean over the batches of their Dice coefficients; 1 where prediction and mask are the same.

    Args:
        smooth: added to both sides of the fraction, so that two empty masks are alike.
        class_id: measure this class alone; by default all channels together. An experiment may say its name.
        from_logits: whether the network's outputs are no probabilities yet.
    """

    def __init__(
        self,
        smooth: float = 1.0,
        class_id: int | None = None,
        from_logits: bool = False,
        name: str = "dice_coef",
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        self.smooth, self.class_id, self.from_logits = smooth, class_id, from_logits
        self._direction = "up"
        self.total = self.add_variable((), initializer="zeros", name="total")
        self.batches = self.add_variable((), initializer="zeros", name="batches")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Count one batch.

        Args:
            y_true: class numbers (batch, height, width), 0 or 1 (batch, height, width, 1), or one-hot.
            y_pred: (batch, height, width, channels).
        """
        del sample_weight  # pixels count alike
        if self.from_logits:
            y_pred = ops.sigmoid(y_pred) if y_pred.shape[-1] == 1 else ops.softmax(y_pred)
        self.total.assign_add(ops.cast(_dice(y_true, y_pred, self.smooth, self.class_id), self.dtype))
        self.batches.assign_add(1)

    def result(self) -> Any:
        return ops.divide_no_nan(self.total, self.batches)

    def get_config(self) -> dict[str, Any]:
        own = {"smooth": self.smooth, "class_id": self.class_id, "from_logits": self.from_logits}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable(package="kerasrun")
class DiceLoss(keras.losses.Loss):  # type: ignore[misc]
    """One less the Dice coefficient of the batch.

    Args:
        smooth, class_id: as of `DiceCoef`.
    """

    def __init__(self, smooth: float = 1.0, class_id: int | None = None, name: str = "dice_loss") -> None:
        super().__init__(name=name)
        self.smooth, self.class_id = smooth, class_id

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return 1 - _dice(y_true, y_pred, self.smooth, self.class_id)

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "smooth": self.smooth, "class_id": self.class_id}


def _dice(y_true: Any, y_pred: Any, smooth: float, class_id: int | None = None) -> Any:
    """The Dice coefficient of a batch, a number; arguments as of `DiceCoef`."""
    channels = y_pred.shape[-1]
    y_pred = ops.cast(y_pred, "float32")
    if len(y_true.shape) < len(y_pred.shape):
        y_true = ops.one_hot(ops.cast(y_true, "int32"), channels) if channels > 1 else ops.expand_dims(y_true, -1)
    y_true = ops.cast(y_true, "float32")
    if class_id is not None:
        if channels == 1:
            y_true, y_pred = (ops.concatenate([1 - one, one], axis=-1) for one in (y_true, y_pred))
        y_true, y_pred = y_true[..., class_id], y_pred[..., class_id]
    both = ops.sum(y_true * y_pred)
    return (2 * both + smooth) / (ops.sum(y_true) + ops.sum(y_pred) + smooth)
