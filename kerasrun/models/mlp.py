"""A multi-layer perceptron: dense layers, each followed by dropout if asked for."""

from typing import Annotated, Any, ClassVar

from pydantic import Field

from kerasrun.models.base import Network, refuse_masks
from kerasrun.reading.data import LabelKind, Shape
from kerasrun.tasks.base import Output, task_named


class MLP(Network):
    """Dense layers on flattened examples; 784-512-512-10 has 669,706 parameters."""

    kind: ClassVar[str] = "MLP"

    units: tuple[Annotated[int, Field(ge=1)], ...] = (512, 512)
    """Units of the hidden layers, in order; an empty list makes a linear classifier."""
    activation: str = "relu"
    """Activation of the hidden layers."""
    dropout: float = Field(0.0, ge=0, lt=1)
    """Share of units dropped after each hidden layer in training; 0 adds no layer."""

    def check_examples(self, shape: Shape, labels: LabelKind) -> None:
        refuse_masks("MLP", per_pixel=task_named(labels).per_pixel and len(shape) > 1)

    def build(self, inputs: Any, output: Output) -> Any:
        from keras import layers

        x = layers.Flatten(name="flatten")(inputs) if len(inputs.shape) > 2 else inputs
        for number, units in enumerate(self.units, start=1):
            x = layers.Dense(units, activation=self.activation, name=f"dense{number}")(x)
            if self.dropout:
                x = layers.Dropout(self.dropout, name=f"dropout{number}")(x)
        return output.layer()(x)
