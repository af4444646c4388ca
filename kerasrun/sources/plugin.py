"""Data that a plugin gives: a function `def name(split, …)`, or a class that derives from `kerasrun.sources.Source`."""

import ast
import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError, create_model

from kerasrun import plugins
from kerasrun.errors import DataError, KerasrunError, PluginError
from kerasrun.keras_catalogue import SOURCES, Added, identifiers
from kerasrun.keras_source import ancestors, mentions
from kerasrun.reading.data import SPELLINGS, Data
from kerasrun.sources._array_source import AnyArrays

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from kerasrun.reading.labelled_arrays import LabelledArrays
    from kerasrun.reading.stored import StoredArray

MANY = "a function or a Source of a plugin"


class PluginSource(AnyArrays):
    """The base of data that a plugin gives: its annotated fields are the keys, beside those of all arrays."""

    @property
    def what_is_read(self) -> str:
        return super().what_is_read or f"what {self.kind} of a plugin gives"

    def arrays(self, split: str) -> Any:
        """Return the arrays of `train`, `validation` or `test`, the same at every call.

        Returns:
            `(x, y)`, or `(x, y, sample_weight)`, or None where there is no such split. `x` holds numbers of shape
            (examples, height, width[, channels]), (examples, steps[, channels]) or (examples, features), `y` what the
            key `labels` says. For more than fits into memory `x`, and `y` of masks and arrays, may be any object with
            `shape`, `dtype` and `[number]`, which gives the example of that number.
        """
        raise NotImplementedError

    def open(self) -> Data:
        place = plugins.place_of_source(self.kind)
        with _told(f"{place}: {self.kind}"):
            arrays = self._of_plugin()
        given = {}
        for split in SPELLINGS:
            name = f"{place}: {self.kind}({split!r})"
            with _told(name):
                found = arrays(split)
            if found is not None:
                given[split] = _labelled(found, name, source=self)
        if "train" not in given:
            raise DataError(f"{place}: {self.kind}('train'): gives None; expected arrays (x, y) to train on")
        return self.data_from(given)

    def _of_plugin(self) -> Callable[[str], Any]:
        """Import what gives the arrays of a split: the function with its arguments, or `arrays` of the class."""
        given = plugins.source_named(self.kind)
        # A default that cannot be read from the text is None here; the plugin knows it.
        keys = {key: value for key, value in self if value is not None or type(self).model_fields[key].is_required()}
        if not (isinstance(given, type) and issubclass(given, PluginSource)):
            return functools.partial(given, **{k: v for k, v in keys.items() if k not in AnyArrays.model_fields})
        try:
            arrays: Callable[[str], Any] = given.model_validate(keys).arrays
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or self.kind
            raise PluginError(f"{plugins.place_of_source(self.kind)}: {where}: {first['msg']}") from error
        return arrays


def kind_names() -> list[str]:
    """Return the names of what the plugins in use have for data."""
    return list(identifiers(SOURCES))


def kind(name: str) -> type[PluginSource]:
    """Return the kind for a function or a class of a plugin, with its arguments or fields as keys.

    Raises:
        KeyError: if no plugin in use has it.
    """
    return _kind(name, plugins.with_source(name).sha256)


def keys_of(one: Added) -> dict[str, tuple[ast.expr | None, ast.expr | None, str]]:
    """Return the arguments of a function but for the split, or the annotated fields of a class.

    Each comes with its annotation, its default, and the module that they are in.
    """
    module, node = one.place.module, one.place.node
    if isinstance(node, ast.FunctionDef):
        given = node.args
        several = [*given.posonlyargs, *given.args]
        defaults = [*[None] * (len(several) - len(given.defaults)), *given.defaults, *given.kw_defaults]
        arguments = list(zip([*several, *given.kwonlyargs], defaults, strict=True))[1:]
        return {argument.arg: (argument.annotation, default, module) for argument, default in arguments}
    found: dict[str, tuple[ast.expr | None, ast.expr | None, str]] = {}
    for place in reversed(ancestors(one.place)):
        for statement in place.node.body:
            match statement:
                case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation, value=default):
                    if not mentions(annotation, "ClassVar"):
                        found[name] = (annotation, default, place.module)
    return found


def methods_of(one: Added) -> set[str]:
    """Return the names of the functions in a class, and in its bases in the same file."""
    every = (node for place in ancestors(one.place) for node in place.node.body)
    return {node.name for node in every if isinstance(node, ast.FunctionDef)}


def is_taken(key: str, one: Added) -> bool:
    """Return whether this cannot be a key: all data have its name, or it begins as private names do.

    A class may narrow a key that it inherits.
    """
    if key in PluginSource.model_fields:
        return one.is_function
    return key == "kind" or key.startswith("_") or hasattr(PluginSource, key)


@functools.cache
def _kind(name: str, sha256: str) -> type[PluginSource]:
    from kerasrun.sources._annotations import field_of  # seldom needed

    del sha256  # another file of the same name has other keys
    one = plugins.added_source(name)
    fields: dict[str, Any] = {
        key: field_of(*written) for key, written in keys_of(one).items() if not is_taken(key, one)
    }
    made = create_model(name, __base__=PluginSource, __module__=__name__, **fields)
    made.kind = name
    return made


@contextlib.contextmanager
def _told(name: str) -> Iterator[None]:
    """Have what is raised while a plugin gives something told as its error, in its line or else in that of `name`."""
    try:
        with plugins.errors_explained():
            yield
    except (KerasrunError, MemoryError):
        raise
    except Exception as error:
        raise PluginError(f"{name}: {type(error).__name__}: {error}") from error


def _labelled(given: Any, name: str, *, source: PluginSource) -> "LabelledArrays":
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
    with _told(name):
        shape, dtype = tuple(map(int, given.shape)), np.dtype(given.dtype)
    if not shape or min(shape) < 0:
        raise DataError(f"{name}: its shape is {shape}; expected the number of examples and what each of them has")

    def read(rows: Rows) -> "NDArray[Any]":
        numbers = np.arange(shape[0])[rows].tolist()
        found = np.empty((len(numbers), *shape[1:]), dtype)
        for place, number in enumerate(numbers):
            with _told(f"{name}[{number}]"):
                row = np.asarray(given[number])
            if row.shape != shape[1:] or not np.can_cast(row.dtype, dtype, "same_kind"):
                raise DataError(
                    f"{name}[{number}]: gives {row.dtype} of shape {row.shape}; expected {dtype} of shape {shape[1:]}, "
                    "as its dtype and shape say"
                )
            found[place] = row
        return found

    return StoredArray(shape, dtype, read)


def _whole(given: Any, name: str) -> "NDArray[Any]":
    import numpy as np

    with _told(name):
        return np.asarray(given)
