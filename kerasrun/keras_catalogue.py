"""Names and signatures of the installed Keras, read from its source with `ast`; Keras itself is never imported.

The generated `keras/<family>/__init__.py` files say which names are public and where they live; only the files that
a question needs are parsed. An `__init__` that passes `**kwargs` on is completed by its base class's.
"""

import ast
import functools
import importlib.util
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from kerasrun.components import snake_case

FAMILIES: Mapping[str, str] = MappingProxyType(
    {
        "optimizers": "keras.optimizers",
        "schedules": "keras.optimizers.schedules",
        "losses": "keras.losses",
        "metrics": "keras.metrics",
        "callbacks": "keras.callbacks",
        "layers": "keras.layers",
        "initializers": "keras.initializers",
        "regularizers": "keras.regularizers",
        "constraints": "keras.constraints",
        "activations": "keras.activations",
    }
)
"""Each family with the public module that offers it."""

METRIC_WORDS = ("accuracy", "acc", "crossentropy", "ce")
"""Metrics that `Model.compile` chooses itself, by the shape of the output."""

_NOT_OBJECTS = frozenset({"get", "serialize", "deserialize", "Input"})
_SNAKE_CASE_FAMILIES = frozenset({"metrics", "initializers", "regularizers", "constraints"})


@dataclass(frozen=True)
class Parameter:
    """An argument of a Keras object; `default` is its default as written in Keras's source."""

    name: str
    required: bool
    default: str | None = None

    @property
    def plain_default(self) -> object:
        """The default where it is a plain value, else None."""
        try:
            return None if self.default is None else ast.literal_eval(self.default)
        except ValueError:
            return None


@dataclass(frozen=True)
class Signature:
    """What a Keras object may be given by name; `open_ended` where it takes arguments that its source does not name."""

    name: str
    parameters: tuple[Parameter, ...]
    open_ended: bool = False

    def default(self, parameter: str) -> object:
        """The default of `parameter` where it is a plain value, else None."""
        return next((known.plain_default for known in self.parameters if known.name == parameter), None)


@functools.cache
def names(family: str) -> tuple[str, ...]:
    """Every class of a family (activations: every function), each under the one name that Keras gives it."""
    exported = _exports(family)
    return tuple(sorted({_own_name(exported, name) for name in exported if _is_object(family, name)}))


@functools.cache
def identifiers(family: str) -> Mapping[str, str]:
    """Every text that names an object of the family → the object's name in `names(family)`."""
    exported = _exports(family)
    found = {name: name for name in names(family)}
    # Losses may be named by their function: `mean_squared_error` is `MeanSquaredError`.
    functions = {name.lower(): name for name in found} if family == "losses" else {}
    for alias, target in {**{name: _own_name(exported, name) for name in exported}, **_aliases(family)}.items():
        own = found.get(target) or functions.get(target.replace("_", "").lower())
        if own:
            found.setdefault(alias, own)
    if family in _SNAKE_CASE_FAMILIES:
        found = {snake_case(name): name for name in names(family)} | found
    if family == "optimizers":
        found = {name.lower(): name for name in names(family)} | found
    if family == "metrics":
        found |= {word: word for word in METRIC_WORDS}
    return MappingProxyType(found)


def canonical(family: str, name: str) -> str:
    """`adam` → `Adam`, `mse` → `MeanSquaredError`, `he_normal` → `HeNormal`.

    Raises:
        KeyError: if Keras knows no such object in this family.
    """
    known = identifiers(family)
    if name not in known and family == "optimizers":
        return known[name.lower()]
    return known[name]


@functools.cache
def signature(family: str, name: str) -> Signature:
    """What the object called `name` takes.

    Raises:
        KeyError: if Keras knows no such object in this family.
    """
    own = canonical(family, name)
    if family == "metrics" and own in METRIC_WORDS:
        return Signature(own, (Parameter("name", required=False, default="None"),))
    module, original = _exports(family)[own]
    place = _find(module, original)
    if place is None:
        return Signature(own, (), open_ended=True)
    if isinstance(place.node, ast.FunctionDef):
        return Signature(own, tuple(parameters(place.node.args)), open_ended=False)
    taken, open_ended = _constructor(_ancestors(place))
    return Signature(own, tuple(taken), open_ended)


@functools.cache
def tensors(layer: str) -> tuple[str, ...]:
    """What a layer must be applied to, such as `query` and `value`; one name where it takes one, or a list.

    Raises:
        KeyError: if Keras knows no such layer.
    """
    place = _find(*_exports("layers")[canonical("layers", layer)])
    for ancestor in _ancestors(place) if place else ():
        for node in ancestor.node.body:
            if isinstance(node, ast.FunctionDef) and node.name == "call":
                return tuple(one.name for one in parameters(node.args)[1:] if one.required) or ("inputs",)
    return ("inputs",)


@functools.cache
def direction(metric: str) -> str | None:
    """`up` where a larger value of the metric is better, `down` where a smaller one is, None where Keras cannot say."""
    own = canonical("metrics", metric)
    if own in METRIC_WORDS:
        return "up" if own.startswith("acc") else "down"
    place = _find(*_exports("metrics")[own])
    for ancestor in _ancestors(place) if place else ():
        for node in ast.walk(ancestor.node):
            match node:
                case ast.Assign(targets=[ast.Attribute(attr="_direction")], value=ast.Constant(value=str(value))):
                    return value
    return None


def family_of_argument(family: str, parameter: str) -> str | None:
    """The family whose objects an argument takes (`kernel_initializer` → `initializers`), None for plain values."""
    if family in ("optimizers", "schedules"):
        return {"learning_rate": "schedules", "inner_optimizer": "optimizers"}.get(parameter)
    if family != "layers":
        return None
    if parameter in ("layer", "forward_layer", "backward_layer", "layers", "cell", "cells"):
        return "layers"
    ending = parameter.rpartition("_")[2]
    return {
        "initializer": "initializers",
        "regularizer": "regularizers",
        "constraint": "constraints",
        "activation": "activations",
    }.get(ending)


# Which names are public.


def _exports(family: str) -> Mapping[str, tuple[str, str]]:
    return exports(FAMILIES[family])


@functools.cache
def exports(module: str) -> Mapping[str, tuple[str, str]]:
    """Public name → (module, name there), from the lines `from keras.src.x import Y as Z` of a module of Keras."""
    return {
        alias.asname or alias.name: (node.module or "", alias.name)
        for node in parse(module).body
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("keras.src")
        for alias in node.names
    }


def _is_object(family: str, name: str) -> bool:
    if name in _NOT_OBJECTS:
        return False
    return True if family == "activations" else name[0].isupper()


def _own_name(exported: Mapping[str, tuple[str, str]], name: str) -> str:
    """`Convolution2D` → `Conv2D`: the class's name, unless it is public only under another one."""
    original = exported[name][1]
    return original if original in exported else name


def _aliases(family: str) -> Mapping[str, str]:
    """The short names (`"mse": mean_squared_error`) that are added to ALL_OBJECTS_DICT of a family."""
    found: dict[str, str] = {}
    path = _file(FAMILIES[family].replace("keras.", "keras.src.", 1))
    for node in _parse(path).body if path else ():
        match node:
            case ast.Expr(value=ast.Call(func=ast.Attribute(attr="update"), args=[ast.Dict(keys=keys, values=values)])):
                for key, value in zip(keys, values, strict=True):
                    if isinstance(key, ast.Constant) and isinstance(value, ast.Name):
                        found[str(key.value)] = value.id
            case ast.Assign(targets=[ast.Subscript(slice=ast.Constant(value=str(alias)))], value=ast.Name(id=target)):
                found[alias] = target
    return found


# Where a class lives, and what it inherits.


@dataclass(frozen=True)
class _Place:
    module: str
    node: ast.ClassDef | ast.FunctionDef


@functools.cache
def _root() -> Path:
    spec = importlib.util.find_spec("keras")
    assert spec is not None, "keras is a dependency of kerasrun"
    assert spec.origin is not None
    return Path(spec.origin).parent


@functools.cache
def _file(module: str) -> Path | None:
    """The file of a module of Keras; None for what is no module, or no part of Keras."""
    top, *rest = module.split(".")
    if top != "keras":
        return None
    path = _root().joinpath(*rest)
    for candidate in (path / "__init__.py", path.with_suffix(".py")):
        if candidate.is_file():
            return candidate
    return None


def parse(module: str) -> ast.Module:
    """The source of a module of Keras, such as `keras.layers`."""
    path = _file(module)
    assert path is not None, f"{module} is no module of the installed Keras"
    return _parse(path)


@functools.cache
def _parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@functools.cache
def _bindings(path: Path) -> Mapping[str, ast.ClassDef | ast.FunctionDef | tuple[str, str]]:
    """Name → its definition in this module, or (module, name) where it is imported.

    Keras chooses its backend by `if`/`elif`; TensorFlow's branch is the first, so the first binding counts.
    """
    found: dict[str, ast.ClassDef | ast.FunctionDef | tuple[str, str]] = {}
    for node in _statements(_parse(path).body):
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            found.setdefault(node.name, node)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                found.setdefault(alias.asname or alias.name, (node.module, alias.name))
    return found


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    for node in body:
        if isinstance(node, ast.If):
            yield from _statements(node.body)
            yield from _statements(node.orelse)
        else:
            yield node


def _find(module: str, name: str) -> _Place | None:
    """The definition of `module.name`, through re-exports; None if it is outside Keras."""
    path = _file(module)
    if path is None:
        return None
    bound = _bindings(path).get(name)
    if isinstance(bound, tuple):
        return _find(*bound)
    return None if bound is None else _Place(module, bound)


def _ancestors(place: _Place) -> list[_Place]:
    """The class and its bases in the order in which `__init__` is looked up."""
    order: list[_Place] = [place]
    assert isinstance(place.node, ast.ClassDef)
    for base in place.node.bases:
        found = _base(place.module, base)
        if found is not None and isinstance(found.node, ast.ClassDef):
            order += _ancestors(found)
    # A base that is reached twice comes after everything that derives from it.
    return [entry for index, entry in enumerate(order) if entry not in order[index + 1 :]]


def _base(module: str, expression: ast.expr) -> _Place | None:
    path = _file(module)
    assert path is not None
    match expression:
        case ast.Name(id=name):
            return _find(module, name)
        case ast.Attribute(value=ast.Name(id=imported), attr=name):
            bound = _bindings(path).get(imported)
            return _find(".".join(bound), name) if isinstance(bound, tuple) else None
    return None


# What a constructor takes.


def _constructor(ancestors: list[_Place]) -> tuple[list[Parameter], bool]:
    for index, place in enumerate(ancestors):
        assert isinstance(place.node, ast.ClassDef)
        for node in place.node.body:
            if isinstance(node, ast.FunctionDef) and node.name == "__init__":
                return _completed(node, ancestors[index + 1 :])
    return [], False


def _completed(init: ast.FunctionDef, bases: list[_Place]) -> tuple[list[Parameter], bool]:
    """The parameters of `init`, with those of the base's to which its `**kwargs` go."""
    own = parameters(init.args)[1:]
    if init.args.kwarg is None:
        return own, False
    rest = init.args.kwarg.arg
    own += _popped(init, rest)
    for call in _calls(init):
        if not any(keyword.arg is None and _is_name(keyword.value, rest) for keyword in call.keywords):
            continue
        if not (isinstance(call.func, ast.Attribute) and call.func.attr == "__init__"):
            continue
        inherited, open_ended = _constructor(bases)
        positional = [argument for argument in call.args if not isinstance(argument, ast.Starred)]
        given = {keyword.arg for keyword in call.keywords} | {parameter.name for parameter in own}
        return own + [known for known in inherited[len(positional) :] if known.name not in given], open_ended
    # What is not passed on is refused: `if kwargs: raise`.
    return own, False


def parameters(arguments: ast.arguments) -> list[Parameter]:
    """What a function takes by name."""
    positional = arguments.posonlyargs + arguments.args
    defaults: list[ast.expr | None] = [None] * (len(positional) - len(arguments.defaults))
    defaults += arguments.defaults + arguments.kw_defaults
    return [
        Parameter(argument.arg, required=default is None, default=None if default is None else ast.unparse(default))
        for argument, default in zip(positional + arguments.kwonlyargs, defaults, strict=True)
    ]


def _popped(init: ast.FunctionDef, rest: str) -> list[Parameter]:
    """`kwargs.pop("implementation", 2)`: an argument that the signature hides. Those without a value are legacy."""
    found = []
    for call in _calls(init):
        match call:
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id=name), attr="pop"),
                args=[ast.Constant(value=str(argument)), ast.Constant(value=default)],
            ) if name == rest and default is not None:
                found.append(Parameter(argument, required=False, default=repr(default)))
    return found


def _calls(node: ast.AST) -> Iterator[ast.Call]:
    return (child for child in ast.walk(node) if isinstance(child, ast.Call))


def _is_name(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name
