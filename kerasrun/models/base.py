"""The base class of networks, and what several of them use."""

import math
import re
from abc import abstractmethod
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, Self

from kerasrun.components import Component, Kind
from kerasrun.errors import KerasrunError, ModelError
from kerasrun.keras_catalogue import added
from kerasrun.network_layers import freeze
from kerasrun.network_size import counted, gigabytes
from kerasrun.reading.data import LabelKind, Shape
from kerasrun.tasks.base import Output

_COLOURS = re.compile(r"\x1b\[[\d;]*m")
_LONGEST = 500
_REPEATED = re.compile("(?:Full object|Received:) config|,? Target variable:")


class Network(Kind):
    """Base of the kinds of network."""

    takes_several: ClassVar[bool] = False
    """Whether `build` takes several inputs: a mapping of symbolic tensors by their names."""

    @property
    def several_outputs(self) -> Mapping[str, Component]:
        """The layer of each output by the output's name, where there are several; empty where there is one.

        `build` then gives their columns side by side, as what a layer called `output` makes of a list.
        """
        return {}

    def is_there(self) -> bool:
        """Return whether the file that `settled` reads is there, if it reads one."""
        return True

    def settled(self, *, trust: bool = False) -> Self:
        """Return the same network with everything in it that a run needs of other files, but for weights.

        Args:
            trust: whether code that such a file brings may be run.

        Raises:
            ModelError: if such a file cannot be used.
        """
        del trust
        return self

    def check_examples(self, shape: Shape, labels: LabelKind) -> None:
        """Refuse examples that the network cannot take, before TensorFlow is loaded.

        Args:
            shape: of an example, as far as it is known: (height, width, channels) or (features,), None for what is not.
            labels: their kind.

        Raises:
            ModelError: naming what the data have and what the network needs.
        """
        del shape, labels

    def preprocess(self, inputs: Any) -> Any | None:
        """Apply this network's own preprocessing to images of 0 to 255, or return None for the default (to [0, 1])."""
        del inputs
        return None

    def taken_names(self) -> set[str]:
        """Return the names of layers that are not the experiment's to choose: those of a file."""
        return set()

    @abstractmethod
    def build(self, inputs: Any, output: Output) -> Any:
        """Apply the network to a symbolic Keras tensor.

        Args:
            inputs: float `keras.KerasTensor` of shape (batch, height, width, channels) or (batch, features), already
                preprocessed; where there are several, and only if `takes_several`, a mapping of them by their names.
            output: what the last layer must be, following from the labels.

        Returns:
            the symbolic output.

        Raises:
            ModelError: if the network cannot be built on this shape.
        """

    def set_trainable(self, layers: Sequence[Any], trainable: bool | str) -> None:
        """Choose which layers of a built network learn; here all, or those from the named one on.

        Args:
            layers: those that `build` applied, in the network's order.
            trainable: as in a stage.

        Raises:
            ModelError: if there is no such layer, or false is given to a network without a pretrained part.
        """
        self.check_trainable(trainable)
        freeze(layers, trainable, self.kind)

    def check_trainable(self, trainable: bool | str) -> None:
        """Refuse what a stage may not say, as far as that is known without the layers.

        Raises:
            ModelError: if there cannot be such a layer, or false is given to a network without a pretrained part.
        """
        if trainable is False:
            raise ModelError(
                f"{self.kind} has no pretrained part that could stay as it is: name the first layer that learns"
            )

    def check_weights(self) -> None:
        """Look for a file of weights before TensorFlow is loaded; only a new run needs it.

        Raises:
            ModelError: if it is not there, or cannot be one by its name.
        """

    def load_pretrained(self, model: Any, inputs: Any) -> None:
        """Put pretrained weights into a new model; a model that is restored from a checkpoint does without.

        Args:
            model: the whole Keras model, preprocessing and head included.
            inputs: the symbolic tensor that `build` was given.

        Raises:
            ModelError: if the weights are missing or are another network's.
        """
        del model, inputs


def require_images(inputs: Any, network: str, least: int, channels: int | None = None) -> None:
    """Refuse symbolic inputs that are not images of at least `least`×`least` pixels (and of `channels` channels).

    Raises:
        ModelError: as `require_image_shape`.
    """
    require_image_shape(tuple(inputs.shape[1:]), network, least, channels)


def require_image_shape(shape: Shape, network: str, least: int, channels: int | None = None) -> None:
    """Check the shape of an example in the same way; None is what is not known.

    Raises:
        ModelError: naming the size that the data has and the one that the network needs.
    """
    if len(shape) != 3:
        received = "are rows of numbers" if shape == (None,) else f"have the shape {shape}"
        raise ModelError(f"{network} takes images, but the examples {received}; use MLP for rows of numbers")
    height, width, depth = shape
    if height is not None and width is not None and min(height, width) < least:
        raise ModelError(
            f"images of {height}×{width} are too small for {network}, which needs {least}×{least}; "
            f"set image_size: [{least}, {least}] or larger in the data section"
        )
    if None not in (channels, depth) and depth != channels:
        raise ModelError(
            f"{network} takes images of {channels} channels, but these have {depth}; "
            "set color_mode: rgb in the data section, or store arrays with as many channels"
        )


def refuse_masks(network: str, *, per_pixel: bool) -> None:
    """Refuse labels that need an output for each pixel; for networks that give one output for an example.

    Raises:
        ModelError: if every pixel needs one.
    """
    if per_pixel:
        raise ModelError(
            f"{network} gives one output for an image, but the labels need one for each pixel: list the layers of a "
            "network that keeps the size, or brings it back, under model: {layers: […]}"
        )


def image_and_row(inputs: Any) -> tuple[Any, Any | None]:
    """Return the image among the inputs, and the row beside it if there is one."""
    if not isinstance(inputs, Mapping):
        return inputs, None
    image, row = inputs.values()
    return image, row


def with_head(
    x: Any,
    units: Sequence[int],
    dropout: float,
    output: Output,
    network: str,
    taken: Container[str] = (),
    row: Any | None = None,
) -> Any:
    """Apply dense layers and the output to what a network gives; maps of features are flattened.

    Args:
        taken: names of layers that the network has already.
        row: columns beside the image, which join it in front of the head.

    Raises:
        ModelError: if an output for each pixel is asked for.
    """
    from keras import layers

    refuse_masks(network, per_pixel=output.per_pixel)
    if len(x.shape) > 2:
        x = layers.Flatten(name=free_name("flatten", taken))(x)
    if row is not None:
        x = layers.Concatenate(name=free_name("with_row", taken))([x, row])
    if dropout and not units:
        x = layers.Dropout(dropout, name=free_name("dropout", taken))(x)
    for number, count in enumerate(units, start=1):
        x = layers.Dense(count, activation="relu", name=free_name(f"head{number}", taken))(x)
        if dropout:
            x = layers.Dropout(dropout, name=free_name(f"dropout{number}", taken))(x)
    return output.layer()(x)


def free_name(name: str, taken: Container[str]) -> str:
    """Return a name, or what is made of it until no layer has it."""
    while name in taken:
        name += "_new"
    return name


def without_head(layers: Sequence[Any], units: Sequence[int]) -> Sequence[Any]:
    """Return the layers before those with weights that `with_head` added, which always learn.

    Args:
        layers: of the whole network, in its order.
        units: those of the head.
    """
    with_weights = [number for number, layer in enumerate(layers) if layer.weights]
    return layers[: with_weights[-len(units) - 1]]


@contextmanager
def refusal_explained(layer: str, shape: object) -> Iterator[None]:
    """Raise whatever Keras raises about a layer as a `ModelError` with the shape it was applied to, and Keras's words.

    A plugin's own error keeps the line in its file; weights that do not fit into memory are counted.
    """
    from tensorflow.errors import ResourceExhaustedError

    try:
        yield
    except KerasrunError:
        raise
    except (MemoryError, ResourceExhaustedError) as error:
        raise ModelError(f"{layer} on the shape {shape} does not fit into memory{told_size(error)}") from error
    except Exception as error:
        if added("layers", layer):
            raise
        raise ModelError(f"{layer} cannot be applied to the shape {shape}: {sentence(error)}") from error


def told_size(error: Exception) -> str:
    """Return the arithmetic of the array that TensorFlow could not allocate, behind a colon, if it says which."""
    shape = re.search(r"allocating tensor with shape\s*\[(\d+(?:,\d+)*)\]", str(error))
    if shape is None:
        return ""
    sides = [int(side) for side in shape[1].split(",")]
    count = math.prod(sides)
    return f": {' × '.join(map(counted, sides))} = {counted(count)} numbers, {gigabytes(count)} as float32"


def sentence(error: Exception | Warning | str) -> str:
    """Return the paragraph that gives the reason, without the configurations and arguments that Keras repeats."""
    found = _paragraph(error)
    return found if len(found) <= _LONGEST else f"{found[:_LONGEST]}…"


def _paragraph(error: Exception | Warning | str) -> str:
    text = _COLOURS.sub("", str(error))
    paragraphs = [" ".join(part.split()) for part in _REPEATED.split(text)[0].split("\n\n")]
    first, *others = paragraphs
    if others and first.startswith("Exception encountered when calling "):
        return others[0]
    if others and first.endswith(":"):  # of several objects, one is named as an example
        return f"{first} {others[0]}"
    return first or (type(error).__name__ if isinstance(error, Exception) else "")
