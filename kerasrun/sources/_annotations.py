"""What annotations and defaults of a plugin mean, as far as they can be read without running the file."""

import ast
import builtins
import importlib
from types import EllipsisType
from typing import Annotated, Any, Literal, Union

from pydantic import Field, TypeAdapter
from pydantic.errors import PydanticUserError
from pydantic.fields import FieldInfo

from kerasrun.components import ExperimentPath
from kerasrun.keras_source import dotted_name

_BUILTINS = ("bool", "dict", "float", "int", "list", "str", "tuple")
_MODULES = ("collections.abc", "kerasrun.components", "pydantic", "typing")


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
        TypeAdapter[Any](Annotated[found, field])  # type: ignore[arg-type]
    except (PydanticUserError, TypeError):  # what pydantic refuses is told with the line when the file is imported
        return Any, FieldInfo(default=... if default is None else None, description=_MEANING)
    return found, field


_MEANING = "As in the plugin."


def _type(annotation: ast.expr | None, module: str) -> Any:
    if annotation is None:
        return Any
    try:
        return _value(annotation, module)
    except (UnreadableError, TypeError):
        return ExperimentPath if "Path" in ast.unparse(annotation) else Any


def _default(node: ast.expr, module: str) -> Any:
    """Return a plain value, or what `Field` gives."""
    try:
        return ast.literal_eval(node)
    except ValueError:
        pass
    match node:
        case ast.Call(func=function, args=given, keywords=named) if dotted_name(module, function) == "pydantic.Field":
            keywords = {str(one.arg): _default(one.value, module) for one in named}
            return Field(*(_default(one, module) for one in given), **keywords)
    raise UnreadableError


def _value(node: ast.expr, module: str) -> Any:
    match node:
        case ast.Constant(value=str(text)):  # an annotation in quotes
            return _value(_parsed(text), module)
        case ast.Constant(value=None | EllipsisType() as value):
            return value
        case ast.Name() | ast.Attribute():
            return _named(dotted_name(module, node) or ast.unparse(node))
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return _either([left, right], module)
        case ast.Subscript(value=of, slice=inside):
            return _subscript(_value(of, module), inside, module)
    raise UnreadableError


def _parsed(text: str) -> ast.expr:
    try:
        return ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError) as error:
        raise UnreadableError from error


def _named(name: str) -> Any:
    module, _, own = name.rpartition(".")
    if name in _BUILTINS:
        return getattr(builtins, name)
    if module == "pathlib" and own.endswith("Path"):
        return ExperimentPath
    if module not in _MODULES or not hasattr(importlib.import_module(module), own):
        raise UnreadableError
    return getattr(importlib.import_module(module), own)


def _subscript(of: Any, inside: ast.expr, module: str) -> Any:
    parts = inside.elts if isinstance(inside, ast.Tuple) else [inside]
    if of is Literal:
        try:
            return Literal[tuple(map(ast.literal_eval, parts))]
        except ValueError as error:
            raise UnreadableError from error
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
