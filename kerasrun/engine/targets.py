"""From labels to what the loss takes, and what the last layer must be for it.

| labels                | last layer                                          | loss                        |
| --------------------- | --------------------------------------------------- | --------------------------- |
| two classes           | one sigmoid unit                                    | binary cross-entropy        |
| more classes          | a softmax                                           | categorical cross-entropy   |
| several at once       | a sigmoid unit for each                             | binary cross-entropy        |
| numbers               | a linear unit for each                              | mean squared error          |
| masks of two classes  | one sigmoid channel, as high and wide as the mask   | binary cross-entropy        |
| masks of more classes | a softmax over channels, as high and wide           | sparse categorical cross-entropy |

A loss or a last layer that is given decides instead; where they contradict each other, the answer is one sentence with
the fix.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kerasrun.components import Component
from kerasrun.errors import ModelError
from kerasrun.experiment.losses import BINARY, CATEGORICAL, LINEAR, SPARSE
from kerasrun.keras_catalogue import added, canonical
from kerasrun.model_file import OutputKind
from kerasrun.models.base import Output
from kerasrun.reading.data import LabelKind


@dataclass(frozen=True)
class Targets:
    """How labels become targets."""

    loss: Component
    classes: int
    """Classes; of other labels, how many of them an example has."""
    units: int
    """Units of the last layer, channels where it has an output for each pixel."""
    kind: LabelKind = "classes"

    @property
    def from_logits(self) -> bool:
        return bool(self.loss.arguments.get("from_logits"))

    @property
    def outputs(self) -> OutputKind:
        """What the network's outputs are, so that probabilities can be made of them."""
        name = canonical("losses", self.loss.name)
        if self.kind == "numbers":
            return "values"
        if name in LINEAR:
            return "scores"
        if not self.from_logits:
            return "probabilities"
        return "sigmoid logits" if name in BINARY else "softmax logits"

    @property
    def sparse(self) -> bool:
        return canonical("losses", self.loss.name) in SPARSE

    @property
    def one_hot(self) -> bool:
        return self.kind in ("classes", "masks") and not self.sparse and self.units > 1

    def encode(self, labels: NDArray[Any]) -> NDArray[Any]:
        """Labels as the loss takes them; for masks see `labels.encode_masks`.

        Args:
            labels: class numbers (examples,), or what else `Split.labels` holds, (examples, labels).

        Returns:
            class numbers for a sparse loss; the same as float32 (examples, 1) for one unit, else one-hot float32
            (examples, classes); other labels as float32.
        """
        if self.kind in ("multi_label", "numbers"):
            return labels.astype(np.float32)
        if self.sparse:
            return labels
        if self.units == 1:
            return labels.astype(np.float32)[:, np.newaxis]
        one_hot: NDArray[np.float32] = np.eye(self.classes, dtype=np.float32)[labels]
        return one_hot


def wanted_output(classes: int, loss: Component | None, kind: LabelKind = "classes") -> Output:
    """The last layer that suits the labels, and the loss where one is given."""
    name = canonical("losses", loss.name) if loss else None
    per_pixel = kind == "masks"
    if kind == "numbers":
        return Output(classes, "sigmoid" if name in BINARY and loss and not _from_logits(loss) else "linear")
    if kind == "multi_label":
        return Output(classes, "linear" if loss and (_from_logits(loss) or name in LINEAR) else "sigmoid")
    one_unit = classes == 2 and (name is None or name not in CATEGORICAL if per_pixel else _takes_one_unit(name))
    units = 1 if one_unit else classes
    if loss and (_from_logits(loss) or name in LINEAR):
        return Output(units, "linear", per_pixel)
    return Output(units, "sigmoid" if one_unit or name in BINARY else "softmax", per_pixel)


def targets_for(model: Any, classes: int, loss: Component | None, kind: LabelKind = "classes") -> Targets:
    """Choose the loss that suits the network's last layer, or check that the given one does.

    Args:
        model: the built Keras model, output shape (batch, units), of masks (batch, height, width, units).
        classes: how many classes, labels or numbers there are.

    Raises:
        ModelError: if labels, last layer, activation and loss contradict each other; one sentence with the fix.
    """
    shape, activation = tuple(model.output.shape[1:]), activation_of(model.layers[-1])
    _check_shape(shape, model, kind)
    units = int(shape[-1])
    return agreed_targets(loss or _default_loss(classes, units, kind), classes, units, activation, kind)


def agreed_targets(loss: Component, classes: int, units: int, activation: str | None, kind: LabelKind) -> Targets:
    """Check that the loss suits the labels and the layer that the network, or one of its outputs, ends in.

    Args:
        classes: as of `targets_for`.
        units: those of the layer.
        activation: None where its kind does not tell.

    Raises:
        ModelError: as `targets_for`.
    """
    name, from_logits = canonical("losses", loss.name), _from_logits(loss)
    if kind in ("multi_label", "numbers") and name in CATEGORICAL:
        instead = "binary_crossentropy" if kind == "multi_label" else "mean_squared_error"
        what = "several labels may hold at once" if kind == "multi_label" else "the labels are numbers"
        raise ModelError(f"{loss.name} is for one class among several, but {what}: take {instead}")
    if kind == "numbers" and name == "DiceLoss":
        raise ModelError(f"{loss.name} compares masks, but the labels are numbers: take mean_squared_error")
    wanted = wanted_output(classes, loss, kind)
    takes_both = added("losses", name) or (kind == "masks" and name not in (*BINARY, *CATEGORICAL))
    both_suit = takes_both and classes == 2 and units in (1, 2)
    if units != wanted.units and not both_suit:
        one, several = ("channel", "channels") if kind == "masks" else ("unit", "units")
        what = {"numbers": "targets", "multi_label": "labels"}.get(kind, "classes")
        raise ModelError(
            f"the last layer has {units} {one if units == 1 else several}, but {loss.name} on {classes} {what} needs "
            f"{wanted.units}: set its {'filters' if kind == 'masks' else 'units'} to {wanted.units}, or leave the "
            "layer out and it is added"
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
    return Targets(loss, classes, units, kind)


def _takes_one_unit(loss: str | None) -> bool:
    return loss is None or loss in BINARY or loss in ("Hinge", "SquaredHinge") or added("losses", loss) is not None


def _from_logits(loss: Component) -> bool:
    return bool(loss.arguments.get("from_logits"))


def _check_shape(shape: tuple[int, ...], model: Any, kind: LabelKind) -> None:
    if kind == "masks":
        expected = tuple(model.input.shape[1:3])
        if len(shape) != 3 or shape[:2] != expected:
            raise ModelError(
                f"the network ends in an output of shape {shape} for each example, but masks need one for each pixel, "
                f"({expected[0]}, {expected[1]}, channels); end it without Flatten or Dense, and bring what was pooled "
                "back to its size with UpSampling2D or Conv2DTranspose"
            )
    elif len(shape) != 1:
        what = "class labels need" if kind == "classes" else "the labels need"
        raise ModelError(
            f"the network ends in an output of shape {shape} for each example, but {what} one row of "
            "numbers: end it with Flatten or GlobalAveragePooling2D"
        )


def _default_loss(classes: int, units: int, kind: LabelKind) -> Component:
    if kind == "numbers":
        return Component("mean_squared_error")
    if kind == "multi_label" or (classes == 2 and units == 1):
        return Component("binary_crossentropy")
    # One-hot masks would take as many times the memory as there are classes.
    return Component("sparse_categorical_crossentropy" if kind == "masks" else "categorical_crossentropy")


def activation_of(layer: Any) -> str | None:
    """Name of the activation that a layer ends in; None where its kind does not tell."""
    if type(layer).__name__ in ("Softmax", "Activation", "Dense", "Conv2D"):
        return "softmax" if type(layer).__name__ == "Softmax" else str(layer.activation.__name__)
    return None
