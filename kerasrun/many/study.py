"""Optuna's study behind a sweep: its storage, and what it suggests for the trial of a number.

A suggestion is a function of the seed, the number and the trials before it, so that a kill changes none: it is made in
a copy of the study in memory, where nothing is half written, by a sampler that begins there.
"""

import hashlib
import inspect
import math
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import BaseStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock, JournalStorage
from optuna.trial import FrozenTrial, TrialState

from kerasrun.components import Component
from kerasrun.errors import KerasrunError, StorageError, is_full_memory
from kerasrun.experiment.load import Loaded
from kerasrun.experiment.schema import Parameter, Sweep
from kerasrun.experiment.search import choices
from kerasrun.regular_files import require_regular
from kerasrun.runs import atomic
from kerasrun.text.problems import closest, listed

_OF_STUDY = "kerasrun_study"
"""The attribute of a trial that holds what its sampler noted for the whole study."""
Direction = Literal["minimize", "maximize"]
_ONE_SEQUENCE = ("Grid", "QMC")
"""The samplers of which every trial takes its place in one sequence, which one seed gives."""
_LARGEST_GRID = 100_000
_LARGEST_ARGUMENT = 100_000
"""Of a sampler or pruner: what it counts, it holds in memory."""
_PICKLED = {
    *(("cmaes._cma", "CMA"), ("cmaes._sepcma", "SepCMA"), ("cmaes._cmawm", "CMAwM"), ("numpy", "ndarray")),
    *(("numpy", "dtype"), ("numpy._core.numeric", "_frombuffer")),
    *((f"numpy.{core}.multiarray", name) for core in ("core", "_core") for name in ("_reconstruct", "scalar")),
}
"""What the sampler CmaEs pickles, which Optuna unpickles again from the storage."""


@contextmanager
def explained() -> Iterator[None]:
    """Explain whatever is raised over a storage, which somebody else may have written, or whose disk or server is gone.

    Raises:
        StorageError: in its place.
    """
    try:
        yield
    except KerasrunError:
        raise
    except Exception as error:
        if is_full_memory(error):
            raise
        said = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise StorageError(
            "the storage of the sweep, its journal.log if --storage names no other, cannot be used, or holds what no "
            f"sweep writes ({said})"
        ) from error


_is_asking = False


def _refuse_pickled_code(event: str, arguments: tuple[Any, ...]) -> None:
    if _is_asking and event == "pickle.find_class" and arguments not in _PICKLED:
        name = ".".join(map(str, arguments))
        raise StorageError(f"the storage of the sweep would have {name} called, which is no state of a sampler")


# Whatever unpickles, by whatever name: Python tells every name that a pickle looks up.
sys.addaudithook(_refuse_pickled_code)


class Study:
    """A study of Optuna that workers share; `number` counts trials from 0, as Optuna does."""

    def __init__(self, loaded: Loaded, storage: BaseStorage, name: str, direction: Direction | None = None) -> None:
        """
        Args:
            loaded: the experiment with its section `sweep`.
            direction: `minimize` or `maximize`, to make the study where there is none.

        Raises:
            ExperimentError: if Optuna has no such sampler or pruner, or refuses its arguments.
            StorageError: if there is no study of this name, and no direction to make one.
        """
        assert loaded.experiment.sweep is not None
        self._loaded = loaded
        self.sweep: Sweep = loaded.experiment.sweep
        self.seed = loaded.experiment.seed
        self.space = {key: _distribution(one) for key, one in self.sweep.parameters.items()}
        self._storage = storage
        self._require_small_grid()
        self._new_sampler = _maker(loaded, "sampler", self.sweep.sampler)
        self._sampler(0)
        pruner = self.sweep.pruner
        self._pruner = optuna.pruners.NopPruner() if pruner is None else _maker(loaded, "pruner", pruner)()
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        with explained():
            if direction is not None:
                with suppress(optuna.exceptions.DuplicatedStudyError):
                    optuna.create_study(storage=storage, study_name=name, direction=direction)
            try:
                # Its own sampler suggests nothing.
                sampler = optuna.samplers.RandomSampler(self.seed)
                self.study = optuna.load_study(study_name=name, storage=storage, sampler=sampler, pruner=self._pruner)
            except KeyError as error:
                raise StorageError(f"the storage has no sweep of this experiment ({name})") from error
            self._id = storage.get_study_id_from_name(name)

    @explained()
    def trials(self) -> list[FrozenTrial]:
        """Return all trials, by number."""
        return [self._checked(one) for one in self.study.get_trials(deepcopy=False)]

    @explained()
    def trial(self, number: int) -> FrozenTrial:
        """Return a trial as the storage has it now."""
        return self._checked(self._storage.get_trial(self._trial_id(number)))

    def _checked(self, trial: FrozenTrial) -> FrozenTrial:
        """Return a trial that has values of the experiment, notes that are text, and a number as its result."""
        for key, value in trial.params.items():
            if trial.distributions[key] != self.space[key] or not _is_among(value, self.space[key]):
                raise ValueError(f"trial {trial.number} has another {key} than the experiment searches")
        if not all(isinstance(text, str) for text in trial.user_attrs.values()):
            raise ValueError(f"trial {trial.number} has notes that are no text")
        if not isinstance(trial.value, float | int | None):
            raise ValueError(f"trial {trial.number} has a result that is no number")
        return trial

    @explained()
    def begin(self, **attributes: str) -> int:
        """Add a trial without values, and return its number.

        Args:
            attributes: what to note of it.
        """
        empty = optuna.trial.create_trial(state=TrialState.RUNNING, user_attrs=dict(attributes))
        return self._storage.get_trial_number_from_id(self._storage.create_new_trial(self._id, empty))

    @explained()
    def suggested(self, number: int) -> Mapping[str, Any]:
        """Return the values of a trial, suggested now if they were not before, or not all of them."""
        known = self.trial(number)
        if missing := [key for key in self.space if key not in known.params]:
            asked = self._ask(number)
            trial_id = self._trial_id(number)
            for key, value in asked.system_attrs.items():
                self._storage.set_trial_system_attr(trial_id, key, value)
            for key in missing:
                place = self.space[key]
                self._storage.set_trial_param(trial_id, key, place.to_internal_repr(asked.params[key]), place)
        params = self.trial(number).params
        return {key: params[key] for key in self.space}

    @explained()
    def report(self, number: int, epoch: int, value: float) -> bool:
        """Tell the value of an epoch, unless it was told before; return whether the pruner would end the trial."""
        if epoch not in self.trial(number).intermediate_values:
            self._storage.set_trial_intermediate_value(self._trial_id(number), epoch, value)
        return self._pruner.prune(self.study, self.trial(number))

    @explained()
    def end(self, number: int, state: TrialState, value: float | None = None, **attributes: str) -> None:
        """Tell how a trial ended.

        Args:
            value: its result, if it has one.
            attributes: what to note of it.
        """
        for key, text in attributes.items():
            self._storage.set_trial_user_attr(self._trial_id(number), key, text)
        self._storage.set_trial_state_values(self._trial_id(number), state, None if value is None else [value])

    @explained()
    def best(self) -> FrozenTrial | None:
        """Return the best trial that came to its end."""
        try:
            return self._checked(self.study.best_trial)
        except ValueError:  # none did
            return None

    def _trial_id(self, number: int) -> int:
        return self._storage.get_trial_id_from_study_id_trial_number(self._id, number)

    def _ask(self, number: int) -> FrozenTrial:
        """Suggest in a copy of the study of which the trials before this one are all there is."""
        memory = optuna.storages.InMemoryStorage()
        copy = optuna.create_study(
            storage=memory,
            study_name=self.study.study_name,
            direction=self.study.direction,
            sampler=self._sampler(number),
            pruner=self._pruner,
        )
        study_id = memory.get_study_id_from_name(copy.study_name)
        noted: dict[str, Any] = {}
        for trial in self.trials()[:number]:
            memory.create_new_trial(study_id, trial)
            noted |= trial.system_attrs.get(_OF_STUDY, {})
        for key, value in noted.items():
            memory.set_study_system_attr(study_id, key, value)
        with _without_pickled_code():
            copy.ask(self.space)
        trial = copy.get_trials()[number]
        new = {key: value for key, value in memory.get_study_system_attrs(study_id).items() if noted.get(key) != value}
        return trial if not new else _with_note(trial, new)

    def _require_small_grid(self) -> None:
        count = math.prod(map(_count, self.space.values())) if self.sweep.sampler.name.startswith("Grid") else 0
        if count > _LARGEST_GRID:
            received, expected = "very many combinations", f"expected at most {_LARGEST_GRID:,} in a Grid"
            raise self._loaded.document.error(("sweep", "parameters"), received, expected)

    def _sampler(self, number: int) -> Any:
        """Return a sampler for the trial of a number."""
        name = self.sweep.sampler.name
        digest = hashlib.sha256(f"{self.seed} {number}".encode()).digest()
        seed = self.seed if name in _ONE_SEQUENCE else int.from_bytes(digest[:4])
        grid = {"search_space": {key: _all_values(one) for key, one in self.space.items()}} if name == "Grid" else {}
        return self._new_sampler(seed=seed, **grid)


@contextmanager
def _without_pickled_code() -> Iterator[None]:
    global _is_asking
    _is_asking = True
    try:
        yield
    finally:
        _is_asking = False


def _with_note(trial: FrozenTrial, note: Mapping[str, Any]) -> FrozenTrial:
    trial.system_attrs = {**trial.system_attrs, _OF_STUDY: dict(note)}
    return trial


def open_storage(url: str | None, folder: Path) -> BaseStorage:
    """Return the storage at a URL as Optuna takes it, or `grpc://host:port`; by default a journal in a folder.

    Raises:
        StorageError: if it cannot be reached, or its driver is not installed.
    """
    if url is None:
        file = str(folder / "journal.log")
        try:
            require_regular(Path(file))
        except FileNotFoundError:  # it is made
            pass
        except OSError as error:
            raise StorageError(f"{file}: {error.strerror}") from error
        if Path(file).is_symlink():
            raise StorageError(f"{file}: it is a link, and nothing is written through one")
        with explained():
            return JournalStorage(JournalFileBackend(file, lock_obj=lock_of(file)))
    from sqlalchemy.exc import SQLAlchemyError

    try:
        if url.startswith("grpc://"):
            host, _, port = url.removeprefix("grpc://").rpartition(":")
            return optuna.storages.GrpcStorageProxy(host=host, port=int(port))
        return optuna.storages.get_storage(url)
    except (ImportError, ValueError, SQLAlchemyError, optuna.exceptions.OptunaError) as error:
        raise StorageError(f"--storage {url}: {' '.join(str(error).split())[:300]}") from error


def _maker(loaded: Loaded, key: str, component: Component) -> Callable[..., Any]:
    """Return what makes a sampler or a pruner of Optuna of more arguments, which it takes as far as it has them."""
    family = getattr(optuna, f"{key}s")
    suffix = key.capitalize()
    known = {name.removesuffix(suffix): name for name in family.__all__ if name.endswith(suffix)}
    known = {short: name for short, name in known.items() if short not in ("Base", "BaseGA", "PartialFixed")}
    path = ("sweep", key)
    if component.name.removesuffix(suffix) not in known:
        expected = f"expected {listed(known)}"
        raise loaded.document.error(path, f"unknown {key} '{component.name}'", expected, closest(component.name, known))
    kind = getattr(family, known[component.name.removesuffix(suffix)])
    taken = inspect.signature(kind).parameters

    def make(**more: Any) -> Any:
        given = {**{name: value for name, value in more.items() if name in taken}, **component.arguments}
        for name, value in component.arguments.items():
            if name != "seed" and isinstance(value, int | float) and value > _LARGEST_ARGUMENT:
                expected = f"expected at most {_LARGEST_ARGUMENT:,}"
                raise loaded.document.error((*path, component.name, name), f"received {value}", expected)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                return kind(**given)
        except (TypeError, ValueError, ImportError) as error:
            raise loaded.document.error(path, f"optuna refuses it: {' '.join(str(error).split())}") from error

    return make


def _distribution(one: Parameter) -> BaseDistribution:
    """Return the values of a parameter as Optuna describes them; a choice by the texts of its values."""
    if one.choice is not None:
        return CategoricalDistribution(choices(one))
    assert one.low is not None
    assert one.high is not None
    high = one.high
    if one.step is not None:  # Optuna wants the last value that is reached
        low, step = Decimal(str(one.low)), Decimal(str(one.step))
        high = type(one.high)(low + (Decimal(str(one.high)) - low) // step * step)
    if all(isinstance(value, int) for value in (one.low, one.high, one.step or 1)):
        return IntDistribution(int(one.low), int(high), log=one.log, step=int(one.step or 1))
    return FloatDistribution(one.low, high, log=one.log, step=one.step)


def _is_among(value: Any, place: BaseDistribution) -> bool:
    if isinstance(place, CategoricalDistribution):
        return value in place.choices
    assert isinstance(place, IntDistribution | FloatDistribution)
    return isinstance(value, int | float) and place.low <= value <= place.high


def _count(one: BaseDistribution) -> int:
    """Return how many values a grid has of a parameter; none where there is no end of them."""
    if isinstance(one, FloatDistribution):
        return (
            0
            if one.step is None
            else int((Decimal(str(one.high)) - Decimal(str(one.low))) / Decimal(str(one.step))) + 1
        )
    return len(_all_values(one))


def _all_values(one: BaseDistribution) -> Sequence[Any]:
    """Return every value for a grid; none where there is no end of them, which Optuna refuses."""
    if isinstance(one, CategoricalDistribution):
        return one.choices
    if isinstance(one, IntDistribution):
        return range(one.low, one.high + 1, one.step)
    assert isinstance(one, FloatDistribution)
    if one.step is None:
        return ()
    return [float(Decimal(str(one.low)) + number * Decimal(str(one.step))) for number in range(_count(one))]


def lock_of(file: str) -> Any:
    """Return a lock beside a file, for one process at a time; it waits for the others."""
    return JournalFileOpenLock(file) if sys.platform == "win32" else _KernelLock(f"{file}.lock")


class _KernelLock:
    """A lock of one process at a time that ends with its process; Optuna's own stay for 30 s after a kill."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._descriptor = -1

    def acquire(self) -> bool:
        import fcntl

        with atomic.explained(Path(self._file)):
            self._descriptor = atomic.open_file(Path(self._file), os.O_RDWR | os.O_CREAT)
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        return True

    def release(self) -> None:
        os.close(self._descriptor)
