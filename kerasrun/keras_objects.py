"""Components → Keras objects. Keras is imported when the first one is built."""

import importlib
from collections.abc import Mapping
from typing import Any

from kerasrun import plugins
from kerasrun.components import Component, as_component
from kerasrun.errors import KerasrunError, ModelError
from kerasrun.keras_catalogue import (
    FAMILIES,
    RATES,
    Added,
    added,
    canonical,
    family_of_argument,
    module_of,
    signature,
)


def build(family: str, component: Component) -> Any:
    """The object of `keras.<family>` that `component` describes, or one added to it; its arguments are built first.

    Raises:
        ModelError: if Keras has no such object, or refuses its arguments; with Keras's own sentence.
    """
    try:
        name = canonical(family, component.name)
    except KeyError:
        raise ModelError(f"{FAMILIES.get(family, family)} has no '{component.name}'") from None
    plugins.load()
    constructor = getattr(importlib.import_module(module_of(family, name)), name)
    arguments = {key: _argument(family, key, value) for key, value in component.arguments.items()}
    if family == "optimizers" and isinstance(arguments.get("learning_rate"), int):
        arguments["learning_rate"] = float(arguments["learning_rate"])  # Keras takes 1.0, but not 1
    if family == "losses" and name == "Tversky":
        # Keras 3.15 weights false negatives by alpha, against its own words: https://github.com/keras-team/keras/pull/23333
        arguments |= {"alpha": arguments.get("beta", 0.5), "beta": arguments.get("alpha", 0.5)}
    one = added(family, name)
    if one and one.is_function:
        return _function(family, constructor, one, arguments)
    try:
        return constructor(**arguments)
    except (KerasrunError, MemoryError):
        raise
    except Exception as error:
        if one and not isinstance(error, ValueError | TypeError):
            raise  # a plugin's own error keeps the line in its file
        required = [known.name for known in signature(family, name).parameters if known.required]
        missing = [argument for argument in required if argument not in arguments]
        told = f"'{missing[0]}' is missing" if missing else " ".join(str(error).split()) or type(error).__name__
        raise ModelError(f"{component.name}: {told}") from error


def _function(family: str, function: Any, one: Added, arguments: Mapping[str, Any]) -> Any:
    """A function where Keras takes one; a metric gets the name that the logs will have."""
    if family == "metrics":
        return importlib.import_module("keras").metrics.MeanMetricWrapper(function, **arguments)
    if family == RATES:
        return lambda epoch, rate: float(function(epoch, *([rate] if one.takes_rate else []), **arguments))
    return function


def _argument(family: str, parameter: str, value: Any) -> Any:
    """A component becomes an object where the parameter takes one; everything else is what it is."""
    inner = family_of_argument(family, parameter)
    if inner is None or value is None:
        return value
    if inner == "activations":
        return build(inner, Component(value)) if isinstance(value, str) and added(inner, value) else value
    if isinstance(value, list | tuple):
        return [_argument(family, parameter, item) for item in value]
    if isinstance(value, str | Mapping | Component):
        return build(inner, as_component(value))
    return value
