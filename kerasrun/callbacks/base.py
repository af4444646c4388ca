"""The base class of callbacks: what training must know of one beside Keras's hooks, to begin at any step."""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from kerasrun.components import Component
from kerasrun.errors import CheckpointError
from kerasrun.keras_catalogue import signature
from kerasrun.keras_objects import build
from kerasrun.run_files import RunFile
from kerasrun.text.document import Written
from kerasrun.text.problems import Problem, dotted, shown

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BATCH_HOOKS = ("on_batch_begin", "on_batch_end", "on_train_batch_begin", "on_train_batch_end")


class Adapter:
    """A callback of a run.

    A member of the family is one file with one class that derives from this one. It names its callback, lists its
    state, and overrides the defaults that are not true of it. Class methods answer before the callback is made.
    """

    name: ClassVar[str]
    """The name in `keras.callbacks`."""
    state: ClassVar[tuple[str, ...]]
    """The attributes that change while it trains, numbers, texts and lists; empty where there are none.

    Named one by one: a sweep over attributes would also save `min_delta`, which every `_set_monitor_op` negates again.
    """
    weights: ClassVar[tuple[str, ...]] = ()
    """The attributes that hold a list of arrays, or None, and change while it trains."""
    monitors: ClassVar[bool] = False
    """Whether it takes an argument `monitor`, the name of a value of the logs."""
    sets_learning_rate: ClassVar[bool] = False
    """Whether it sets the learning rate, which Keras refuses where a schedule does."""
    changes_model: ClassVar[bool] = False
    """Whether it changes the model or its optimizer between the writing of `best.keras` and the checkpoint at the end
    of the epoch, which then has other weights."""
    changes_frozen_layers: ClassVar[bool] = False
    """Whether it may change what frozen layers compute."""
    file: ClassVar[str | None] = None
    """The argument that names a file or folder; it is in the run directory."""
    default_file: ClassVar[str | None] = None
    """The file or folder where the argument is not given."""

    # What the text of an experiment says.

    @classmethod
    def problems(cls, written: Written, optimizers: Sequence[Component]) -> list[Problem]:
        """Return why it cannot serve beside these optimizers: the first one, and those of later stages."""
        return []

    @classmethod
    def monitored(cls, written: Written) -> tuple[str, Problem] | None:
        """Return the value that it monitors, and where that is said, as the beginning of a problem."""
        if not cls.monitors:
            return None
        given, where = written.arguments.get("monitor"), dotted((*written.path, "monitor"))
        if given is None:
            default = str(signature("callbacks", cls.name).default("monitor"))
            return default, Problem(written.place, where, f"monitors '{default}', the default of {cls.name}")
        monitor = given.value if isinstance(given.value, str) else shown(given.value)
        return monitor, Problem(given.place, where, f"monitors {shown(given.value)}")

    @classmethod
    def log_problems(cls, written: Written, of_epoch: Sequence[str], of_step: Sequence[str]) -> list[Problem]:
        """Return what is wrong where it names other values of the logs.

        Args:
            of_epoch: the names of the logs at the end of an epoch.
            of_step: the names of those after a step.
        """
        return []

    @classmethod
    def file_problems(cls, written: Written, others: list[str]) -> list[Problem]:
        """Return why it may not write its file; adds the file to those of the other callbacks."""
        given = written.arguments.get(cls.file) if cls.file else None
        file = str(given.value) if given is not None else cls.default_file
        if file is None:
            return []  # it writes nothing, or the argument is reported as missing
        reason = _refused(file, others)
        others.append(os.path.normpath(file))
        place = given.place if given is not None else written.place
        where = dotted((*written.path, str(cls.file)))
        return [Problem(place, where, f"received {shown(file)}", reason)] if reason else []

    @classmethod
    def check_epochs(cls, arguments: Mapping[str, Any], *, done: int, before: int, after: int) -> None:
        """Check that a run with `done` epochs can have `after` epochs in all, instead of `before`.

        Raises:
            UsageError: if it cannot.
        """

    # What it is while a run trains.

    def __init__(self, component: Component, run_root: Path) -> None:
        arguments = dict(component.arguments)
        if self.file:
            name = os.path.normpath(str(arguments.get(self.file, self.default_file or "")))
            arguments[self.file] = str(run_root / name)
        self.callback: Any = build("callbacks", Component(component.name, arguments))
        """Keras's object."""

    def check_optimizer(self, optimizer: Any) -> None:
        """Check that it can work with an optimizer.

        Raises:
            UsageError: if it cannot.
        """

    def needs_every_step(self) -> bool:
        """Return whether its batch hooks must run at each step, so that steps cannot be fused."""
        import keras

        kind, base = type(self.callback), keras.callbacks.Callback
        return any(getattr(kind, hook) is not getattr(base, hook) for hook in _BATCH_HOOKS)

    def watched(self) -> set[str]:
        """Return the values of the logs without which it can do nothing at the end of an epoch."""
        return {self.callback.monitor} if self.monitors else set()

    def after_fused_steps(self) -> None:
        """Do once what its batch hooks do, where they are not called."""

    def give_up_validation(self) -> None:
        """Take back what it did when validation began; its end will not be announced."""

    def who_stopped(self, epoch: int) -> str | None:
        """Return its name in a sentence if it ended training in this epoch, counted from zero."""
        return None

    # What it keeps, and how it goes on.

    def values(self) -> dict[str, Any]:
        """Return its state as plain values."""
        state = {field: _plain(getattr(self.callback, field, None)) for field in self.state}
        return {"callback": type(self.callback).__name__, **state}

    def arrays(self) -> dict[str, "NDArray[Any]"]:
        """Return its weights by name."""
        import numpy as np

        return {
            f"{field}/{number:04d}": np.asarray(weight)
            for field in self.weights
            for number, weight in enumerate(getattr(self.callback, field, None) or ())
        }

    def restore(self, values: Mapping[str, Any], arrays: Mapping[str, "NDArray[Any]"]) -> None:
        """Put back what `values` and `arrays` gave, after `on_train_begin`, which resets it.

        Raises:
            CheckpointError: if they are of another type than what it has.
        """
        fresh = Adapter.values(self)
        for field in self.state:
            if field not in values or not _is_alike(fresh[field], values[field]):
                raise CheckpointError(
                    f"the checkpoint has {shown(values.get(field, 'nothing'))} as {field} of {self.name}, which is not "
                    "what that keeps"
                )
            setattr(self.callback, field, values[field])
        for field in self.weights:
            if kept := [arrays[name] for name in sorted(arrays) if name.startswith(f"{field}/")]:
                setattr(self.callback, field, kept)

    # What it writes. A plugin's callback may derive from several members', so these call those of `super()` as well.

    def folders(self) -> list[Path]:
        """Return the folders that it needs and does not make itself; they are made before it gets the model."""
        return []

    def writes(self) -> list[Path]:
        """Return the files that Keras writes for it by their paths, with `*` for what varies; none may be a link."""
        return [Path(re.sub(r"{[^{}]*}", "*", str(getattr(self.callback, self.file))))] if self.file else []

    def write_whole(self, replacing: Callable[[Path], AbstractContextManager[Path]]) -> None:
        """Have each of its files be whole or not there: written under the name that `replacing` yields for its own.

        Called after it gets the model. Files that grow are left as they are.
        """

    def keep_files(self, *, begun: bool) -> None:
        """Have it append to the files that are there; called before it gets the model.

        Args:
            begun: whether any step was taken.
        """

    def outputs(self) -> list[Path]:
        """Return the files, and the folders of TensorBoard's files, that grow: a resume takes them back to the size
        that a checkpoint records."""
        return []

    def flush(self) -> None:
        """Have everything that it writes on disk, so that the sizes of its files can be recorded."""

    def close(self) -> None:
        """Close its files, because training was interrupted and `on_train_end` does not come."""

    @classmethod
    def unwritten(cls, error: BaseException) -> str | None:
        """Return a name for its files if an error says that they cannot be written."""
        return None


def _refused(file: str, others: Sequence[str]) -> str | None:
    """Return why a callback may not write this file of the run; None if it may."""
    path = os.path.normpath(file)
    if Path(path).is_absolute() or Path(path).parts[:1] == ("..",):
        return "expected a path in the run directory, where a resume can take it back: a relative one"
    if path == "." or path in list(RunFile):
        return "expected another name: kerasrun writes this itself"
    return f"expected a name of its own: two of them write {path}" if path in others else None


def _is_alike(fresh: Any, kept: Any) -> bool:
    """Return whether a value may be what another one, at the beginning, has become."""
    if fresh is None or kept is None:
        return kept is None or isinstance(kept, bool | int | float | str | list)
    if isinstance(fresh, float):
        return isinstance(kept, int | float)
    return type(kept) is type(fresh) or {type(kept), type(fresh)} == {list, tuple}


def _plain(value: Any) -> Any:
    """Return JSON's own types: callbacks keep NumPy scalars and tensors among their values."""
    if value is None or isinstance(value, bool | int | float | str | list | tuple):
        return value
    return float(value)
