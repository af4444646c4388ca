"""The first layers of a network that neither learn nor draw: what they compute from an example never changes.

So it is computed once and kept, and training and validation run on the rest of the network alone.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from kerasrun.engine.evaluator import Predictor
from kerasrun.reading.data import Inputs
from kerasrun.reading.inputs import ArrayInputs
from kerasrun.workers.team import ALONE, Team

# Packages of Keras whose layers compute the same of the same input in training as in inference; of these, not the ones
# below. Everything else (dropout, random preprocessing, attention, recurrent layers, plugins) stays where it is.
_STEADY = tuple(
    f"keras.src.{package}."
    for package in (
        *("ops", "layers.activations", "layers.convolutional", "layers.core.dense", "layers.core.einsum_dense"),
        *("layers.core.embedding", "layers.core.identity", "layers.core.input_layer", "layers.merging"),
        *("layers.normalization", "layers.pooling", "layers.reshaping", "layers.preprocessing.normalization"),
        *("layers.preprocessing.image_preprocessing.rescaling", "layers.preprocessing.rescaling"),
        *("layers.preprocessing.image_preprocessing.resizing", "applications.convnext"),
    )
)
_UNSTEADY = ("SpectralNormalization", "StochasticDepth")


@dataclass(frozen=True)
class FrozenPart:
    """A model cut in two at one tensor."""

    last: str
    """The name of the last layer of the first half."""
    frozen: Any
    """The first half, from the model's inputs to the features."""
    rest: Any
    """The second half, from the features, and the inputs beside them, to the model's outputs."""
    beside: tuple[str, ...] = ()
    """The names of further inputs that the second half takes as they are."""

    @property
    def example_bytes(self) -> int:
        """Bytes of the features of an example, as float32."""
        return 4 * int(math.prod(self.frozen.output.shape[1:]))


def frozen_part(model: Any) -> FrozenPart | None:
    """Cut a functional model as late as everything before the cut is frozen and only one tensor crosses it.

    Of a network of several inputs, the further ones may go around it.

    Returns:
        None where nothing that has weights lies before such a cut.
    """
    beside = set(map(id, model.inputs[1:]))
    tensors = []
    for tensor in _in_order(model.output):
        inputs = _inputs_of(tensor)
        if id(tensor) in beside or (inputs and all(id(one) in beside for one in inputs)):
            beside.add(id(tensor))
        else:
            tensors.append(tensor)
    last_use = {id(one): place for place, tensor in enumerate(tensors) for one in _inputs_of(tensor)}
    furthest = 0
    found, weighs = None, False
    for place, tensor in enumerate(tensors[:-1]):
        joined = [one for one in _inputs_of(tensor) if id(one) in beside]
        if not all(_is_steady(one._keras_history.operation) for one in (tensor, *_in_order(*joined))):
            break
        weighs = weighs or bool(getattr(tensor._keras_history.operation, "weights", ()))
        if furthest <= place and weighs:
            found = tensor
        furthest = max(furthest, last_use[id(tensor)])
    if found is None:
        return None
    name = found._keras_history.operation.name
    after = {id(one) for one in _in_order(model.output, known=found)}
    around = [one for one in model.inputs[1:] if id(one) in after]
    history = [one._keras_history for one in around]
    rest = keras.Model([found, *around] if around else found, model.output)
    for one, before in zip(around, history, strict=True):
        one._keras_history = before  # Keras takes an input of one model for that of another cut from it
    return FrozenPart(name, keras.Model(model.input, found), rest, tuple(one.name for one in around))


def features(
    part: FrozenPart,
    inputs: Inputs,
    batch_size: int,
    stop: Callable[[], bool] = lambda: False,
    others: Sequence[Inputs] = (),
    team: Team = ALONE,
) -> ArrayInputs | None:
    """Compute the features of every example, float32 (examples, …); None if `stop` returned true.

    Args:
        team: the processes that share the work; each has all of the features afterwards.
    """
    array = np.empty((len(inputs), *part.frozen.output.shape[1:]), np.float32)
    done = 0
    predictor = Predictor(part.frozen, batch_size, team)
    for some, *_ in predictor.chunks_of(predictor.batches(inputs, others), len(inputs), stop):
        array[done : done + len(some)] = some
        done += len(some)
    return ArrayInputs(array) if done == len(inputs) else None


def part_to_keep(model: Any, examples: int, budget: int) -> FrozenPart | None:
    """Return the frozen part of a model if there is one, and if the features of `examples` fit into `budget` bytes."""
    part = frozen_part(model)
    if part is None or examples * part.example_bytes > budget:
        return None
    return part


class OnFeatures:
    """A model whose `train_step` takes features, and so calls only the rest of its layers."""

    def __init__(self, model: Any, part: FrozenPart) -> None:
        self.model = model
        self.part = part

    def __call__(self, x: Any, training: bool) -> Any:
        return self.part.rest(x, training=training)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model, name)

    def train_step(self, batch: Any) -> Any:
        """Run Keras's step, which takes everything but the outputs from the model."""
        return type(self.model).train_step(self, batch)


def _in_order(*outputs: Any, known: Any = None) -> Iterator[Any]:
    """Yield every symbolic tensor that `outputs` are computed from, where one is `known`, each after its own inputs."""
    seen: set[int] = {id(known), *map(id, outputs)}
    stack = [(output, iter(_inputs_of(output))) for output in outputs]
    while stack:
        tensor, inputs = stack[-1]
        following = next((one for one in inputs if id(one) not in seen), None)
        if following is not None:
            seen.add(id(following))
            stack.append((following, iter(_inputs_of(following))))
            continue
        yield tensor
        stack.pop()


def _inputs_of(tensor: Any) -> list[Any]:
    operation, node, _ = tensor._keras_history
    return list(operation._inbound_nodes[node].input_tensors)


def _module_of(activation: Any) -> str:
    return str(getattr(activation, "__module__", None) or type(activation).__module__)


def _is_steady(operation: Any) -> bool:
    """Return whether an operation learns nothing, draws nothing, and computes the same in training as in inference."""
    kind = type(operation)
    if isinstance(operation, keras.Model) and kind.__module__.startswith("keras.src.models."):  # none of a user's own
        return all(map(_is_steady, operation.layers))
    if not f"{kind.__module__}.".startswith(_STEADY) or kind.__name__ in _UNSTEADY:
        return False
    if not isinstance(operation, keras.Layer):
        return True
    activation = getattr(operation, "activation", None)  # a function, or a layer
    if activation is not None and not _module_of(activation).startswith("keras.src."):
        return False
    if isinstance(operation, keras.layers.BatchNormalization) and operation.trainable:
        return False  # its statistics move, even where it has nothing to learn
    return not operation.trainable_weights and operation.activity_regularizer is None
