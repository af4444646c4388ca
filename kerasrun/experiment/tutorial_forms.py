"""Forms that tutorials and Python use, read where their meaning is certain: `Dropout: 0.5`, `Dense(64)`, `(3, 3)`."""

import ast
import re
from typing import Any

from kerasrun.experiment.slots import components
from kerasrun.keras_catalogue import Parameter, canonical, signature
from kerasrun.keras_source import parsed
from kerasrun.text.document import Document
from kerasrun.text.problems import Place
from kerasrun.text.yaml_text import Node, read_scalar, walk

_LONGEST_CALL = 2_000
"""How many characters a call may have: its values are not among those that YAML counts."""
_NUMBER = r"[-+]?[0-9.]+"
_TUPLE = re.compile(rf"\(\s*+{_NUMBER}\s*+(?:,\s*+{_NUMBER}\s*+)*+(?:,\s*+)?\)")


def accept(document: Document) -> None:
    """Turn these forms into the usual ones, in place; what is not certain stays for the checks to report."""
    for _, node in walk(document.root):
        if isinstance(node.value, str) and node.written is not None and _TUPLE.fullmatch(node.value):
            parts = node.value.strip("()").split(",")
            node.value = [Node(read_scalar(part.strip()), node.place) for part in parts if part.strip()]
    for _, node, keras in list(components(document)):
        if isinstance(node.value, str) and node.value.endswith(")"):
            _accept_call(node, keras.family)
        elif isinstance(node.value, dict) and len(node.value) == 1:
            ((name, value),) = node.value.items()
            if value.value is not None and not isinstance(value.value, dict):
                _accept_positional(node, name, value, keras.family)


def _accept_positional(node: Node, name: str, value: Node, family: str) -> None:
    """Turn `{Dropout: 0.5}` into `{Dropout: {rate: 0.5}}`: the value is the first argument of Keras's signature."""
    parameters = _parameters(family, name)
    if parameters and _may_be(value.value, parameters[0]):
        assert isinstance(node.value, dict)
        node.value[name] = Node({parameters[0].name: value}, value.place, value.key)


def _may_be(value: object, parameter: Parameter) -> bool:
    """Return whether a value is of the kind of the default; a required argument has none."""
    default = parameter.plain_default
    if default is None:
        return True
    return isinstance(value, str) == isinstance(default, str) and isinstance(value, bool) == isinstance(default, bool)


def _accept_call(node: Node, family: str) -> None:
    """Turn `Dense(64, activation='relu')` into `{Dense: {units: 64, activation: relu}}`."""
    if len(str(node.value)) > _LONGEST_CALL:
        return
    try:
        tree = parsed(str(node.value), mode="eval")
        call = tree.body if isinstance(tree, ast.Expression) else tree
        assert isinstance(call, ast.Call)
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        names = [parameter.name for parameter in _parameters(family, name)]
        given = zip(names, call.args, strict=False)
        named = ((one.arg, one.value) for one in call.keywords)
        arguments = _node({str(key): ast.literal_eval(value) for key, value in (*given, *named)}, node.place)
    except (AssertionError, SyntaxError, ValueError, TypeError):
        return
    if names and len(call.args) <= len(names):
        node.value = {name: arguments}


def _parameters(family: str, name: str) -> list[Parameter]:
    """Return the arguments of an object of Keras; none where it is unknown or takes none by place."""
    try:
        known = signature(family, canonical(family, name))
    except KeyError:
        return []
    return [one for one in known.parameters if one.name not in ("name", "dtype")]


def _node(value: Any, place: Place) -> Node:
    """
    Raises:
        ValueError: if YAML has no such value.
    """
    if isinstance(value, dict):
        return Node({_checked(str(key)): _node(one, place) for key, one in value.items()}, place)
    if isinstance(value, list | tuple):
        return Node([_node(one, place) for one in value], place)
    return Node(_checked(value), place)


def _checked(value: Any) -> Any:
    if isinstance(value, str):
        value.encode()  # not with half of a pair of UTF-16
    is_right = "\0" not in value if isinstance(value, str) else isinstance(value, bool | float | None)
    if not is_right and not (isinstance(value, int) and abs(value) < 10**99):
        raise ValueError(value)
    return value
