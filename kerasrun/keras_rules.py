"""What a constructor of the installed Keras refuses, found by following its source; Keras itself is not imported.

`__init__`, the constructors of its bases and the functions of Keras that they call are followed as far as the
arguments decide: what cannot be known stays unknown, as does everything that follows from it. A `raise` that is reached
for certain is what Keras would raise, and so is a comparison that the values do not allow.
"""

import ast
import builtins
import math
import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from kerasrun.keras_source import Place, ancestors, bindings, find, source_of

_FOLLOWED = ("keras.src.utils", "keras.src.metrics.metrics_utils", "keras.src.backend.config")
"""The modules of Keras that check arguments."""
_DEEPEST = 8
_LONGEST = 10_000
"""As many items as are looked at one by one."""


class RefusedError(Exception):
    """What Keras would raise; `names` are the arguments that the condition looks at."""

    def __init__(self, told: str, names: tuple[str, ...]) -> None:
        super().__init__(told)
        self.names = names


class _Unknown(Exception):  # noqa: N818  no error: a value that only Keras can tell
    """A value that the source and the arguments do not decide."""


class _Returned(Exception):  # noqa: N818
    def __init__(self, value: object) -> None:
        self.value = value


UNKNOWN = object()
"""The value of an argument that is an object of Keras."""


@dataclass
class _Instance:
    """The object that is made: its class and bases, and those of its attributes that are known."""

    order: list[Place]
    attributes: dict[str, object] = field(default_factory=dict)


def check_constructor(place: Place, arguments: Mapping[str, object]) -> None:
    """Follow the constructor of a class.

    Raises:
        RefusedError: if Keras would refuse these arguments.
    """
    instance = _Instance(ancestors(place))
    _construct(instance, 0, [], dict(arguments), 0)


def _construct(instance: _Instance, begin: int, given: list[object], named: dict[str, object], depth: int) -> None:
    """Follow the first `__init__` of the class and its bases from `begin` on."""
    for index, place in enumerate(instance.order[begin:], start=begin):
        for node in place.node.body:
            if isinstance(node, ast.FunctionDef) and node.name == "__init__":
                _Call(place, index, instance, depth).run(node, [instance, *given], named)
                return


@dataclass
class _Call:
    """One function that is followed, in the module and class where it is."""

    place: Place
    index: int
    """Of the class among the instance's."""
    instance: _Instance | None
    depth: int
    raises: bool = False
    """Whether what an expression raises is to be handled here."""
    met_unknown: bool = False
    variables: dict[str, object] = field(default_factory=dict)
    origins: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def run(self, function: ast.FunctionDef, given: list[object], named: dict[str, object]) -> object:
        self._bind(function.args, given, named)
        try:
            self._follow(function.body)
        except _Returned as returned:
            return returned.value
        return None

    def _bind(self, arguments: ast.arguments, given: list[object], named: dict[str, object]) -> None:
        named = dict(named)
        positional = [one.arg for one in arguments.posonlyargs + arguments.args]
        self.variables = dict(zip(positional, given, strict=False))
        defaults = dict(zip(positional[len(positional) - len(arguments.defaults) :], arguments.defaults, strict=True))
        for keyword, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
            positional.append(keyword.arg)
            if default is not None:
                defaults[keyword.arg] = default
        for name in positional:
            if name in named:
                self.variables[name] = named.pop(name)
            elif name not in self.variables:
                self.variables[name] = self._value(defaults[name]) if name in defaults else UNKNOWN
        if arguments.vararg:
            self.variables[arguments.vararg.arg] = tuple(given[len(arguments.posonlyargs + arguments.args) :])
        if arguments.kwarg:
            self.variables[arguments.kwarg.arg] = named

    # Statements.

    def _follow(self, body: list[ast.stmt]) -> None:
        for statement in body:
            self._statement(statement)

    def _statement(self, node: ast.stmt) -> None:
        match node:
            case ast.Assign(targets=[target]):
                self._assign(target, self._value(node.value))
            case ast.AnnAssign(value=ast.expr() as value):
                self._assign(node.target, self._value(value))
            case ast.If():
                self._if(node)
            case ast.For():
                self._for(node)
            case ast.Try():
                self._try(node)
            case ast.Raise():
                self._raise(node)
            case ast.Return():
                raise _Returned(self._value(node.value) if node.value else None)
            case ast.Expr():
                self._value(node.value)
            case ast.Pass() | ast.FunctionDef() | ast.ClassDef() | ast.Import() | ast.ImportFrom():
                pass
            case _:
                self._forget(node)

    def _if(self, node: ast.If) -> None:
        try:
            chosen = node.body if self._known(node.test) else node.orelse
        except _Unknown:
            self._forget(node)
            return
        except RefusedError:
            raise
        except Exception as error:
            raise RefusedError(_wanted(error), self._names(node.test)) from error
        try:
            self._follow(chosen)
        except RefusedError as refused:
            if refused.names:
                raise
            raise RefusedError(str(refused), self._names(node.test)) from None

    def _for(self, node: ast.For) -> None:
        items = self._value(node.iter)
        if node.orelse or not isinstance(items, list | tuple | set | dict) or len(items) > _LONGEST:
            self._forget(node)
            return
        if any(isinstance(one, ast.Break | ast.Continue) for one in ast.walk(node)):
            self._forget(node)
            return
        for item in items:
            self._assign(node.target, item)
            if isinstance(node.target, ast.Name):
                self.origins[node.target.id] = self._names(node.iter)
            self._follow(node.body)

    def _try(self, node: ast.Try) -> None:
        """Follow the body, and a handler of what it raises for certain."""
        before, self.raises, self.met_unknown = self.raises, True, False
        try:
            self._follow(node.body)
            certain = not node.orelse and not node.finalbody
        except _Returned:
            if self.met_unknown:
                raise _Returned(UNKNOWN) from None
            raise
        except (RefusedError, _Unknown):
            certain = False  # a handler may take it
        except Exception as error:  # noqa: BLE001  as Keras would raise it
            kinds = {kind.__name__ for kind in type(error).__mro__}
            chosen = next((one for one in node.handlers if one.type is None or self._names_one(one.type, kinds)), None)
            certain = chosen is not None and not self.met_unknown and not node.finalbody
            if certain and chosen:
                self._follow(chosen.body)
        finally:
            self.raises = before
        if not certain or self.met_unknown:
            self._forget(node)

    def _names_one(self, node: ast.expr, kinds: set[str]) -> bool:
        return not kinds.isdisjoint(self._names(node))

    def _raise(self, node: ast.Raise) -> None:
        told = self._text(node.exc.args[0]) if isinstance(node.exc, ast.Call) and node.exc.args else ""
        raise RefusedError(" ".join(told.split()), ())

    def _text(self, node: ast.expr) -> str:
        """Return Keras's sentence, with dots for what cannot be known."""
        if isinstance(node, ast.JoinedStr):
            return "".join(map(self._text, node.values))
        value = self._value(node)
        return "…" if value is UNKNOWN else str(value)

    def _forget(self, node: ast.AST) -> None:
        """Hold everything that a statement may change for unknown; nothing behind it is certain if it may return."""
        for inner in ast.walk(node):
            if isinstance(inner, ast.Name | ast.Attribute) and isinstance(inner.ctx, ast.Store):
                self._assign(inner, UNKNOWN)
            if isinstance(inner, ast.Return):
                raise _Returned(UNKNOWN)
            if isinstance(inner, ast.Call) and isinstance(inner.func, ast.Attribute):
                self._forget_content(inner.func.value)

    def _forget_content(self, node: ast.expr) -> None:
        """Forget what a call such as `kwargs.pop(…)` may have changed."""
        if isinstance(node, ast.Name) and isinstance(self.variables.get(node.id), list | dict | set):
            self.variables[node.id] = UNKNOWN

    def _assign(self, target: ast.expr, value: object) -> None:
        match target:
            case ast.Name():
                self.variables[target.id] = value
            case ast.Attribute(value=ast.Name(id=owner)) if self.instance and self._is_self(owner):
                self.instance.attributes[target.attr] = value
            case ast.Tuple() | ast.List():
                fits = isinstance(value, list | tuple) and len(value) == len(target.elts)
                for index, one in enumerate(target.elts):
                    self._assign(one, value[index] if fits else UNKNOWN)  # type: ignore[index]
            case _:
                pass  # an item of something, or an attribute of another object

    def _is_self(self, name: str) -> bool:
        return self.variables.get(name) is self.instance

    # Expressions.

    def _value(self, node: ast.expr, *, whole: bool = False) -> object:
        """The value of an expression; `UNKNOWN` where it cannot be told, or cannot be computed.

        Args:
            whole: return the object itself that is made, too.
        """
        try:
            return self._computed(node) if whole else self._known(node)
        except _Unknown:
            self.met_unknown = True
            return UNKNOWN
        except Exception as error:
            if self.raises or isinstance(error, RefusedError):
                raise
            return UNKNOWN  # a value that is not looked at decides nothing

    def _known(self, node: ast.expr) -> Any:
        return _known(self._computed(node))

    def _computed(self, node: ast.expr) -> Any:
        match node:
            case ast.Constant():
                return node.value
            case ast.Name():
                return self._named(node.id)
            case ast.Attribute():
                owner = self._value(node.value, whole=True)
                return owner.attributes.get(node.attr, UNKNOWN) if isinstance(owner, _Instance) else UNKNOWN
            case ast.BoolOp():
                return self._either(node)
            case ast.UnaryOp() if type(node.op) in _UNARY:
                return _UNARY[type(node.op)](self._known(node.operand))
            case ast.BinOp() if type(node.op) in _BINARY:
                return _BINARY[type(node.op)](self._known(node.left), self._known(node.right))
            case ast.Compare():
                left = self._known(node.left)
                for sign, other in zip(node.ops, node.comparators, strict=True):
                    right = self._known(other)
                    if not _COMPARED[type(sign)](left, right):
                        return False
                    left = right
                return True
            case ast.IfExp():
                return self._computed(node.body if self._known(node.test) else node.orelse)
            case ast.Tuple():
                return tuple(self._known(one) for one in node.elts)
            case ast.List():
                return [self._known(one) for one in node.elts]
            case ast.Set():
                return {self._known(one) for one in node.elts}
            case ast.Dict():
                return {self._known(k): self._known(v) for k, v in zip(node.keys, node.values, strict=True) if k}
            case ast.Subscript():
                return self._known(node.value)[self._known(node.slice)]
            case ast.JoinedStr():
                return "".join(str(self._known(one)) for one in node.values)
            case ast.FormattedValue():
                return self._known(node.value)
            case ast.ListComp() | ast.GeneratorExp():
                return list(self._each(node))
            case ast.Call():
                return self._called(node)
            case _:
                return UNKNOWN

    def _named(self, name: str) -> Any:
        if name in self.variables:
            return self.variables[name]
        tree = source_of(self.place.module)
        for node in tree.body if tree else ():
            match node:
                case ast.Assign(targets=[ast.Name(id=own)], value=value) if own == name:
                    return _literal(value)
        return _TYPES.get(name, UNKNOWN)

    def _either(self, node: ast.BoolOp) -> Any:
        """`and`, `or`: decided by one known part; where asking an unknown one raises, Keras refuses as well."""
        ends, unknown, value = isinstance(node.op, ast.Or), False, None
        for part in node.values:
            try:
                value = self._known(part)
            except _Unknown:
                unknown = True
                continue
            except Exception as error:
                if unknown and not isinstance(error, RefusedError):
                    raise _Unknown from None  # the part before may have kept Keras from asking
                raise
            if bool(value) == ends:
                return value
        return UNKNOWN if unknown else value

    def _each(self, node: ast.ListComp | ast.GeneratorExp) -> Iterator[Any]:
        if len(node.generators) != 1:
            raise _Unknown
        (generator,) = node.generators
        items = self._known(generator.iter)
        if not isinstance(items, list | tuple | set | dict) or len(items) > _LONGEST:
            raise _Unknown
        before = dict(self.variables)
        for item in items:
            self._assign(generator.target, item)
            if all(self._known(condition) for condition in generator.ifs):
                yield self._known(node.elt)
        self.variables = before

    def _called(self, node: ast.Call) -> Any:
        given, named = self._arguments(node)
        match node.func:
            case ast.Attribute(value=ast.Name(id="math"), attr=name) if hasattr(math, name):
                return getattr(math, name)(*map(_known, given))
            case ast.Attribute(value=owner, attr="__init__") if self.instance:
                return self._construct_base(owner, given, named)
            case ast.Attribute(value=ast.Name(id=module), attr=name) if module not in self.variables:
                return self._function(f"{self._bound(module)}.{name}", node, given, named)
            case ast.Attribute(value=owner, attr=method):
                of = self._value(owner, whole=True)
                if isinstance(of, _Instance):
                    return self._own_method(of, method, given, named)
                if method not in _METHODS.get(type(of), ()):
                    return UNKNOWN
                return getattr(of, method)(*map(_known, given), **{k: _known(v) for k, v in named.items()})
            case ast.Name(id=name) if name in _FUNCTIONS and name not in self.variables and not named:
                return _FUNCTIONS[name](*map(_known, given))
            case ast.Name(id=name) if name not in self.variables:
                return self._function(self._bound(name), node, given, named)
            case _:
                return UNKNOWN

    def _construct_base(self, owner: ast.expr, given: list[object], named: dict[str, object]) -> None:
        """Follow `super().__init__(…)`, or `Base.__init__(self, …)`."""
        assert self.instance is not None
        if isinstance(owner, ast.Call) and isinstance(owner.func, ast.Name) and owner.func.id == "super":
            _construct(self.instance, self.index + 1, given, named, self.depth + 1)
        elif isinstance(owner, ast.Name):
            base = self._bound(owner.id).rpartition(".")[2]
            for index, place in enumerate(self.instance.order):
                if place.node.name == base:
                    _construct(self.instance, index, given[1:], named, self.depth + 1)

    def _own_method(self, instance: _Instance, method: str, given: list[object], named: dict[str, object]) -> Any:
        for index, place in enumerate(instance.order):
            for one in place.node.body:
                if isinstance(one, ast.FunctionDef) and one.name == method and not one.decorator_list:
                    if self.depth >= _DEEPEST:
                        raise _Unknown
                    return _Call(place, index, instance, self.depth + 1).run(one, [instance, *given], named)
        return UNKNOWN

    def _bound(self, name: str) -> str:
        """Return the dotted name of what a name means in this module."""
        tree = source_of(self.place.module)
        bound = bindings(tree).get(name) if tree else None
        return bound if isinstance(bound, str) else f"{self.place.module}.{name}"

    def _function(self, dotted: str, node: ast.Call, given: list[object], named: dict[str, object]) -> Any:
        module, _, name = dotted.rpartition(".")
        # The others make objects, and what they refuse is checked where these are written.
        if not (module == self.place.module or module.startswith(_FOLLOWED)) or name[:1].isupper():
            return UNKNOWN
        place = find(module, name)
        if place is None or not isinstance(place.node, ast.FunctionDef) or place.node.decorator_list:
            return UNKNOWN
        if self.depth >= _DEEPEST:
            raise _Unknown
        try:
            return _Call(place, 0, None, self.depth + 1).run(place.node, given, named)
        except RefusedError as refused:
            names = tuple(name for one in (*node.args, *(k.value for k in node.keywords)) for name in self._names(one))
            raise RefusedError(str(refused), names) from None

    def _arguments(self, node: ast.Call) -> tuple[list[object], dict[str, object]]:
        given: list[object] = []
        for one in node.args:
            value = self._value(one.value if isinstance(one, ast.Starred) else one, whole=True)
            if isinstance(one, ast.Starred) and not isinstance(value, tuple | list):
                raise _Unknown
            given += value if isinstance(one, ast.Starred) and isinstance(value, tuple | list) else [value]
        named: dict[str, object] = {}
        for keyword in node.keywords:
            value = self._value(keyword.value)
            if keyword.arg is not None:
                named[keyword.arg] = value
            elif isinstance(value, dict):
                named |= value
            else:
                raise _Unknown
        return given, named

    def _names(self, node: ast.AST) -> tuple[str, ...]:
        """The names and attributes that an expression looks at, which Keras calls as the arguments that they hold."""
        found: list[str] = []
        for inner in ast.walk(node):
            if isinstance(inner, ast.Name):
                found += [inner.id, *self.origins.get(inner.id, ())]
            elif isinstance(inner, ast.Attribute):
                found.append(inner.attr.lstrip("_"))
        return tuple(found)


def _known(value: object) -> Any:
    if value is UNKNOWN or isinstance(value, _Instance):
        raise _Unknown
    return value


def _literal(node: ast.expr) -> object:
    try:
        return ast.literal_eval(node)
    except ValueError:
        return UNKNOWN


def _wanted(error: Exception) -> str:
    return "it is to be a number" if "not supported between instances" in str(error) else str(error)


_TYPES: Mapping[str, object] = {
    name: getattr(builtins, name) for name in ("int", "float", "str", "bool", "list", "tuple", "dict", "set")
}
_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    **{name: getattr(builtins, name) for name in ("isinstance", "len", "max", "min", "sum", "abs", "type", "any")},
    **{name: getattr(builtins, name) for name in ("all", "int", "float", "str", "bool", "tuple", "list", "set")},
}
_METHODS: Mapping[type, frozenset[str]] = {
    str: frozenset({"lower", "upper", "startswith", "endswith", "format", "join", "strip"}),
    dict: frozenset({"get", "pop", "keys", "values", "items"}),
}
_UNARY: Mapping[type[ast.unaryop], Callable[[Any], Any]] = {ast.Not: operator.not_, ast.USub: operator.neg}
_BINARY: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    **{ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul},
    **{ast.Div: operator.truediv, ast.Mod: operator.mod, ast.FloorDiv: operator.floordiv},
}
_COMPARED: Mapping[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    **{ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.LtE: operator.le},
    **{ast.Gt: operator.gt, ast.GtE: operator.ge, ast.Is: operator.is_, ast.IsNot: operator.is_not},
    **{ast.In: lambda one, all_: one in all_, ast.NotIn: lambda one, all_: one not in all_},
}
