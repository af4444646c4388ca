"""From class numbers to what the loss takes, and what the last layer must be for it.

Two classes: one sigmoid unit and binary cross-entropy. More: a softmax and categorical cross-entropy. A loss or a
last layer that is given decides instead; where they contradict each other, the answer is one sentence with the fix.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kerasrun.components import Component
from kerasrun.errors import ModelError
from kerasrun.keras_catalogue import canonical
from kerasrun.model_file import OutputKind
from kerasrun.models._contract import Output

BINARY = ("BinaryCrossentropy", "BinaryFocalCrossentropy")
SPARSE = ("SparseCategoricalCrossentropy", "CategoricalGeneralizedCrossEntropy", "Circle")
# Losses on a score that is no probability: the last layer stays linear.
LINEAR = ("Hinge", "SquaredHinge", "CategoricalHinge")


@dataclass(frozen=True)
class Targets:
    """How class numbers become targets."""

    loss: Component
    classes: int
    units: int
    """Units of the last layer."""

    @property
    def from_logits(self) -> bool:
        return bool(self.loss.arguments.get("from_logits"))

    @property
    def outputs(self) -> OutputKind:
        """What the network's outputs are, so that probabilities can be made of them."""
        name = canonical("losses", self.loss.name)
        if name in LINEAR:
            return "scores"
        if not self.from_logits:
            return "probabilities"
        return "sigmoid logits" if name in BINARY else "softmax logits"

    @property
    def sparse(self) -> bool:
        return canonical("losses", self.loss.name) in SPARSE

    def encode(self, labels: NDArray[np.int64]) -> NDArray[Any]:
        """Class numbers (examples,) → the same, float32 (examples, 1), or one-hot float32 (examples, classes)."""
        if self.sparse:
            return labels
        if self.units == 1:
            return labels.astype(np.float32)[:, np.newaxis]
        return np.eye(self.classes, dtype=np.float32)[labels]


def wanted_output(classes: int, loss: Component | None) -> Output:
    """The last layer that suits the labels, and the loss where one is given."""
    name = canonical("losses", loss.name) if loss else None
    one_unit = classes == 2 and (name is None or name in BINARY or name in ("Hinge", "SquaredHinge"))
    units = 1 if one_unit else classes
    if loss and (loss.arguments.get("from_logits") or name in LINEAR):
        return Output(units, "linear")
    return Output(units, "sigmoid" if one_unit or name in BINARY else "softmax")


def targets_for(model: Any, classes: int, loss: Component | None) -> Targets:
    """Choose the loss that suits the network's last layer, or check that the given one does.

    Args:
        model: the built Keras model, output shape (batch, units).

    Raises:
        ModelError: if classes, last layer, activation and loss contradict each other; one sentence with the fix.
    """
    shape, activation = tuple(model.output.shape[1:]), _last_activation(model)
    if len(shape) != 1:
        raise ModelError(
            f"the network ends in an output of shape {shape} for each example, but class labels need one row of "
            "numbers: end it with Flatten or GlobalAveragePooling2D"
        )
    units = int(shape[0])
    loss = loss or _default_loss(classes, units)
    name, from_logits = canonical("losses", loss.name), bool(loss.arguments.get("from_logits"))
    wanted = wanted_output(classes, loss)
    if units != wanted.units:
        raise ModelError(
            f"the last layer has {units} unit{'s' * (units != 1)}, but {loss.name} on {classes} classes needs "
            f"{wanted.units}: set its units to {wanted.units}, or leave the layer out and it is added"
        )
    if activation is not None:
        if from_logits and activation in ("softmax", "sigmoid"):
            raise ModelError(
                f"the last layer ends in {activation}, but {loss.name} was told from_logits: true: "
                f"take one of the two away"
            )
        if name not in LINEAR and not from_logits and activation == "linear" and "Crossentropy" in name:
            raise ModelError(
                f"the last layer has no activation, but {loss.name} expects probabilities: set its activation to "
                f"{wanted.activation}, or give the loss from_logits: true"
            )
        if activation == "softmax" and units == 1:
            raise ModelError("a softmax over one unit is always 1: set the last layer's activation to sigmoid")
    return Targets(loss, classes, units)


def _default_loss(classes: int, units: int) -> Component:
    return Component("binary_crossentropy" if classes == 2 and units == 1 else "categorical_crossentropy")


def _last_activation(model: Any) -> str | None:
    """Name of the activation that makes the output; None where the last layer's kind does not tell."""
    layer = model.layers[-1]
    if type(layer).__name__ in ("Softmax", "Activation", "Dense"):
        return "softmax" if type(layer).__name__ == "Softmax" else str(layer.activation.__name__)
    return None
