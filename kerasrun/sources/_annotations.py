"""What annotations and defaults of a plugin mean, as far as they can be read without running the file."""

import ast
import builtins
import collections.abc
import contextlib
import typing
from collections.abc import Mapping
from types import EllipsisType, ModuleType
from typing import Annotated, Any, Literal, Union

import pydantic
from pydantic import Field, TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError
from pydantic.fields import FieldInfo
from pydantic_core import SchemaError

from kerasrun import components
from kerasrun.components import ExperimentPath
from kerasrun.keras_source import dotted_name, mentions, parsed

_SIGNS = ("Positive", "Negative", "NonPositive", "NonNegative")
_KNOWN: Mapping[str, tuple[ModuleType, tuple[str, ...]]] = {
    "": (builtins, ("bool", "dict", "float", "int", "list", "str", "tuple")),
    "collections.abc": (collections.abc, ("Collection", "Iterable", "Mapping", "Sequence")),
    "kerasrun.components": (components, ("Component", "ExperimentPath")),
    "pydantic": (
        pydantic,
        (
            *(f"{sign}{kind}" for sign in _SIGNS for kind in ("Int", "Float")),
            *("FiniteFloat", "StrictBool", "StrictFloat", "StrictInt", "StrictStr"),
        ),
    ),
    "typing": (
        typing,
        (
            *("Annotated", "Any", "Collection", "Dict", "Iterable", "List", "Literal", "Mapping", "Optional"),
            *("Sequence", "Tuple", "Union"),
        ),
    ),
}
"""Module → what an annotation may name of it: pydantic has types that import what a value names."""
_FIELD = (
    *("allow_inf_nan", "default", "description", "ge", "gt", "le", "lt", "max_length", "min_length", "multiple_of"),
    *("pattern", "strict", "title"),
)
"""The arguments of `Field` that say which values there may be."""


_SAMPLES = (True, 1, 0.5, "1", [1], {"1": 1}, None)
"""A value of each kind: some constraints fail only when a value comes that they are not for."""


_REFUSALS = (PydanticUserError, SchemaError, TypeError, ValueError, ArithmeticError, AttributeError, RecursionError)
"""How pydantic refuses a type, or a constraint that is not for it."""


class UnreadableError(Exception):
    """The value of an expression is known only when the file is run."""


def field_of(annotation: ast.expr | None, default: ast.expr | None, module: str) -> tuple[Any, FieldInfo]:
    """Return the type and the field that an argument means to pydantic; without a default it is required.

    A path is one of the experiment. A default that cannot be read is None here, and a type Any.
    """
    found = _type(annotation, module)
    if default is None:
        field = FieldInfo(description=_MEANING)
    else:
        try:
            given = _default(default, module)
        except UnreadableError:
            given, found = None, found | None
        field = given if isinstance(given, FieldInfo) else FieldInfo(default=given, description=_MEANING)
    try:
        adapter = TypeAdapter[Any](Annotated[found, field])  # type: ignore[arg-type]
        for sample in _SAMPLES:
            with contextlib.suppress(ValidationError):
                adapter.validate_python(sample)
    except _REFUSALS:  # they are told with the line when the file is imported
        return Any, FieldInfo(default=... if default is None else None, description=_MEANING)
    return found, field


_MEANING = "As in the plugin."


def _type(annotation: ast.expr | None, module: str) -> Any:
    if annotation is None:
        return Any
    try:
        return _value(annotation, module)
    except (UnreadableError, TypeError):
        return ExperimentPath if mentions(annotation, "Path") else Any


def _default(node: ast.expr, module: str) -> Any:
    """Return a plain value, or what `Field` gives."""
    match node:
        case ast.Call(func=function, args=given, keywords=named) if dotted_name(module, function) == "pydantic.Field":
            keywords = {str(one.arg): _literal(one.value) for one in named if one.arg in _FIELD}
            if len(keywords) < len(named):
                raise UnreadableError
            try:
                return Field(*map(_literal, given), **keywords)
            except (PydanticUserError, TypeError) as error:
                raise UnreadableError from error
    return _literal(node)


def _literal(node: ast.expr) -> Any:
    try:
        value = ast.literal_eval(node)
        repr(value)  # a number of very many digits cannot be written down
    except (ValueError, TypeError) as error:
        raise UnreadableError from error
    return value


def _value(node: ast.expr, module: str) -> Any:
    match node:
        case ast.Constant(value=str(text)):  # an annotation in quotes
            return _value(_parsed(text), module)
        case ast.Constant(value=None | EllipsisType() as value):
            return value
        case ast.Name() | ast.Attribute():
            return _named(dotted_name(module, node) or str(getattr(node, "id", "")))
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return _either([left, right], module)
        case ast.Subscript(value=of, slice=inside):
            return _subscript(_value(of, module), inside, module)
    raise UnreadableError


def _parsed(text: str) -> ast.expr:
    try:
        tree = parsed(text, mode="eval")
    except (SyntaxError, ValueError) as error:
        raise UnreadableError from error
    assert isinstance(tree, ast.Expression)
    return tree.body


def _named(name: str) -> Any:
    module, _, own = name.rpartition(".")
    if module == "pathlib" and own.endswith("Path"):
        return ExperimentPath
    here, names = _KNOWN.get(module, (builtins, ()))
    if own not in names:
        raise UnreadableError
    return getattr(here, own)


def _subscript(of: Any, inside: ast.expr, module: str) -> Any:
    parts = inside.elts if isinstance(inside, ast.Tuple) else [inside]
    if of is Literal:
        return Literal[tuple(map(_literal, parts))]
    if of is Union:
        return _either(parts, module)
    if of is Annotated:
        first, *marks = parts
        return Annotated[_value(first, module), *(_default(one, module) for one in marks)]
    return of[tuple(_value(one, module) for one in parts)]


def _either(parts: list[ast.expr], module: str) -> Any:
    """Return the union of types; text beside a path means a path, which is text in YAML."""
    found = [_value(one, module) for one in parts]
    return Union[tuple(one for one in found if one is not str or ExperimentPath not in found)]  # noqa: UP007
