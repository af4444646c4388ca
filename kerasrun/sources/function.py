"""Data that a function of a plugin gives: `def name(split, …)` returns the arrays of a split, or None without one."""

import ast
import functools
from typing import TYPE_CHECKING, Any

from pydantic import Field, create_model

from kerasrun import plugins
from kerasrun.components import ExperimentPath
from kerasrun.errors import DataError
from kerasrun.keras_catalogue import SOURCES, Added, Parameter, added, identifiers
from kerasrun.reading.data import SPELLINGS, Data
from kerasrun.sources._array_source import AnyArrays

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from kerasrun.reading.labelled_arrays import LabelledArrays
    from kerasrun.reading.stored import StoredArray

MANY = "a function of a plugin"


class FunctionSource(AnyArrays):
    """What the arrays of a function have beside its arguments."""

    @property
    def what_is_read(self) -> str:
        return super().what_is_read or f"what {self.kind} of a plugin gives"

    def open(self) -> Data:
        function = plugins.source_named(self.kind)
        arguments = {key: value for key, value in self if key not in AnyArrays.model_fields}
        arrays = {}
        for split in SPELLINGS:
            with plugins.errors_explained():
                given = function(split, **arguments)
            if given is not None:
                arrays[split] = _labelled(given, f"{self.kind}({split!r})", source=self)
        if "train" not in arrays:
            raise DataError(f"{self.kind}('train'): gives None; expected arrays (x, y) to train on")
        return self.data_from(arrays)


def kind_names() -> list[str]:
    """Return the names of the functions of the plugins in use that give data."""
    return list(identifiers(SOURCES))


def kind(name: str) -> type[FunctionSource]:
    """Return the kind for a function, with its arguments as keys.

    Raises:
        KeyError: if no plugin in use has it.
    """
    one = added(SOURCES, name)
    if one is None:
        raise KeyError(name)
    free = tuple(each for each in one.signature(SOURCES).parameters if not is_taken(each.name))
    return _kind(name, free, _paths(one))


def arguments_of(name: str) -> list[str]:
    """Return the arguments of a function, but for the split."""
    one = added(SOURCES, name)
    return [parameter.name for parameter in one.signature(SOURCES).parameters] if one else []


def is_taken(argument: str) -> bool:
    """Return whether an argument cannot be a key: all data have its name, or it begins as private names do."""
    own = {"kind", *FunctionSource.model_fields}
    return argument in own or argument.startswith("_") or hasattr(FunctionSource, argument)


@functools.cache
def _kind(name: str, parameters: tuple[Parameter, ...], paths: frozenset[str]) -> type[FunctionSource]:
    fields: dict[str, Any] = {
        one.name: (
            (ExperimentPath if one.required else ExperimentPath | None) if one.name in paths else Any,
            Field(... if one.required else one.plain_default, description="As in the plugin."),
        )
        for one in parameters
    }
    made = create_model(name, __base__=FunctionSource, __module__=__name__, **fields)
    made.kind = name
    return made


def _paths(one: Added) -> frozenset[str]:
    """Return the arguments that are annotated as paths, so that they are relative to the experiment."""
    assert isinstance(one.place.node, ast.FunctionDef)
    arguments = one.place.node.args
    annotated = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    return frozenset(
        argument.arg
        for argument in annotated
        if argument.annotation is not None and "Path" in ast.unparse(argument.annotation)
    )


def _labelled(given: Any, name: str, *, source: FunctionSource) -> "LabelledArrays":
    from kerasrun.reading.labelled_arrays import LabelledArrays

    if hasattr(given, "__next__"):
        raise DataError(
            f"{name}: gives a generator, which a resumed run could not take up where it stopped; return (x, y): "
            "arrays, or for more than memory holds objects with `shape`, `dtype` and `[number]`"
        )
    if not isinstance(given, tuple | list) or len(given) not in (2, 3):
        raise DataError(f"{name}: gives {type(given).__name__}; expected (x, y) or (x, y, sample_weight)")
    x, y, *weight = given
    inputs, targets = _array(x, f"{name}: x"), None
    if not source.of_inputs:
        targets = _array(y, f"{name}: y") if source.reads_labels_later else _whole(y, f"{name}: y")
    return LabelledArrays(
        inputs,
        inputs if targets is None else targets,
        f"{name}: x",
        f"{name}: y",
        _whole(weight[0], f"{name}: sample_weight") if weight else None,
        f"{name}: sample_weight",
    )


def _array(given: Any, name: str) -> "NDArray[Any] | StoredArray":
    """Return an array as it is, and anything else that has numbered rows to be read as they are asked for."""
    import numpy as np

    from kerasrun.reading.stored import Rows, StoredArray

    if isinstance(given, np.ndarray) or not all(hasattr(given, key) for key in ("shape", "dtype", "__getitem__")):
        return _whole(given, name)
    shape, dtype = tuple(given.shape), np.dtype(given.dtype)

    def read(rows: Rows) -> "NDArray[Any]":
        found = np.empty((len(np.arange(shape[0])[rows]), *shape[1:]), dtype)
        with plugins.errors_explained():
            for place, number in enumerate(np.arange(shape[0])[rows].tolist()):
                found[place] = given[number]
        return found

    return StoredArray(shape, dtype, read)


def _whole(given: Any, name: str) -> "NDArray[Any]":
    import numpy as np

    try:
        return np.asarray(given)
    except ValueError as error:
        raise DataError(f"{name}: is no array: {error}") from error
