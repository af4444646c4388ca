"""`fit.scale_targets`: the network learns standardised numbers; the model's last layer brings them to their units."""

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from kerasrun.errors import ModelError
from kerasrun.models.base import free_name
from kerasrun.outputs import ScaledLoss
from kerasrun.tasks.base import activation_of


def in_units(model: Any, labels: NDArray[np.float32]) -> Any:
    """Return the model with a last layer that brings its outputs to the units of the targets.

    Args:
        labels: of the examples that train, (examples, targets).

    Raises:
        ModelError: if the last layer does not give numbers of either sign.
    """
    activation = activation_of(model.layers[-1])
    if activation not in (None, "linear"):
        raise ModelError(
            f"the last layer ends in {activation}, but fit.scale_targets takes outputs around 0, of either sign: leave "
            "its activation out"
        )
    numbers = labels.astype(np.float64)
    deviation = numbers.std(axis=0)
    layer = keras.layers.Rescaling(
        np.where(deviation > 0, deviation, 1).tolist(),
        numbers.mean(axis=0).tolist(),
        name=free_name("units", {one.name for one in model.layers}),
        dtype="float32",
    )
    return keras.Model(model.input, layer(model.output), name=model.name)


def scaled_loss(loss: Any, model: Any) -> ScaledLoss:
    """Return a loss of a model that `in_units` made, or that was read from its file."""
    layer = model.layers[-1]
    return ScaledLoss(loss, layer.offset, layer.scale)
