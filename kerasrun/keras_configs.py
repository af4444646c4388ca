"""Hold the config of a network against an allow-list, before Keras builds anything of it.

A config names classes and functions of Keras by module, and Keras builds and calls them with arguments of the config's
choice. Its safe mode forbids a few; here only what computes with tensors alone is let through. Light to import.
"""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from typing_extensions import TypedDict

from kerasrun.keras_bounds import bounds_of_work
from kerasrun.keras_catalogue import FAMILIES, PLUGIN_MODULES, is_of_plugin
from kerasrun.keras_source import Place, find

_CLASSES = tuple(
    f"keras.src.{part}"
    for part in (
        *("layers.", "applications.", "models.", "initializers.", "regularizers.", "constraints.", "losses."),
        *("metrics.", "optimizers.", "dtype_policies.", "random.seed_generator"),
        *("quantizers.quantizers", "quantizers.quantization_config"),
    )
)
"""How the modules begin that define what may be built. TFSMLayer and the layers of other frameworks stand elsewhere."""
_FUNCTIONS = ("keras.src.activations.", "keras.src.losses.", "keras.src.metrics.")
_OPERATIONS = frozenset(f"keras.src.ops.{part}" for part in ("einops", "image", "linalg", "math", "nn", "numpy"))
_TAKE_FUNCTIONS = frozenset({"JVP", "jvp", "vectorize"})
_CORE = "keras.src.ops.core"
_OF_CORE = frozenset(
    {"Cast", "ConvertToTensor", "SaturateCast", "Scatter", "ScatterUpdate", "Slice", "SliceUpdate", "StopGradient"}
    | {"Unstack"}
)
"""The operations of that module that call no functions, as Cond, Map, Scan, Switch and WhileLoop do."""
_VALUES = frozenset({"__keras_tensor__", "__tensor__", "__numpy__", "__bytes__", "__ellipsis__", "__slice__"})
_OLD_VALUES = frozenset({"__tuple__", "TensorShape"})
"""Values in files of Keras 2, which have no `config`."""
_SEARCHED = (*(module for family, module in FAMILIES.items() if family != "callbacks"), "keras", "keras.src.models")
"""Where Keras may look for a name that is written without its module."""
_LONGEST = 200
"""How many characters of a name or a place are told."""
_ADVICE = "Give --trust if you know who wrote it, or take a network of Keras's own layers"


class Layer(TypedDict):
    class_name: str
    config: dict[str, Any]


class Layers(TypedDict):
    layers: list[Layer]


class Architecture(TypedDict):
    """What is used here of a network's config, as `model.to_json()` gives it; Keras uses more."""

    class_name: Literal["Sequential", "Functional", "Model"]
    config: Layers


def refusal(config: Any, file: Path) -> str | None:
    """Return a sentence about the first thing in the config of a network that must not be built without trust."""
    for where, one in _objects(config):
        if why := _refused(one, where):
            return f"{file}{why}"
    return None


def _objects(config: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give every object, however deep, with its path in the config."""
    waiting = [("", config)]
    while waiting:
        where, value = waiting.pop()
        if isinstance(value, dict):
            if "class_name" in value:
                yield where.removeprefix("."), value
            inner = [(f"{where}{_step(key)}", item) for key, item in value.items()]
        elif isinstance(value, list):
            inner = [(f"{where}[{index}]", item) for index, item in enumerate(value)]
        else:
            continue
        waiting += reversed(inner)


def _step(key: Any) -> str:
    return f".{key}" if str(key).isidentifier() else f"[{key!r}]"


def _refused(one: dict[str, Any], where: str) -> str | None:
    kind, module, config = one["class_name"], one.get("module") or "", one.get("config")
    is_function = kind == "function"
    name = config if is_function else kind
    at = f" (in its config: {where[:_LONGEST]})" if where else ""
    if not isinstance(name, str) or not isinstance(module, str):
        return f": {_shown(name)} of {_shown(module)} is not the name of something of Keras{at}"
    if name in _VALUES or (name in _OLD_VALUES and "config" not in one and not module):
        return None
    sort = "function" if is_function else "class"
    places = _places(module, name)
    if not places and not _is_imported(module):
        if module.startswith(("kerasrun.", PLUGIN_MODULES)) or ">" in name or is_of_plugin(name):
            return None  # Keras finds it only among what kerasrun and the plugins in use have registered.
        advice = "name the Python file that has it under plugins:"
        return f" needs the {sort} {_shown(name)}, which is not Keras's: {advice}{at}"
    named = f"it has the {sort} {_shown(name)}"
    if isinstance(config, dict) and "name" in config:
        named = f"the layer {_shown(config['name'])} is a {name[:_LONGEST]}"
    if not places or not all(_is_allowed(place, is_function) for place in places):
        return f": {named}{at}, which can run code of its author's choice. {_ADVICE}"
    if one.get("registered_name") not in (None, "", name, kind):
        return f": {named}{at}, but calls it {_shown(one['registered_name'])}, which may be code. {_ADVICE}"
    if isinstance(config, dict) and isinstance(config.get("vocabulary"), str):
        return f": {named}{at}, which reads the file {_shown(config['vocabulary'])}. {_ADVICE}"
    if isinstance(config, dict) and (beyond := _beyond(name, config)):
        return f": {named}{at}, whose {beyond}. {_ADVICE}"
    return None


def _beyond(name: str, config: dict[str, Any]) -> str | None:
    """Return the first number in a config by which Keras would repeat or make room without an end, as a clause."""
    for key, value in config.items():
        bounds = bounds_of_work(name, key)
        for one in value if isinstance(value, list) else [value]:
            if bounds and isinstance(one, int | float) and not bounds.hold(one):
                return f"{_shown(key)} is {_shown(one)}; expected {bounds.words}"
    return None


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _is_imported(module: str) -> bool:
    """Return whether Keras imports a module; what other modules name it looks up in its registry alone."""
    return module.partition(".")[0] in ("keras", "keras_cv", "keras_hub", "keras_nlp")


def _places(module: str, name: str) -> list[Place]:
    """Return every definition that Keras may mean."""
    searched: tuple[str, ...] = (module,) if _is_imported(module) else _SEARCHED
    return [place for one in searched if (place := find(one, name))]


def _is_allowed(place: Place, is_function: bool) -> bool:
    module, name = place.module, place.node.name
    if is_function and not isinstance(place.node, ast.FunctionDef):
        return False
    if module == _CORE:
        return name in _OF_CORE
    if module in _OPERATIONS:
        return name not in _TAKE_FUNCTIONS
    if isinstance(place.node, ast.FunctionDef):
        return module.startswith(_FUNCTIONS)
    return module.startswith(_CLASSES) and name != "Lambda"
