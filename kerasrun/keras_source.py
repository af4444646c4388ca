"""Where a class of the installed Keras is defined and what it inherits, read from its source; Keras is not imported.

Files beside Keras, whose classes derive from Keras's, are read the same way once they are added as modules.
"""

import ast
import functools
import importlib.util
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

_added: dict[str, ast.Module] = {}


@dataclass(frozen=True)
class Place:
    """A definition, and the module that it stands in."""

    module: str
    node: ast.ClassDef | ast.FunctionDef


def add_file(module: str, content: bytes, path: Path) -> None:
    """Have the classes of a file found under a module's name.

    Raises:
        UnicodeDecodeError, SyntaxError: if its content is not Python.
    """
    _added[module] = ast.parse(content, filename=str(path))


@functools.cache
def _root() -> Path:
    """The folder of the installed Keras."""
    spec = importlib.util.find_spec("keras")
    assert spec is not None, "keras is a dependency of kerasrun"
    assert spec.origin is not None
    return Path(spec.origin).parent


def source_of(module: str) -> ast.Module | None:
    """The source of a module of Keras, or of one that was added; None for any other."""
    if module in _added:
        return _added[module]
    path = _file_of(module)
    return None if path is None else _parse(path)


def find(module: str, name: str) -> Place | None:
    """The definition of `module.name`, through re-exports; None if it is neither in Keras nor in what was added."""
    tree = source_of(module)
    bound = bindings(tree).get(name) if tree else None
    if isinstance(bound, str):
        return None if bound == f"{module}.{name}" else _find_dotted(bound)
    return None if bound is None else Place(module, bound)


def ancestors(place: Place) -> list[Place]:
    """The class and its bases in the order in which `__init__` is looked up."""
    order: list[Place] = [place]
    assert isinstance(place.node, ast.ClassDef)
    for base in place.node.bases:
        found = _base(place.module, base)
        if found is not None and isinstance(found.node, ast.ClassDef):
            order += ancestors(found)
    # A base that is reached twice comes after everything that derives from it.
    return [entry for index, entry in enumerate(order) if entry not in order[index + 1 :]]


def imported_bases(place: Place) -> set[str]:
    """The dotted names of the bases of a class, and of its bases in the same file, that are imported."""
    names = (dotted_name(one.module, base) for one in ancestors(place) for base in getattr(one.node, "bases", ()))
    return {name for name in names if name}


@functools.cache
def bindings(tree: ast.Module) -> Mapping[str, ast.ClassDef | ast.FunctionDef | str]:
    """Name → its definition in this module, or the dotted name of what is imported.

    Keras chooses its backend by `if`/`elif`; TensorFlow's branch is the first, so the first binding counts.
    """
    found: dict[str, ast.ClassDef | ast.FunctionDef | str] = {}
    for node in _statements(tree.body):
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            found.setdefault(node.name, node)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                found.setdefault(alias.asname or alias.name, f"{node.module}.{alias.name}")
        elif isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                found.setdefault(alias.asname or top, alias.name if alias.asname else top)
    return found


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    for node in body:
        if isinstance(node, ast.If):
            yield from _statements(node.body)
            yield from _statements(node.orelse)
        else:
            yield node


def _find_dotted(name: str) -> Place | None:
    module, _, own = name.removeprefix("tensorflow.").rpartition(".")
    return find(module, own)


def dotted_name(module: str, expression: ast.expr) -> str | None:
    """Return `pathlib.Path` for an expression that names what a module imports so; None for any other."""
    found = _resolved(module, expression)
    return found if isinstance(found, str) else None


def _base(module: str, expression: ast.expr) -> Place | None:
    """The class that an expression such as `Layer`, `layers.Layer` or `keras.layers.Layer` names."""
    found = _resolved(module, expression)
    return _find_dotted(found) if isinstance(found, str) else found


def _resolved(module: str, expression: ast.expr) -> Place | str | None:
    """Return the definition that an expression names, or the dotted name of what is imported."""
    attributes: list[str] = []
    while isinstance(expression, ast.Attribute):
        attributes.insert(0, expression.attr)
        expression = expression.value
    tree = source_of(module)
    if not isinstance(expression, ast.Name) or tree is None:
        return None
    bound = bindings(tree).get(expression.id)
    if isinstance(bound, str):
        return ".".join([bound, *attributes])
    return Place(module, bound) if bound is not None and not attributes else None


@functools.cache
def _file_of(module: str) -> Path | None:
    top, *rest = module.split(".")
    if top != "keras" or not all(part.isidentifier() for part in rest):
        return None
    path = _root().joinpath(*rest)
    for candidate in (path / "__init__.py", path.with_suffix(".py")):
        if os.path.isfile(candidate):  # noqa: PTH113  Path raises where a name is too long
            return candidate
    return None


@functools.cache
def _parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))
