"""What networks with weights of their own share: which layers learn, and a new head for one's own classes."""

import difflib
from collections.abc import Container, Sequence
from typing import Any

from kerasrun.errors import ModelError
from kerasrun.models._contract import Output


def layers_after(inputs: Any, output: Any) -> list[Any]:
    """Every layer between two symbolic tensors, in the network's order."""
    from keras import Model
    from keras.utils import get_source_inputs

    source = get_source_inputs(inputs)
    before = {id(layer) for layer in Model(source, inputs).layers}
    return [layer for layer in Model(source, output).layers if id(layer) not in before]


def freeze(layers: Sequence[Any], trainable: bool | str, network: str) -> None:
    """Let all of the layers learn, none, or those from the named one on.

    Raises:
        ModelError: if there is no layer of that name.
    """
    names = [layer.name for layer in layers]
    if isinstance(trainable, str) and trainable not in names:
        near = difflib.get_close_matches(trainable, names, n=1)
        meant = f"; did you mean {near[0]}?" if near else f"; its layers are {', '.join(names)}"
        raise ModelError(f"model.{network}.trainable: {network} has no layer '{trainable}'{meant}")
    first = names.index(trainable) if isinstance(trainable, str) else 0 if trainable else len(names)
    for number, layer in enumerate(layers):
        layer.trainable = number >= first


def with_head(
    x: Any, units: Sequence[int], dropout: float, output: Output, network: str, taken: Container[str] = ()
) -> Any:
    """Dense layers and the output on what a network gives; maps of features are flattened.

    Args:
        taken: names of layers that the network has already.

    Raises:
        ModelError: if an output for each pixel is asked for.
    """
    from keras import layers

    if output.per_pixel:
        raise ModelError(
            f"{network} gives one output for an image, but masks need one for each pixel: list the layers of a "
            "network that keeps the size, or brings it back, under model: {layers: […]}"
        )
    if len(x.shape) > 2:
        x = layers.Flatten(name=_free("flatten", taken))(x)
    if dropout and not units:
        x = layers.Dropout(dropout, name=_free("dropout", taken))(x)
    for number, count in enumerate(units, start=1):
        x = layers.Dense(count, activation="relu", name=_free(f"head{number}", taken))(x)
        if dropout:
            x = layers.Dropout(dropout, name=_free(f"dropout{number}", taken))(x)
    return output.layer()(x)


def _free(name: str, taken: Container[str]) -> str:
    while name in taken:
        name += "_new"
    return name
