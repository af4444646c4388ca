"""A new head for one's own classes, on a network with weights of its own."""

from collections.abc import Container, Sequence
from typing import Any

from kerasrun.models.base import refuse_pixels
from kerasrun.tasks.base import Output


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

    refuse_pixels(network, per_pixel=output.per_pixel)
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


def without_head(layers: Sequence[Any], units: Sequence[int]) -> Sequence[Any]:
    """The layers before those with weights that `with_head` added, which always learn.

    Args:
        layers: of the whole network, in its order.
        units: those of the head.
    """
    with_weights = [number for number, layer in enumerate(layers) if layer.weights]
    return layers[: with_weights[-len(units) - 1]]
