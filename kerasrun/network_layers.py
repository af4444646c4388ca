"""Which layers of a network learn, and what layers compute from their weights once and keep beside them."""

import difflib
from collections.abc import Iterable, Sequence
from typing import Any

from kerasrun.errors import ModelError

JOINED = "output"
"""The layer that puts several outputs side by side."""


def layers_after(inputs: Any, output: Any) -> list[Any]:
    """Every layer between one or several symbolic tensors and another, in the network's order."""
    from keras import Model, tree
    from keras.utils import get_source_inputs

    begin = tree.flatten(inputs)
    source = [one for tensor in begin for one in get_source_inputs(tensor)]
    before = {id(layer) for layer in Model(source, begin).layers}
    return [layer for layer in Model(source, output).layers if id(layer) not in before]


def layers_before(layer: Any) -> list[Any]:
    """Return the layers whose outputs a layer takes, in the order in which it takes them."""
    return [before.operation for node in layer._inbound_nodes for before in node.parent_nodes]


def freeze(layers: Sequence[Any], trainable: bool | str, network: str) -> None:
    """Let all of the layers learn, none, or those from the named one on.

    Raises:
        ModelError: if there is no layer of that name.
    """
    names = [layer.name for layer in layers]
    if isinstance(trainable, str) and trainable not in names:
        near = difflib.get_close_matches(trainable, names, n=1)
        meant = f"; did you mean {near[0]}?" if near else f"; its layers are {', '.join(names)}"
        raise ModelError(f"trainable: {network} has no layer '{trainable}'{meant}")
    first = names.index(trainable) if isinstance(trainable, str) else 0 if trainable else len(names)
    for number, layer in enumerate(layers):
        layer.trainable = number >= first


def derive_state(layers: Iterable[Any]) -> None:
    """Bring it up to date after weights were assigned one by one, as `set_weights` does it too.

    `Normalization` computes with copies of its mean and variance. Keras makes them again only when it loads a file.
    """
    for layer in layers:
        for one in layer._flatten_layers():
            if hasattr(one, "finalize_state"):
                one.finalize_state()
