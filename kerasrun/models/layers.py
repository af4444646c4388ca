"""`model: {layers: [...]}`: any Keras layers, in order or as a graph."""

import inspect
import logging
from collections.abc import Container, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator, Field, ValidationInfo

from kerasrun import keras_objects
from kerasrun.components import Component, Keras, absolute, as_component
from kerasrun.errors import DataError, ModelError
from kerasrun.keras_catalogue import added, canonical, identifiers
from kerasrun.models.base import Network, refusal_explained
from kerasrun.network_layers import JOINED
from kerasrun.reading.data import INPUT
from kerasrun.tasks.base import Output

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

logger = logging.getLogger("kerasrun")

_VECTORS = "weights"
_FILE = "kerasrun_vectors"
"""The attribute of a layer that says which file its vectors are from."""


@dataclass(frozen=True)
class LayerEntry:
    """A Keras layer, or an earlier one by its name, what it is called, and the earlier layers that it is applied to."""

    component: Component
    name: str | None = None
    inputs: tuple[str, ...] | None = None
    """Names of earlier layers, in the order in which the layer takes them; None for the layer before."""

    @property
    def arguments(self) -> Mapping[str, Any]:
        """The arguments as in YAML: Keras's, `name` and `inputs`."""
        graph = {"name": self.name, "inputs": list(self.inputs) if self.inputs else None}
        return {**self.component.arguments, **{key: value for key, value in graph.items() if value is not None}}


def as_layer_entry(value: Any) -> LayerEntry:
    """Read `Name` or `{Name: {argument: value, name: text, inputs: [names]}}`.

    Raises:
        ValueError: if `value` has none of these forms.
    """
    if isinstance(value, LayerEntry):
        return value
    component = as_component(value)
    arguments = dict(component.arguments)
    name, inputs = arguments.pop("name", None), arguments.pop("inputs", None)
    if not isinstance(name, str | None):
        raise ValueError(f"expected text as the name of {component.name}")
    are_names = isinstance(inputs, list | tuple) and all(isinstance(one, str) for one in inputs)
    if inputs is not None and not (are_names and inputs):
        raise ValueError(f"expected a list of names as the inputs of {component.name}")
    return LayerEntry(Component(component.name, arguments), name, tuple(inputs) if inputs else None)


def _as_entry_here(value: Any, info: ValidationInfo) -> LayerEntry:
    """Read an entry of an experiment, to whose folder the file of an `Embedding`'s vectors is relative."""
    entry = as_layer_entry(value)
    file = _vectors_of(entry)
    if file is None:
        return entry
    path = absolute(file, (info.context or {}).get("folder", Path.cwd()))
    arguments = {**entry.component.arguments, _VECTORS: [str(path)]}
    return replace(entry, component=replace(entry.component, arguments=arguments))


def _vectors_of(entry: LayerEntry) -> str | None:
    """Return the file of the vectors that an `Embedding` begins with; None where it has none."""
    name, given = entry.component.name, entry.component.arguments.get(_VECTORS)
    if name not in identifiers("layers") or canonical("layers", name) != "Embedding":
        return None
    file = given[0] if isinstance(given, list | tuple) and len(given) == 1 else given
    return file if isinstance(file, str) else None


class Layers(Network):
    """Keras layers, applied one after the other or as their `inputs` say."""

    kind = "layers"
    takes_several = True

    layers: tuple[Annotated[LayerEntry, Keras("layers", is_graph=True), BeforeValidator(_as_entry_here)], ...] = Field(
        min_length=1
    )
    """Layers of `keras.layers` by name; an entry may carry `name:` and `inputs: [names]` to make a graph, in which
    `input` is the network's own; of several inputs each has its name, such as `image` and `features`. Attention takes
    `[query, value]` or `[query, value, key]`. The name of an earlier entry in the place of a layer's applies that layer
    again, with the same weights. The output layer is added unless the last entry is one: softmax or sigmoid, or a
    `Dense` (for masks a `Conv2D`) with as many units as needed.
    `Embedding: {input_dim: 5000, output_dim: 50, weights: [vectors.npy]}` begins with the vectors of a file, one row
    for each number.
    """
    outputs: Annotated[tuple[str, ...], Field(min_length=2)] | None = None
    """Names of the layers that are the outputs, where there are several; by default the last layer is the only one."""

    @property
    def several_outputs(self) -> Mapping[str, Component]:
        if self.outputs is None:
            return {}
        named: dict[str, Component] = {}
        for entry in self.layers:
            if entry.name:
                known = entry.component.name
                named[entry.name] = named[known] if is_applied_again(known, named) else entry.component
        return {name: named[name] for name in self.outputs}

    def check_weights(self) -> None:
        for number, entry in enumerate(self.layers):
            file = _vectors_of(entry)
            if file is not None:
                try:
                    _vectors(Path(file), entry.component.arguments)
                except ModelError as error:
                    raise ModelError(str(error), ("model", number)) from error

    def load_pretrained(self, model: Any, inputs: Any) -> None:
        del inputs
        arguments = {file: entry.component.arguments for entry in self.layers if (file := _vectors_of(entry))}
        for layer in model.layers:
            file = getattr(layer, _FILE, None)
            if file is not None:
                layer.set_weights([_vectors(Path(file), arguments[file])])

    def build(self, inputs: Any, output: Output) -> Any:
        graph = _Graph(inputs)
        for number, entry in enumerate(self.layers, 1):
            graph.add(entry, number)
        if self.outputs is not None:
            return _side_by_side({name: graph.tensors[name] for name in self.outputs})
        last, tensor = self.layers[-1].component, graph.last
        if output.shape is not None:
            # Of another rank than needed, a layer for each pixel would only hide what is missing.
            is_whole = tuple(tensor.shape[1:]) == output.shape or len(tensor.shape) != len(output.shape) + 1
        else:
            is_whole = _is_output(last, output) or _ends_as_needed(last, tensor, output)
        return tensor if is_whole else _with_output(tensor, output)


class _Graph:
    """Layers that were applied so far."""

    def __init__(self, inputs: Any) -> None:
        self.tensors = dict(inputs) if isinstance(inputs, Mapping) else {INPUT: inputs}
        """The outputs of layers, by the names of their entries."""
        self.last = next(iter(self.tensors.values()))
        self.layers: dict[str, Any] = {}
        """Layers by the names of the entries that applied them."""

    def add(self, entry: LayerEntry, number: int) -> None:
        """Apply the layer of an entry.

        Raises:
            ModelError: if Keras refuses it; `number` and name say which.
        """
        where = f"layer {number} of the model{f' ({entry.name})' if entry.name else ''}"
        try:
            self.last = self._apply(entry, self._inputs(entry))
        except ModelError as error:
            raise ModelError(f"{where}: {error}", ("model", number - 1)) from error
        if entry.name:
            self.tensors[entry.name] = self.last

    def _inputs(self, entry: LayerEntry) -> Any:
        if not entry.inputs:
            return self.last
        if unknown := [name for name in entry.inputs if name not in self.tensors]:
            raise ModelError(
                f"{entry.component.name}: no earlier layer is called '{unknown[0]}'; there are "
                f"{', '.join(self.tensors)}"
            )
        received = [self.tensors[name] for name in entry.inputs]
        return received if len(received) > 1 else received[0]

    def _apply(self, entry: LayerEntry, tensor: Any) -> Any:
        name = entry.component.name
        several = isinstance(tensor, list)
        shape = [tuple(one.shape[1:]) for one in tensor] if several else tuple(tensor.shape[1:])
        with refusal_explained(name, shape):
            layer = self._layer(entry)
            return layer(*tensor) if several and _takes_several(layer) else layer(tensor)

    def _layer(self, entry: LayerEntry) -> Any:
        name = entry.component.name
        if is_applied_again(name, self.layers):
            layer = self.layers[name]
        else:
            named = {"name": entry.name} if entry.name else {}
            arguments, file = dict(entry.component.arguments), _vectors_of(entry)
            if file is not None:
                del arguments[_VECTORS]  # a model that is restored from a checkpoint does without the file
            layer = keras_objects.build("layers", Component(name, {**arguments, **named}))
            if file is not None:
                setattr(layer, _FILE, file)
        if entry.name:
            self.layers[entry.name] = layer
        return layer


def _vectors(path: Path, arguments: Mapping[str, Any]) -> "NDArray[np.float32]":
    """Read the vectors of an `Embedding` with these arguments.

    Raises:
        ModelError: if the file cannot be read, or holds something else.
    """
    import numpy as np

    from kerasrun.sources.npy import mapped

    try:
        array = mapped(path)
    except DataError as error:
        raise ModelError(f"Embedding: weights: {error}") from error
    expected = (arguments.get("input_dim"), arguments.get("output_dim"))
    with np.errstate(over="ignore"):  # what is too large for float32 becomes infinite
        is_usable = (
            array.shape == expected and array.dtype.kind in "iuf" and np.isfinite(array.astype(np.float32)).all()
        )
    if not is_usable:
        raise ModelError(
            f"Embedding: weights: {path} holds {array.dtype} of shape {array.shape}; expected finite numbers of shape "
            f"(input_dim, output_dim), {expected}"
        )
    return array.astype(np.float32)


def is_applied_again(name: str, earlier: Container[str]) -> bool:
    """Return whether an entry of this name applies an earlier layer again; what Keras knows by the name comes first."""
    return name in earlier and name not in identifiers("layers")


def _takes_several(layer: Any) -> bool:
    """Return whether a layer takes tensors one by one, as attention takes query and value, and not as a list."""
    parameters = inspect.signature(layer.call).parameters.values()
    return sum(one.default is one.empty and one.kind is one.POSITIONAL_OR_KEYWORD for one in parameters) > 1


def _is_output(last: Component, output: Output) -> bool:
    name = canonical("layers", last.name)
    activated = last.arguments.get("activation") in ("softmax", "sigmoid")
    if name == "Softmax" or (name in ("Dense", "Activation") and activated):
        return True
    if output.per_pixel:
        channels = last.arguments.get("units" if name == "Dense" else "filters")
        return name in ("Conv1D", "Conv2D", "Dense") and (activated or channels == output.units)
    return name == "Dense" and last.arguments.get("units") == output.units


def _ends_as_needed(last: Component, tensor: Any, output: Output) -> bool:
    """Return whether a plugin's layer, perhaps a whole network, already gives as many outputs as the labels need."""
    rank = 4 if output.per_pixel else 2
    is_own = added("layers", canonical("layers", last.name)) is not None
    return is_own and len(tensor.shape) == rank and tensor.shape[-1] == output.units


def _with_output(tensor: Any, output: Output) -> Any:
    import keras

    if len(tensor.shape) > 2 and not output.per_pixel:
        tensor = keras.layers.Flatten(name="flatten_output")(tensor)
    layer = output.layer(len(tensor.shape))
    result = layer(tensor)
    logger.info("model.layers does not end with an output layer, so one is added: %s", _described(layer))
    return result


def _described(layer: Any) -> str:
    outputs = layer.units if hasattr(layer, "units") else layer.filters
    return f"{type(layer).__name__} of {outputs} outputs, {layer.count_params():,} parameters"


def _side_by_side(outputs: Mapping[str, Any]) -> Any:
    """One tensor with the columns of all outputs; float32 under mixed precision too."""
    from keras import layers

    for name, tensor in outputs.items():
        shape = tuple(tensor.shape[1:])
        if len(shape) != 1:
            raise ModelError(
                f"the output '{name}' has the shape {shape} for each example, but each of several outputs is one row "
                "of numbers: end it with Flatten or GlobalAveragePooling2D, and a Dense"
            )
    return layers.Concatenate(name=JOINED, dtype="float32")(list(outputs.values()))
