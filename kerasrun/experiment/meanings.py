"""The meaning of a key: the docstring below its field, read from the source once somebody asks.

Pydantic would read those of every class (`use_attribute_docstrings`) each time kerasrun starts, a third of what
`validate` takes, for words that only a message about a missing key and the reference show.
"""

import ast
import functools
import inspect
import sys
from collections.abc import Mapping
from itertools import pairwise

from pydantic import BaseModel


def meaning(model: type[BaseModel], field: str) -> str:
    """The documentation of a field, without line breaks; empty if it has none."""
    described = model.model_fields[field].description
    found = (documented[field] for base in model.__mro__ if field in (documented := _docstrings(base)))
    return " ".join((described or next(found, "")).split())


@functools.cache
def _docstrings(one: type) -> Mapping[str, str]:
    """Field → the text below it, of those that the class itself declares."""
    if not issubclass(one, BaseModel):
        return {}
    # A class that is made by a function has no body; its fields say themselves what they mean.
    statements = _source(one.__module__).body
    bodies = (node.body for node in statements if isinstance(node, ast.ClassDef) and node.name == one.__name__)
    found = {}
    for before, after in pairwise(next(bodies, [])):
        match before, after:
            case ast.AnnAssign(target=ast.Name(id=field)), ast.Expr(value=ast.Constant(value=str(text))):
                found[field] = text
    return found


@functools.cache
def _source(module: str) -> ast.Module:
    return ast.parse(inspect.getsource(sys.modules[module]))
