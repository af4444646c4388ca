"""The callbacks that an experiment may name: one file each with everything that is particular to it."""

import contextlib
import functools
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerasrun.callbacks._plugin import PluginAdapter
from kerasrun.callbacks.base import Adapter
from kerasrun.components import Component
from kerasrun.errors import RunDirectoryError, UsageError
from kerasrun.families import modules
from kerasrun.keras_catalogue import added
from kerasrun.keras_source import ancestors
from kerasrun.text.document import Document, Written, written_component, written_list
from kerasrun.text.problems import Problem

if TYPE_CHECKING:
    from numpy.typing import NDArray


@functools.cache
def adapters() -> Mapping[str, type[Adapter]]:
    """Return the members of the family by the names of their callbacks."""
    values = [value for module in modules(__name__).values() for value in vars(module).values()]
    found = [value for value in values if isinstance(value, type) and issubclass(value, Adapter)]
    return {adapter.name: adapter for adapter in found if "name" in vars(adapter)}


def adapter_of(name: str) -> type[Adapter]:
    """Return the adapter of a callback; a plugin's where the family has none of this name."""
    return adapters().get(name, PluginAdapter)


def written_callbacks(document: Document) -> list[Written]:
    """Return the callbacks of an experiment as they were written."""
    entries = written_list(document.node(("callbacks",)), ("callbacks",))
    return [written for path, node in entries if (written := written_component(node, path))]


def callback_problems(document: Document, optimizers: Sequence[Component]) -> list[Problem]:
    """Return why callbacks cannot serve beside these optimizers, and beside each other."""
    problems: list[Problem] = []
    files: list[str] = []
    for written in written_callbacks(document):
        adapter = adapter_of(written.name)
        problems += adapter.problems(written, optimizers) + adapter.file_problems(written, files)
    return problems


def build_callbacks(components: Sequence[Component], run_root: Path) -> list[Adapter]:
    """Make the callbacks; files that they write go into the run directory.

    Raises:
        UsageError: if the state of a callback is not known, so that it could not be resumed.
    """
    return [_kind_of(component.name)(component, run_root) for component in components]


def _kind_of(name: str) -> type[Adapter]:
    """Return the class of an adapter that is built; a plugin's callback is also what it derives from."""
    if name in adapters():
        return adapters()[name]
    plugin = added("callbacks", name)
    if plugin is None:
        raise UsageError(
            f"callbacks: {name} is not supported: what it keeps while training is not known, so a resumed run could "
            f"not continue it; supported are {', '.join(sorted(adapters()))}"
        )
    bases = [place.node.name for place in ancestors(plugin.place) if place.module.startswith("keras.")]
    members = [adapters()[one] for one in dict.fromkeys(bases) if one in adapters()]
    return type(PluginAdapter.__name__, (PluginAdapter, *(members or [Adapter])), {})


class CallbackState:
    """Reads and restores what callbacks keep."""

    def __init__(self, callbacks: Sequence[Adapter]) -> None:
        self.callbacks = callbacks

    def values(self) -> list[dict[str, Any]]:
        """Return plain values of every callback, in order."""
        return [one.values() for one in self.callbacks]

    def arrays(self) -> dict[str, "NDArray[Any]"]:
        """Return the arrays of all callbacks by name."""
        named = [(f"callbacks/{position}", one.arrays()) for position, one in enumerate(self.callbacks)]
        return {f"{whose}/{name}": array for whose, arrays in named for name, array in arrays.items()}

    def restore(self, values: Sequence[Mapping[str, Any]], arrays: Mapping[str, "NDArray[Any]"]) -> None:
        """Put back what `values` and `arrays` gave; callbacks that were added since keep their fresh state."""
        for position, (one, saved) in enumerate(zip(self.callbacks, values, strict=False)):
            name = type(one.callback).__name__
            if saved["callback"] != name:
                raise UsageError(
                    f"the checkpoint has {saved['callback']} as callback number {position + 1}, now it is {name}: "
                    "callbacks cannot be exchanged in a resumed run"
                )
            prefix = f"callbacks/{position}/"
            one.restore(saved, {key.removeprefix(prefix): arrays[key] for key in arrays if key.startswith(prefix)})


@contextlib.contextmanager
def closed_if_interrupted(callbacks: Sequence[Adapter], run: object) -> Iterator[None]:
    """Close the files of callbacks whose `on_train_end` does not come, because something was raised in the block.

    Raises:
        RunDirectoryError: if it was raised because a callback's file cannot be written.
    """
    try:
        yield
    except BaseException as error:
        import tensorflow as tf

        for one in callbacks:
            # Closing writes what is left, which fails once more on a full disk; why it ended is on its way up.
            with contextlib.suppress(OSError, tf.errors.OpError):
                one.close()
        unwritten = next(filter(None, (kind.unwritten(error) for kind in adapters().values())), None)
        if unwritten is None:
            raise
        raise RunDirectoryError(
            f"{unwritten} in {run} cannot be written; the last good state is kept. Free some space, then "
            f"kerasrun resume {shlex.quote(str(run))}"
        ) from error
