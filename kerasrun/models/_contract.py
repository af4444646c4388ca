"""What every network offers: its YAML fields, what it needs of its input, and `build()`."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

from kerasrun.components import Component, Kind


@dataclass(frozen=True)
class Output:
    """What the last layer must be, following from the labels and the loss."""

    units: int
    activation: str


class Network(Kind):
    """Base of the kinds of network."""

    def preprocessing(self) -> tuple[Component, ...] | None:
        """Keras layers for 0–255 images in front of this network, or None for the default (to [0, 1])."""
        return None

    @abstractmethod
    def build(self, inputs: Any, output: Output) -> Any:
        """Apply the network to a symbolic Keras tensor.

        Args:
            inputs: float `keras.KerasTensor` of shape (batch, height, width, channels) or (batch, features), already
                preprocessed.
            output: what the last layer must be, following from the labels.

        Returns:
            the symbolic output.

        Raises:
            ModelError: if the network cannot be built on this shape.
        """
