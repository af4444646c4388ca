"""What layers compute from their weights once, and keep beside them."""

from collections.abc import Iterable
from typing import Any


def derive_state(layers: Iterable[Any]) -> None:
    """Bring it up to date after weights were assigned one by one, as `set_weights` does it too.

    `Normalization` computes with copies of its mean and variance, which Keras makes anew where it loads a file alone.
    """
    for layer in layers:
        for one in layer._flatten_layers():
            if hasattr(one, "finalize_state"):
                one.finalize_state()
