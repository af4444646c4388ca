"""Where a class of the installed Keras is defined and what it inherits, read from its source; Keras is not imported.

Files beside Keras, whose classes derive from Keras's, are read the same way once they are added as modules.
"""

import ast
import functools
import importlib.util
import os
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

_added: dict[str, ast.Module] = {}
MOST_LEVELS = 100
"""How deep the syntax of a file of someone else may be nested: what looks at it follows it by recursion."""


@dataclass(frozen=True)
class Place:
    """A definition, and the module that it stands in."""

    module: str
    node: ast.ClassDef | ast.FunctionDef


def add_file(module: str, content: bytes, path: Path) -> None:
    """Have the classes of a file found under a module's name.

    Raises:
        ValueError, SyntaxError: if its content is not Python, or is nested too deeply.
    """
    tree = parsed(content, str(path))
    assert isinstance(tree, ast.Module)
    _added[module] = tree


def parsed(content: bytes | str, filename: str = "", mode: str = "exec") -> ast.AST:
    """Return the tree of what someone else wrote.

    Raises:
        ValueError, SyntaxError: if it is not Python, or is nested too deeply.
    """
    too_deep = f"nested in more than {MOST_LEVELS} levels"
    try:
        with warnings.catch_warnings(action="ignore"):  # whoever runs it hears of what Python would write otherwise
            tree = ast.parse(content, filename, mode)
    except (RecursionError, MemoryError) as error:  # of Python's parser, whose stack is smaller than the memory
        raise ValueError(too_deep) from error
    inner: list[ast.AST] = [tree]
    for _ in range(MOST_LEVELS):
        inner = [child for node in inner for child in ast.iter_child_nodes(node)]
    if inner:
        raise ValueError(too_deep)
    return tree


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
    seen = set()
    while (module, name) not in seen:  # each of two files may say that it has the name from the other
        seen.add((module, name))
        tree = source_of(module)
        bound = bindings(tree).get(name) if tree else None
        if not isinstance(bound, str):
            return None if bound is None else Place(module, bound)
        module, name = _parts(bound)
    return None


@functools.cache
def ancestors(place: Place) -> list[Place]:
    """The class and its bases in the order in which `__init__` is looked up."""
    # A base that is reached twice comes after everything that derives from it: depth first, from the end.
    found: dict[Place, None] = {}
    seen, waiting = {place}, [(place, iter(_bases(place)))]
    while waiting:
        one, bases = waiting[-1]
        base = next((base for base in bases if base not in seen), None)
        if base is None:
            found[one] = None
            waiting.pop()
        else:
            seen.add(base)
            waiting.append((base, iter(_bases(base))))
    return [*reversed(found)]


@functools.cache
def _bases(place: Place) -> list[Place]:
    """Return the bases of a class that are classes too, the last one first."""
    assert isinstance(place.node, ast.ClassDef)
    found = (_base(place.module, base) for base in reversed(place.node.bases))
    return [one for one in found if one is not None and isinstance(one.node, ast.ClassDef)]


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
    for node in statements(tree.body):
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


def statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Give the statements of a module, those of an `if` included."""
    for node in body:
        if isinstance(node, ast.If):
            yield from statements(node.body)
            yield from statements(node.orelse)
        else:
            yield node


def _parts(name: str) -> tuple[str, str]:
    """Return the module and the name of a dotted name."""
    module, _, own = name.removeprefix("tensorflow.").rpartition(".")
    return module, own


def dotted_name(module: str, expression: ast.expr) -> str | None:
    """Return `pathlib.Path` for an expression that names what a module imports so; None for any other."""
    found = _resolved(module, expression)
    return found if isinstance(found, str) else None


def mentions(annotation: ast.expr, name: str) -> bool:
    """Return whether a name of which this is a part stands anywhere in an annotation."""
    words = ((getattr(node, key, "") for key in ("id", "attr", "value")) for node in ast.walk(annotation))
    return any(isinstance(word, str) and name in word for of_node in words for word in of_node)


def _base(module: str, expression: ast.expr) -> Place | None:
    """The class that an expression such as `Layer`, `layers.Layer` or `keras.layers.Layer` names."""
    found = _resolved(module, expression)
    return find(*_parts(found)) if isinstance(found, str) else found


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
