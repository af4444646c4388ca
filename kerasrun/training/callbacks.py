"""Keras callbacks under a loop that can begin anywhere: what each keeps, by name, and which need every step."""

import contextlib
import json
import os
import string
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from kerasrun.components import Component
from kerasrun.errors import PluginError, UsageError
from kerasrun.experiment.rules.callbacks import DEFAULT_FILES, FILE_ARGUMENTS
from kerasrun.keras_catalogue import added
from kerasrun.keras_objects import build
from kerasrun.training.known_callbacks import KNOWN_CALLBACKS

_BATCH_HOOKS = ("on_batch_begin", "on_batch_end", "on_train_batch_begin", "on_train_batch_end")


def build_callbacks(components: Sequence[Component], run_root: Path) -> list[Any]:
    """Make the callbacks; files that they write go into the run directory.

    Raises:
        UsageError: if the state of a callback is not known, so that it could not be resumed.
    """
    return [_build_callback(component, run_root) for component in components]


def is_from_plugin(callback: Any) -> bool:
    """Whether it is a user's own, which may do with the model whatever it likes."""
    return type(callback).__name__ not in KNOWN_CALLBACKS


def needs_every_step(callback: Any) -> bool:
    """Whether its batch hooks must run at each step, so that steps cannot be fused."""
    match type(callback).__name__:
        case "ModelCheckpoint":
            return bool(callback.save_freq != "epoch")
        case "TensorBoard":
            return bool(callback.update_freq != "epoch" or callback._should_trace or callback.write_steps_per_second)
        case _ if is_from_plugin(callback):
            kind, base = type(callback), keras.callbacks.Callback
            return any(getattr(kind, hook) is not getattr(base, hook) for hook in _BATCH_HOOKS)
        case _:
            return False


def watched(callback: Any) -> set[str]:
    """The values of the logs without which a callback can do nothing at the end of an epoch."""
    match type(callback).__name__:
        case "EarlyStopping" | "ReduceLROnPlateau":
            return {callback.monitor}
        case "ModelCheckpoint" if callback.save_freq == "epoch":
            fields = {field for _, field, _, _ in string.Formatter().parse(callback.filepath) if field}
            return fields | ({callback.monitor} if callback.save_best_only else set())
        case _:
            return set()


class CallbackState:
    """Reads and restores what callbacks keep; the restore comes after `on_train_begin`, which resets them."""

    def __init__(self, callbacks: Sequence[Any]) -> None:
        self.callbacks = callbacks

    def values(self) -> list[dict[str, Any]]:
        """Plain values of every callback, in order."""
        return [
            {
                "callback": _name(callback),
                **{field: _plain(getattr(callback, field, None)) for field in _fields(callback)},
                **({"state": _checked(callback, callback.get_state())} if _keeps_state(callback) else {}),
            }
            for callback in self.callbacks
        ]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The weights that EarlyStopping will put back."""
        return {
            f"callbacks/{position}/best_weights/{number:04d}": np.asarray(weight)
            for position, callback in enumerate(self.callbacks)
            for number, weight in enumerate(getattr(callback, "best_weights", None) or ())
        }

    def restore(self, values: Sequence[Mapping[str, Any]], arrays: Mapping[str, NDArray[Any]]) -> None:
        """Put back what `values` and `arrays` gave; callbacks that were added since keep their fresh state."""
        for position, (callback, saved) in enumerate(zip(self.callbacks, values, strict=False)):
            if saved["callback"] != _name(callback):
                raise UsageError(
                    f"the checkpoint has {saved['callback']} as callback number {position + 1}, now it is "
                    f"{_name(callback)}: callbacks cannot be exchanged in a resumed run"
                )
            for field in _fields(callback):
                setattr(callback, field, saved[field])
            if _keeps_state(callback):
                callback.set_state(saved["state"])
            if isinstance(callback, keras.callbacks.TensorBoard):
                # With a number as its `update_freq`, whether it writes at the end of an epoch follows from the batch
                # that this context was entered with; `on_train_begin` entered it with batch 0.
                callback._pop_writer()
                callback._push_writer(callback._train_writer, callback._global_train_batch)
            prefix = f"callbacks/{position}/best_weights/"
            if weights := [arrays[name] for name in sorted(arrays) if name.startswith(prefix)]:
                callback.best_weights = weights


def check_average(callbacks: Sequence[Any], optimizer: Any) -> None:
    """
    Raises:
        UsageError: if SwapEMAWeights has no average to put in.
    """
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    if any(isinstance(callback, keras.callbacks.SwapEMAWeights) for callback in callbacks) and not inner.use_ema:
        raise UsageError("callbacks: SwapEMAWeights needs an average of the weights: give the optimizer use_ema: true")


def prepare_for_resume(callbacks: Sequence[Any], *, graph_written: bool) -> list[Any]:
    """Before the callbacks get the model of a resumed run: append to files, and write TensorBoard's graphs only once.

    Returns:
        the TensorBoards that still have to write the graph of the steps; that of the layers is there from the start.
    """
    without_graph = []
    for callback in callbacks:
        if isinstance(callback, keras.callbacks.CSVLogger):
            callback.append = True
        if isinstance(callback, keras.callbacks.TensorBoard) and callback.write_graph:
            callback.write_graph = False
            without_graph += [] if graph_written else [callback]
    return without_graph


def make_folders(callbacks: Sequence[Any]) -> None:
    """Before they get the model: CSVLogger and TensorBoard's projector open files in folders that they do not make."""
    for callback in callbacks:
        if isinstance(callback, keras.callbacks.TensorBoard):
            Path(callback.log_dir).mkdir(parents=True, exist_ok=True)
        if isinstance(callback, keras.callbacks.CSVLogger):
            Path(callback.filename).parent.mkdir(parents=True, exist_ok=True)


def flush(callbacks: Sequence[Any]) -> None:
    """Have everything that callbacks write on disk, so that the sizes of their files can be recorded."""
    for callback in callbacks:
        if isinstance(callback, keras.callbacks.TensorBoard):
            for writer in callback._writers.values():
                writer.flush()
        if isinstance(callback, keras.callbacks.CSVLogger) and callback.csv_file:
            callback.csv_file.flush()


@contextlib.contextmanager
def closed_if_interrupted(callbacks: Sequence[Any]) -> Iterator[None]:
    """Close the files of callbacks whose `on_train_end` does not come, because something was raised in the block."""
    try:
        yield
    except BaseException:
        for callback in callbacks:
            # Closing writes what is left, which fails once more on a full disk; why it ended is on its way up.
            with contextlib.suppress(OSError, tf.errors.OpError):
                if isinstance(callback, keras.callbacks.TensorBoard):
                    callback._close_writers()
                if isinstance(callback, keras.callbacks.CSVLogger) and callback.csv_file:
                    callback.csv_file.close()
        raise


def _build_callback(component: Component, run_root: Path) -> Any:
    name = component.name
    if added("callbacks", name):
        return build("callbacks", component)
    if name not in KNOWN_CALLBACKS:
        raise UsageError(
            f"callbacks: {name} is not supported: what it keeps while training is not known, so a resumed run could "
            f"not continue it; supported are {', '.join(sorted(KNOWN_CALLBACKS))}"
        )
    arguments = dict(component.arguments)
    if argument := FILE_ARGUMENTS.get(name):
        written = str(arguments.get(argument, DEFAULT_FILES.get(name, "")))
        arguments[argument] = os.path.normpath(run_root / written)
    return build("callbacks", Component(name, arguments))


def _fields(callback: Any) -> tuple[str, ...]:
    return KNOWN_CALLBACKS[_name(callback)].state if _name(callback) in KNOWN_CALLBACKS else ()


def _keeps_state(callback: Any) -> bool:
    """Of a plugin's callback: whether it has the two methods; one without them has said that it keeps nothing."""
    return _name(callback) not in KNOWN_CALLBACKS and hasattr(callback, "get_state")


def _checked(callback: Any, state: Any) -> Any:
    """The state that a plugin's callback gave, as JSON brings it back."""
    try:
        _check_keys(state)
        return json.loads(json.dumps(state))
    except (TypeError, ValueError) as error:
        raise PluginError(
            f"the state of {_name(callback)} is not plain: {error}; its get_state() must return numbers, text, lists "
            "and mappings from text to them"
        ) from error


def _check_keys(state: Any) -> None:
    """JSON makes text of the keys 1, 1.0 and True, so that a resumed callback would not find them again."""
    if isinstance(state, Mapping):
        for key in state:
            if not isinstance(key, str):
                raise TypeError(f"it has the key {key!r}, which is no text")
    if isinstance(state, Mapping | list | tuple):
        for value in state.values() if isinstance(state, Mapping) else state:
            _check_keys(value)


def _name(callback: Any) -> str:
    return type(callback).__name__


def _plain(value: Any) -> Any:
    """JSON's own types: callbacks keep NumPy scalars and tensors among their values."""
    if value is None or isinstance(value, bool | int | float | str | list | tuple):
        return value
    return float(value)
