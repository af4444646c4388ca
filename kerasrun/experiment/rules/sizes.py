"""Follow the size of images through the layers of a network, to a window that is larger than what it moves over."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kerasrun.experiment.rules.base import Facts
from kerasrun.experiment.schema import Experiment
from kerasrun.experiment.slots import components
from kerasrun.keras_catalogue import canonical
from kerasrun.text.document import Document, Written, written_component
from kerasrun.text.problems import Problem

_WINDOWS = {
    **dict.fromkeys(("Conv2D", "SeparableConv2D", "DepthwiseConv2D"), "kernel_size"),
    **dict.fromkeys(("MaxPooling2D", "AveragePooling2D"), "pool_size"),
}
_KEEP_THE_SIZE = {
    *("Activation", "ELU", "LeakyReLU", "PReLU", "ReLU"),
    *("BatchNormalization", "GroupNormalization", "LayerNormalization", "Normalization", "UnitNormalization"),
    *("AlphaDropout", "Dropout", "GaussianDropout", "GaussianNoise", "SpatialDropout2D", "Rescaling"),
}


def check(experiment: Experiment | None, facts: Facts, places: Document) -> list[Problem]:
    """Refuse the first layer whose window, a kernel or a pool, does not fit into what the layers before it leave.

    Layers of other kinds, and those with `inputs`, end the search: Keras says what is wrong with them when it builds
    them.
    """
    shape = facts.example_shape or ()
    if experiment is None or len(shape) != 3 or None in shape:
        return []
    size = [side for side in shape[:2] if side is not None]
    for layer in _layers(places):
        if layer is None or "inputs" in layer.arguments:
            return []
        arguments = layer.component.arguments
        name = canonical("layers", layer.name)
        if name in _KEEP_THE_SIZE:
            continue
        if name not in _WINDOWS or arguments.get("data_format", "channels_last") != "channels_last":
            return []
        after = _after(size, _WINDOWS[name], arguments)
        if after is None:
            return []
        if min(after) < 1:
            window = _sides(arguments.get(_WINDOWS[name], 2)) or [0, 0]
            received = f"a window of {window[0]}×{window[1]}, but the images are {size[0]}×{size[1]} here"
            expected = "expected larger images, fewer poolings or strides, or padding: same"
            return [Problem(layer.place, ".".join(map(str, layer.path)), received, expected)]
        size = after
    return []


def _layers(places: Document) -> Iterator[Written | None]:
    """Give the layers in front of the network, then its own; None for what is not a layer of Keras."""
    found = [one for one in components(places) if one[2].family == "layers"]
    for section in ("preprocessing", "model"):
        for path, node, _ in found:
            if path[0] == section:
                layer = written_component(node, path)
                yield layer if layer and _is_known(layer.name) else None


def _is_known(name: str) -> bool:
    try:
        canonical("layers", name)
    except KeyError:
        return False
    return True


def _after(size: Sequence[int], window: str, arguments: Mapping[str, Any]) -> list[int] | None:
    """Return the size that a window leaves, as Keras computes it; None if an argument has another form."""
    sides = _sides(arguments.get(window, 2))
    strides = _sides(arguments.get("strides") or (sides if window == "pool_size" else 1))
    dilation = _sides(arguments.get("dilation_rate", 1))
    if not (sides and strides and dilation):
        return None
    if arguments.get("padding", "valid") != "valid":
        return [-(-side // stride) for side, stride in zip(size, strides, strict=True)]
    return [
        (side - spread * (covered - 1) - 1) // stride + 1
        for side, covered, stride, spread in zip(size, sides, strides, dilation, strict=True)
    ]


def _sides(value: Any) -> list[int] | None:
    sides = list(value) if isinstance(value, list | tuple) else [value, value]
    return sides if len(sides) == 2 and all(type(side) is int and side > 0 for side in sides) else None
