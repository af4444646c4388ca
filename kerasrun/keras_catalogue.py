"""Names and signatures of the installed Keras, read from its source with `ast`; Keras itself is never imported.

The generated `keras/<family>/__init__.py` files say which names are public and where they live; only the files that
a question needs are parsed. An `__init__` that passes `**kwargs` on is completed by its base class's.

What kerasrun adds to Keras, and the files of a user that `use` names, are read the same way and named like Keras's own.
"""

import ast
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from kerasrun.components import snake_case
from kerasrun.keras_rules import RefusedError, check_constructor
from kerasrun.keras_source import Place, add_file, ancestors, find, imported_bases, source_of

FAMILIES: Mapping[str, str] = MappingProxyType(
    {"optimizers": "keras.optimizers", "schedules": "keras.optimizers.schedules"}
    | {family: f"keras.{family}" for family in ("losses", "metrics", "callbacks", "layers")}
    | {family: f"keras.{family}" for family in ("initializers", "regularizers", "constraints", "activations")}
)
"""Each family with the public module that offers it."""

PLUGIN_MODULES = "kerasrun_plugins."
"""How the names of the modules begin as which plugins are imported."""

OWN = ("kerasrun.dice", "kerasrun.learning_rates")
"""The modules of what kerasrun adds to Keras."""

RATES = "rates"
"""The family of functions from an epoch to a learning rate; Keras has none by name."""

SOURCES = "sources"
"""The family of functions and classes that give the arrays of a split."""

METRIC_WORDS = ("accuracy", "acc", "crossentropy", "ce")
"""Metrics that `Model.compile` chooses itself, by the shape of the output."""

_NOT_OBJECTS = frozenset({"get", "serialize", "deserialize", "Input"})
_SNAKE_CASE_FAMILIES = frozenset({"metrics", "initializers", "regularizers", "constraints", SOURCES})


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
    """The arguments of a Keras object; `open_ended` where it takes arguments that its source does not name."""

    name: str
    parameters: tuple[Parameter, ...]
    open_ended: bool = False

    def default(self, parameter: str) -> object:
        """Return the default of `parameter` where it is a plain value, else None."""
        return next((known.plain_default for known in self.parameters if known.name == parameter), None)


@functools.cache
def names(family: str) -> tuple[str, ...]:
    """Return every class of a family (activations: every function), each under the one name that Keras gives it."""
    exported = exports(FAMILIES[family])
    named = (name for name in exported if family == "activations" or name[0].isupper())
    return tuple(sorted({_own_name(exported, name) for name in named if name not in _NOT_OBJECTS}))


def identifiers(family: str) -> Mapping[str, str]:
    """Return, for every text that names an object, its name: one of `names(family)`, or that of an added one."""
    own = {name: one.name for one in _added_to(family) for name in _spellings(family, one.name)}
    return MappingProxyType({**own, **_keras_identifiers(family)}) if own else _keras_identifiers(family)


def _spellings(family: str, name: str) -> tuple[str, ...]:
    return (snake_case(name), name) if family in (*_SNAKE_CASE_FAMILIES, "losses") else (name,)


@functools.cache
def _keras_identifiers(family: str) -> Mapping[str, str]:
    if family not in FAMILIES:
        return MappingProxyType({})
    exported = exports(FAMILIES[family])
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


def signature(family: str, name: str) -> Signature:
    """Return what the object called `name` takes.

    Raises:
        KeyError: if there is no such object in this family.
    """
    own = canonical(family, name)
    if one := added(family, own):
        return one.signature(family)
    if _is_metric_word(family, own):
        return Signature(own, (Parameter("name", required=False, default="None"),))
    return _signature(own, place_of(family, own))


def refused_by_keras(family: str, name: str, arguments: Mapping[str, object]) -> RefusedError | None:
    """Return what Keras's constructor would raise, as far as the source and these arguments tell.

    Args:
        arguments: plain values, and `UNKNOWN` for objects.
    """
    own = canonical(family, name)
    place = None if added(family, own) else place_of(family, own)
    if place is None or not isinstance(place.node, ast.ClassDef):
        return None
    try:
        check_constructor(place, arguments)
    except RefusedError as refused:
        return refused
    return None


def tensors(layer: str) -> tuple[str, ...]:
    """Return what a layer must be applied to, such as `query` and `value`; one name where it takes one, or a list.

    Raises:
        KeyError: if there is no such layer.
    """
    place = place_of("layers", canonical("layers", layer))
    for ancestor in ancestors(place) if place else ():
        for node in ancestor.node.body:
            if isinstance(node, ast.FunctionDef) and node.name == "call":
                return tuple(one.name for one in parameters(node.args)[1:] if one.required) or ("inputs",)
    return ("inputs",)


def place_of(family: str, own: str) -> Place | None:
    """Return the definition of an object by the catalogue's name; None where that is not one class."""
    one = added(family, own)
    if _is_metric_word(family, own):
        return None
    return one.place if one else find(*exports(FAMILIES[family])[own])


def _is_metric_word(family: str, own: str) -> bool:
    return family == "metrics" and own in METRIC_WORDS and added(family, own) is None


@functools.cache
def _signature(name: str, place: Place | None) -> Signature:
    if place is None:
        return Signature(name, (), open_ended=True)
    if isinstance(place.node, ast.FunctionDef):
        return Signature(name, tuple(parameters(place.node.args)))
    taken, open_ended = _constructor(ancestors(place))
    return Signature(name, tuple(taken), open_ended)


def direction(metric: str) -> str | None:
    """Return `up` where more of the metric is better, `down` where less is, and None where Keras cannot say."""
    own = canonical("metrics", metric)
    if _is_metric_word("metrics", own):
        return "up" if own.startswith("acc") else "down"
    place = place_of("metrics", own)
    if place is None or not isinstance(place.node, ast.ClassDef):
        return None
    for ancestor in ancestors(place):
        for node in ast.walk(ancestor.node):
            match node:
                case ast.Assign(targets=[ast.Attribute(attr="_direction")], value=ast.Constant(value=str(value))):
                    return value
    return None


def full_name(family: str, name: str) -> str:
    """Return where the object of that name is found: `keras.losses.Dice`, `kerasrun.dice.DiceLoss`."""
    return f"{module_of(family, name).removeprefix(PLUGIN_MODULES)}.{name}"


def module_of(family: str, name: str) -> str:
    """Return the module from which the object of that name is imported."""
    one = added(family, name)
    return one.place.module if one else FAMILIES[family]


def family_of_argument(family: str, parameter: str) -> str | None:
    """Return the family whose objects an argument takes, `initializers` for `kernel_initializer`; None for values."""
    if family in ("optimizers", "schedules"):
        return {"learning_rate": "schedules", "inner_optimizer": "optimizers"}.get(parameter)
    if family == "callbacks":
        return {"schedule": RATES}.get(parameter)
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


# What is added to Keras.


@dataclass(frozen=True)
class Added:
    """A class or function that is not part of Keras, but is named in an experiment as if it were."""

    name: str
    families: tuple[str, ...]
    place: Place

    @property
    def is_function(self) -> bool:
        return isinstance(self.place.node, ast.FunctionDef)

    @property
    def takes_rate(self) -> bool:
        """Whether a function of the epoch is also given the learning rate that is in use."""
        return any(parameter.name in _RATE_WORDS for parameter in _signature(self.name, self.place).parameters[1:2])

    def signature(self, family: str) -> Signature:
        """The arguments that an experiment may give it; the first ones of a function come from training."""
        known = _signature(self.name, self.place)
        if not self.is_function:
            return known
        if family == RATES:
            return Signature(self.name, known.parameters[2 if self.takes_rate else 1 :])
        named = (Parameter("name", required=False, default="None"),)
        return Signature(self.name, named if family == "metrics" else ())


_SOURCES = "kerasrun.sources."
_RATE_WORDS = ("lr", "learning_rate", "rate")
_FAMILY_OF_BASE = {
    **{"Layer": "layers", "Loss": "losses", "Metric": "metrics", "Callback": "callbacks"},
    **{"BaseOptimizer": "optimizers", "LearningRateSchedule": "schedules"},
    **{"Initializer": "initializers", "Regularizer": "regularizers", "Constraint": "constraints"},
}
_FAMILIES_OF_ARGUMENTS = {
    ("y_true", "y_pred"): ("losses", "metrics"),
    ("epoch",): (RATES,),
    ("x",): ("activations",),
    ("split",): (SOURCES,),
}


def added_objects(module: str) -> tuple[Added, ...]:
    """Every class of an added module that derives from a base class of Keras, whose family it then belongs to, and
    every function whose first arguments say what it is for."""
    found = []
    for node in parse(module).body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            arguments = tuple(one.arg for one in node.args.posonlyargs + node.args.args)
            known = (of for begin, of in _FAMILIES_OF_ARGUMENTS.items() if begin == arguments[: len(begin)])
            families = next(known, ())
        elif isinstance(node, ast.ClassDef):
            place = Place(module, node)
            bases = [one.node.name for one in ancestors(place) if one.module.startswith("keras.")]
            families = tuple(dict.fromkeys(_FAMILY_OF_BASE[name] for name in bases if name in _FAMILY_OF_BASE))
            families += (SOURCES,) if any(name.startswith(_SOURCES) for name in imported_bases(place)) else ()
        else:
            continue
        found += [Added(node.name, families, Place(module, node))] if families else []
    return tuple(found)


_of_plugins: tuple[Added, ...] = ()


def use(objects: Sequence[Added]) -> None:
    """Know these objects of plugins, and no others."""
    global _of_plugins
    _of_plugins = tuple(objects)


def keras_name(family: str, name: str) -> str | None:
    """The object of Keras, or of kerasrun, that this text names; None if none does."""
    own = {text: one.name for one in _own_objects() if family in one.families for text in _spellings(family, one.name)}
    return _keras_identifiers(family).get(name) or own.get(name)


def added(family: str, name: str) -> Added | None:
    """Return the object of that name if it is not part of Keras."""
    return next((one for one in _added_to(family) if one.name == name), None)


def is_of_plugin(name: str) -> bool:
    """Return whether a plugin in use has an object of that name."""
    return any(one.name == name for one in _of_plugins)


def _added_to(family: str) -> tuple[Added, ...]:
    return tuple(one for one in (*_of_plugins, *_own_objects()) if family in one.families)


@functools.cache
def _own_objects() -> tuple[Added, ...]:
    for module in OWN:
        path = Path(__file__).with_name(f"{module.rpartition('.')[2]}.py")
        add_file(module, path.read_bytes(), path)
    return tuple(one for module in OWN for one in added_objects(module))


# Which names are public.


@functools.cache
def exports(module: str) -> Mapping[str, tuple[str, str]]:
    """Public name → (module, name there), from the lines `from keras.src.x import Y as Z` of a module of Keras."""
    return {
        alias.asname or alias.name: (node.module or "", alias.name)
        for node in parse(module).body
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("keras.src")
        for alias in node.names
    }


def _own_name(exported: Mapping[str, tuple[str, str]], name: str) -> str:
    """`Convolution2D` → `Conv2D`: the class's name, unless it is public only under another one."""
    original = exported[name][1]
    return original if original in exported else name


def _aliases(family: str) -> Mapping[str, str]:
    """The short names (`"mse": mean_squared_error`) that are added to ALL_OBJECTS_DICT of a family."""
    found: dict[str, str] = {}
    tree = source_of(FAMILIES[family].replace("keras.", "keras.src.", 1))
    for node in tree.body if tree else ():
        match node:
            case ast.Expr(value=ast.Call(func=ast.Attribute(attr="update"), args=[ast.Dict(keys=keys, values=values)])):
                for key, value in zip(keys, values, strict=True):
                    if isinstance(key, ast.Constant) and isinstance(value, ast.Name):
                        found[str(key.value)] = value.id
            case ast.Assign(targets=[ast.Subscript(slice=ast.Constant(value=str(alias)))], value=ast.Name(id=target)):
                found[alias] = target
    return found


def parse(module: str) -> ast.Module:
    """The source of a module of Keras, such as `keras.layers`, or of one that was added."""
    tree = source_of(module)
    assert tree is not None, f"{module} is not a module of the installed Keras"
    return tree


# What a constructor takes.


def _constructor(ancestors: list[Place]) -> tuple[list[Parameter], bool]:
    for index, place in enumerate(ancestors):
        for node in place.node.body:
            if isinstance(node, ast.FunctionDef) and node.name == "__init__":
                return _completed(node, ancestors[index + 1 :])
    return [], False


def _completed(init: ast.FunctionDef, bases: list[Place]) -> tuple[list[Parameter], bool]:
    """Return the parameters of `init`, with those of the base to which its `**kwargs` go."""
    own = parameters(init.args)[1:]
    if init.args.kwarg is None:
        return own, False
    rest = init.args.kwarg.arg
    own += _popped(init, rest)
    for call in _calls(init):
        passed_on = (ast.unparse(keyword.value) for keyword in call.keywords if keyword.arg is None)
        if rest not in passed_on or not (isinstance(call.func, ast.Attribute) and call.func.attr == "__init__"):
            continue
        inherited, open_ended = _constructor(bases)
        positional = [argument for argument in call.args if not isinstance(argument, ast.Starred)]
        given = {keyword.arg for keyword in call.keywords} | {parameter.name for parameter in own}
        return own + [known for known in inherited[len(positional) :] if known.name not in given], open_ended
    # What is not passed on is refused: `if kwargs: raise`.
    return own, False


def parameters(arguments: ast.arguments) -> list[Parameter]:
    """Return what a function takes by name."""
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


@functools.cache  # the bases are those of many
def _calls(node: ast.FunctionDef) -> Sequence[ast.Call]:
    return tuple(child for child in ast.walk(node) if isinstance(child, ast.Call))
