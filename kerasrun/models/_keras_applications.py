"""What the source of `keras.applications` says of each network, without an import of Keras."""

import ast
import functools
from collections.abc import Iterator
from dataclasses import dataclass

from kerasrun.keras_catalogue import Parameter, exports, parameters, parse

# What every network takes, and what is only there with the original top.
_COMMON = frozenset({"include_top", "weights", "input_tensor", "input_shape", "pooling", "classes", "name"})
_OF_THE_TOP = frozenset({"classifier_activation", "dropout", "dropout_rate"})


@dataclass(frozen=True)
class Application:
    """A network of `keras.applications`."""

    name: str
    module: str
    """The public module that has its `preprocess_input`."""
    own: tuple[Parameter, ...]
    """Arguments that not every network has."""
    least: int
    """The smallest height and width of an image, in pixels."""
    preprocessing: str | None
    """Keras's word for how it wants pixels (`tf`, `caffe`, `torch`); None where the network does that itself."""

    @functools.cached_property
    def layers(self) -> tuple[str, ...] | None:
        """Its layers in order; None where the source computes their names."""
        return _layers(parse(self.module.replace("keras.", "keras.src.", 1)))


@functools.cache
def application_names() -> tuple[str, ...]:
    """Every network of the installed `keras.applications`."""
    return tuple(sorted(exports("keras.applications")))


@functools.cache
def application(name: str) -> Application:
    """
    Raises:
        KeyError: if Keras has no such network.
    """
    module, function = exports("keras.applications")[name]
    source = parse(module)
    functions = {node.name: node for node in source.body if isinstance(node, ast.FunctionDef)}
    own = [one for one in parameters(functions[function].args) if one.name not in _COMMON | _OF_THE_TOP]
    least = (_constant(call, "min_size") for call in _calls(source))
    modes = (_constant(call, "mode") for call in _calls(functions["preprocess_input"]))
    return Application(
        name,
        module.replace("keras.src.", "keras.", 1),
        tuple(own),
        next((value for value in least if isinstance(value, int)), 32),
        next((value for value in modes if isinstance(value, str)), None),
    )


def _layers(source: ast.Module) -> tuple[str, ...] | None:
    """The names of all layers that are made in any case, without a top."""
    names = [_constant(call, "name") for call in _unconditional(source) if _makes_layer(call)]
    return tuple(map(str, names)) if names and all(isinstance(name, str) for name in names) else None


def _unconditional(node: ast.AST) -> Iterator[ast.Call]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If):
            continue
        if isinstance(child, ast.Call):
            yield child
        yield from _unconditional(child)


def _makes_layer(call: ast.Call) -> bool:
    match call.func:
        case ast.Attribute(value=ast.Name(id="layers")):
            return True
    return False


def _calls(node: ast.AST) -> Iterator[ast.Call]:
    return (child for child in ast.walk(node) if isinstance(child, ast.Call))


def _constant(call: ast.Call, keyword: str) -> object:
    values = [one.value for one in call.keywords if one.arg == keyword]
    return values[0].value if values and isinstance(values[0], ast.Constant) else None
