"""A compact drawing of a network: small layers in the box of the one before, blocks that are repeated drawn once."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from kerasrun.network_layers import layers_before

_WITH_THE_LAYER_BEFORE = (
    *("Activation", "BatchNormalization", "Dropout", "ELU", "GaussianDropout", "GaussianNoise", "LayerNormalization"),
    *("LeakyReLU", "PReLU", "ReLU", "Softmax", "SpatialDropout1D", "SpatialDropout2D", "UnitNormalization"),
)
_LONGEST_BLOCK = 40
_LONGEST_TEXT = 60
_MOST_BOXES = 400
"""Networks of more boxes are looked for no blocks, and not drawn."""


@dataclass(frozen=True)
class Box:
    """One layer, with the small ones behind it; or one of a block that is repeated."""

    text: str
    shape: str
    parameters: int
    inputs: tuple[int, ...]
    """The boxes that it takes its inputs from, by their places."""


@dataclass(frozen=True)
class Block:
    """Boxes that are there several times, one block after the other."""

    first: int
    last: int
    times: int


@dataclass(frozen=True)
class NetworkDrawing:
    """The boxes from top to bottom, and which of them are blocks."""

    boxes: Sequence[Box]
    blocks: Sequence[Block]

    @property
    def steps(self) -> list[int]:
        """The boxes that take an input from the one before."""
        return [place for place, box in enumerate(self.boxes) if place - 1 in box.inputs]

    @property
    def jumps(self) -> list[tuple[int, int]]:
        """The other connections, from and to a box."""
        pairs = ((source, place) for place, box in enumerate(self.boxes) for source in box.inputs)
        return [(source, place) for source, place in pairs if source < place - 1]


def network_drawing(model: Any) -> NetworkDrawing | None:
    """Return the drawing of a Keras model; None where it has too many layers."""
    boxes = _boxes(model)
    return _folded(boxes) if len(boxes) <= _MOST_BOXES else None


def _boxes(model: Any) -> list[Box]:
    layers = getattr(model, "operations", model.layers)
    sources = {id(layer): layers_before(layer) for layer in layers}
    uses = Counter(id(source) for one in sources.values() for source in one)
    found: list[Box] = []
    place_of: dict[int, int] = {}
    for layer in layers:
        before = [one for one in sources[id(layer)] if id(one) in place_of]
        inputs = tuple(dict.fromkeys(place_of[id(one)] for one in before))
        is_layer = hasattr(layer, "count_params")  # and not only arithmetic
        own = Box(_text(layer), _shape(layer), layer.count_params() if is_layer else 0, inputs)
        is_small = not is_layer or type(layer).__name__ in _WITH_THE_LAYER_BEFORE
        if is_small and len(before) == 1 and uses[id(before[0])] == 1:
            place = inputs[0]
            box = found[place]
            text, parameters = f"{box.text} + {own.text}", box.parameters + own.parameters
            found[place] = replace(box, text=text, parameters=parameters)
        else:
            place = len(found)
            found.append(own)
        place_of[id(layer)] = place
    return found


def _text(layer: Any) -> str:
    """Return the kind of a layer with what its size and its function depend on."""
    kind = type(layer).__name__
    parts = [] if kind == "Activation" else [kind]
    for name in ("filters", "units", "pool_size", "kernel_size", "rate"):
        value = getattr(layer, name, None)
        if isinstance(value, int | float | tuple) and not isinstance(value, bool):
            parts.append("×".join(map(str, value)) if isinstance(value, tuple) else f"{value:g}")
    strides = getattr(layer, "strides", None)
    if isinstance(strides, tuple) and strides != getattr(layer, "pool_size", None) and set(strides) != {1}:
        parts.append(f"/{strides[0]}")
    activation = getattr(getattr(layer, "activation", None), "__name__", "linear")
    if activation != "linear" or not parts:
        parts.append(str(activation))
    return " ".join(parts)[:_LONGEST_TEXT]


def _shape(layer: Any) -> str:
    tensors = layer._inbound_nodes[0].output_tensors if layer._inbound_nodes else []
    return ", ".join("×".join("?" if size is None else str(size) for size in one.shape[1:]) for one in tensors)


def _folded(boxes: list[Box]) -> NetworkDrawing:
    """Draw blocks once that follow each other and are alike, the largest saving first at each place."""
    alike = [(box.text, box.shape, *(place - source for source in box.inputs)) for place, box in enumerate(boxes)]
    kept: list[Box] = []
    blocks: list[Block] = []
    new_place: dict[int, int] = {}
    place = 0
    while place < len(boxes):
        length, times = _repeated(alike, place)
        begin = len(kept)
        for number in range(length * times):
            new_place[place + number] = begin + number % length
        for box in boxes[place : place + length]:
            inputs = tuple(new_place[source] for source in box.inputs if new_place[source] < len(kept))
            kept.append(replace(box, inputs=inputs))
        if times > 1:
            blocks.append(Block(begin, len(kept) - 1, times))
        place += length * times
    return NetworkDrawing(kept, blocks)


def _repeated(alike: Sequence[Any], place: int) -> tuple[int, int]:
    """Return how long a block is that begins at a place, and how often it is there; (1, 1) where it is no block."""
    best = (1, 1)
    if 1 not in alike[place][2:]:  # it does not take what the one before it makes: branches side by side
        return best
    for length in range(1, min(_LONGEST_BLOCK, (len(alike) - place) // 2) + 1):
        block, times = alike[place : place + length], 1
        while alike[place + times * length : place + (times + 1) * length] == block:
            times += 1
        if length * (times - 1) > best[0] * (best[1] - 1):
            best = length, times
    return best
