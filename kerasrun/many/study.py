"""Optuna's study behind a sweep: its storage, and what it suggests for the trial of a number.

A suggestion is a function of the seed, the number and the trials before it, so that a kill changes none: it is made in
a copy of the study in memory, where nothing is half written, by a sampler that begins there.
"""

import copy
import hashlib
import inspect
import math
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import BaseStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock, JournalStorage
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from kerasrun.components import Component
from kerasrun.errors import KerasrunError, StorageError, is_full_memory
from kerasrun.experiment.load import Loaded
from kerasrun.experiment.schema import Parameter, Sweep
from kerasrun.experiment.search import choices
from kerasrun.many import cmaes_states
from kerasrun.regular_files import require_regular
from kerasrun.runs import atomic
from kerasrun.sqlite_files import refusal
from kerasrun.text.problems import closest, listed

_OF_STUDY = "kerasrun_study"
"""The attribute of a trial that holds what its sampler noted for the whole study."""
_SURPLUS = "kerasrun_surplus"
"""The attribute of a trial that was begun when another machine had just begun the last one."""
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
def reached() -> Iterator[None]:
    """Explain whatever is raised over a storage, which somebody else may have written.

    Raises:
        StorageError: if the storage cannot be read or written, or holds what no sweep writes.
    """
    try:
        yield
    except KerasrunError:
        raise
    except (OSError, SQLAlchemyError, optuna.exceptions.OptunaError) as error:
        raise StorageError(f"the storage of the sweep: {_one_line(error)}; the same command goes on") from error
    except Exception as error:
        if is_full_memory(error):
            raise
        if type(error).__module__.partition(".")[0] != "grpc":  # which need not be installed
            what = f"{type(error).__name__}: {_one_line(error)}"
            raise StorageError(f"the storage of the sweep holds what no sweep writes ({what})") from error
        told = getattr(error, "details", str)
        raise StorageError(f"Optuna's proxy: {_one_line(told())}; the same command goes on") from error


def _one_line(text: object) -> str:
    if isinstance(text, OSError) and text.filename:
        text = f"{text.filename}: {text.strerror}"
    return " ".join(str(text).split())[:300]


_is_asking = False


def _refuse_pickled_code(event: str, arguments: tuple[Any, ...]) -> None:
    if _is_asking and event == "pickle.find_class" and arguments not in _PICKLED:
        name = ".".join(map(str, arguments))
        raise StorageError(f"the storage of the sweep would have {name} called, which is no state of a sampler")


# Whatever unpickles, by whatever name: Python tells every name that a pickle looks up.
sys.addaudithook(_refuse_pickled_code)


@contextmanager
def _without_pickled_code() -> Iterator[None]:
    global _is_asking
    _is_asking = True
    try:
        yield
    finally:
        _is_asking = False


class Study:
    """A study of Optuna that workers share; `number` counts trials from 0, as Optuna does."""

    @reached()
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
        self.sweep: Sweep = loaded.experiment.sweep
        self.space = _space(self.sweep)
        self._storage = storage
        self._sampler, self._pruner = sampler_and_pruner(loaded)
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        if direction is not None:
            with suppress(optuna.exceptions.DuplicatedStudyError):
                optuna.create_study(storage=storage, study_name=name, direction=direction)
        try:
            # Its own sampler suggests nothing.
            sampler = optuna.samplers.RandomSampler(0)
            self.study = optuna.load_study(study_name=name, storage=storage, sampler=sampler, pruner=self._pruner)
        except KeyError as error:
            raise StorageError(f"the storage has no sweep of this experiment ({name})") from error
        self._id = storage.get_study_id_from_name(name)

    @reached()
    def trials(self) -> list[FrozenTrial]:
        """Return all trials but those that are surplus, by number."""
        trials = map(self._checked, self.study.get_trials(deepcopy=False))
        return [one for one in trials if _SURPLUS not in one.user_attrs]

    @reached()
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

    @reached()
    def begin(self, limit: int | None = None, **attributes: str) -> int | None:
        """Add a trial without values, and return its number; None where there are enough.

        Args:
            limit: how many are enough.
            attributes: what to note of it.
        """
        if limit is not None and len(self.trials()) >= limit:
            return None
        empty = optuna.trial.create_trial(state=TrialState.RUNNING, user_attrs=dict(attributes))
        number = self._storage.get_trial_number_from_id(self._storage.create_new_trial(self._id, empty))
        if limit is not None and sum(one.number < number for one in self.trials()) >= limit:
            self.end(number, TrialState.FAIL, None, **{_SURPLUS: "another machine was faster"})
            return None
        return number

    @reached()
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

    @reached()
    def report(self, number: int, epoch: int, value: float) -> bool:
        """Tell the value of an epoch, unless it was told before; return whether the pruner would end the trial."""
        if epoch not in self.trial(number).intermediate_values:
            self._storage.set_trial_intermediate_value(self._trial_id(number), epoch, value)
        return bool(self._pruner.prune(self.study, self.trial(number)))

    @reached()
    def end(self, number: int, state: TrialState, value: float | None = None, **attributes: str) -> None:
        """Tell how a trial ended.

        Args:
            value: its result, if it has one.
            attributes: what to note of it.
        """
        for key, text in attributes.items():
            self._storage.set_trial_user_attr(self._trial_id(number), key, text)
        self._storage.set_trial_state_values(self._trial_id(number), state, None if value is None else [value])

    @reached()
    def best(self) -> FrozenTrial | None:
        """Return the best trial that came to its end."""
        try:
            best = self.study.best_trial
        except ValueError:  # none did
            return None
        return self._checked(best)

    @property
    def is_maximized(self) -> bool:
        """Whether the largest value is the best."""
        return self.study.direction is optuna.study.StudyDirection.MAXIMIZE

    def _trial_id(self, number: int) -> int:
        return self._storage.get_trial_id_from_study_id_trial_number(self._id, number)

    def _ask(self, number: int) -> FrozenTrial:
        """Suggest in a copy of the study of which the trials before this one are all there is."""
        memory = optuna.storages.InMemoryStorage()
        alike = optuna.create_study(
            storage=memory,
            study_name=self.study.study_name,
            direction=self.study.direction,
            sampler=self._sampler(number),
            pruner=self._pruner,
        )
        study_id = memory.get_study_id_from_name(alike.study_name)
        noted: dict[str, Any] = {}
        for trial in (one for one in self.trials() if one.number < number):
            memory.create_new_trial(study_id, _without_pickles(trial))
            noted |= trial.system_attrs.get(_OF_STUDY, {})
        for key, value in noted.items():
            memory.set_study_system_attr(study_id, key, value)
        with _without_pickled_code():
            alike.ask(self.space)
        trial = alike.get_trials()[-1]
        new = {key: value for key, value in memory.get_study_system_attrs(study_id).items() if noted.get(key) != value}
        return trial if not new else _with_note(trial, new)


def _without_pickles(trial: FrozenTrial) -> FrozenTrial:
    """Return a trial in which nothing is pickled but by this program."""
    read = copy.copy(trial)
    read.system_attrs = cmaes_states.pickled_again(trial.system_attrs)
    return read


def _with_note(trial: FrozenTrial, note: Mapping[str, Any]) -> FrozenTrial:
    trial.system_attrs = {**trial.system_attrs, _OF_STUDY: dict(note)}
    return trial


@reached()
def journal_in(folder: Path) -> BaseStorage:
    """Return the storage of a search on one machine, a file in its folder.

    Raises:
        StorageError: if it is a pipe or a device, or cannot be read.
    """
    file = str(folder / "journal.log")
    with suppress(FileNotFoundError):  # it is made
        require_regular(Path(file))
    if Path(file).is_symlink():
        raise StorageError(f"{file}: it is a link, and nothing is written through one")
    return JournalStorage(JournalFileBackend(file, lock_obj=lock_of(file)))


def open_storage(url: str) -> BaseStorage:
    """Return the storage at a URL as Optuna takes it, or `grpc://host:port`.

    Raises:
        StorageError: if it cannot be reached, or its driver is not installed.
    """
    try:
        if url.startswith("grpc://"):
            host, _, port = url.removeprefix("grpc://").rpartition(":")
            if not (host and port.isdecimal()):
                raise StorageError(f"--storage {url}: expected grpc://HOST:PORT")
            with warnings.catch_warnings(action="ignore", category=optuna.exceptions.ExperimentalWarning):
                return optuna.storages.GrpcStorageProxy(host=host, port=int(port))
        _require_own_file(url)
        return _database(url)
    except KerasrunError:
        raise
    except Exception as error:  # of tables that another version or program made, Optuna raises anything
        if is_full_memory(error):
            raise
        raise StorageError(f"--storage {url}: {_one_line(error)}") from error


def _require_own_file(url: str) -> None:
    """Refuse what SQLite would write elsewhere than into the file that a URL names.

    Raises:
        ValueError: naming it.
        OSError: if it is a pipe, a socket or a device.
        SQLAlchemyError: if it is no URL of a database.
    """
    parts = make_url(url)
    if parts.get_backend_name() != "sqlite":
        return
    name = parts.database or ":memory:"
    if name == ":memory:" or name.startswith("file:"):
        raise ValueError("expected sqlite:///FILE: what is in memory ends with this process")
    if why := refusal(Path(name)):
        raise ValueError(why)


def _database(url: str, times: int = 3) -> BaseStorage:
    """Open a database, and make Optuna's tables where it has none.

    Where another machine makes them in this very moment, one of the two is refused and opens them as they are: at most
    once for the tables and once for what Alembic notes of them.
    """
    try:
        return optuna.storages.get_storage(url)
    except DBAPIError as error:
        makes = (error.statement or "").split()[:1] in (["CREATE"], ["INSERT"])
        if not makes or times == 1:
            raise
    return _database(url, times - 1)


def sampler_and_pruner(loaded: Loaded) -> tuple[Callable[[int], Any], Any]:
    """Return what makes a sampler for the trial of a number, and the pruner.

    Raises:
        ExperimentError: if Optuna has no such sampler or pruner, or refuses its arguments.
    """
    sweep, experiment_seed = loaded.experiment.sweep, loaded.experiment.seed
    assert sweep is not None
    name = sweep.sampler.name
    if name.startswith("Grid") and math.prod(map(_count, _space(sweep).values())) > _LARGEST_GRID:
        expected = f"expected at most {_LARGEST_GRID:,} in a Grid"
        raise loaded.document.error(("sweep", "parameters"), "very many combinations", expected)
    grid = {"search_space": {key: _all_values(one) for key, one in _space(sweep).items()}} if name == "Grid" else {}
    make = _maker(loaded, "sampler", sweep.sampler)

    def sampler(number: int) -> Any:
        digest = hashlib.sha256(f"{experiment_seed} {number}".encode()).digest()
        seed = experiment_seed if name in _ONE_SEQUENCE else int.from_bytes(digest[:4])
        return make(seed=seed, **grid)

    sampler(0)
    return sampler, optuna.pruners.NopPruner() if sweep.pruner is None else _maker(loaded, "pruner", sweep.pruner)()


def _space(sweep: Sweep) -> dict[str, BaseDistribution]:
    return {key: _distribution(one) for key, one in sweep.parameters.items()}


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
            with warnings.catch_warnings(action="ignore", category=optuna.exceptions.ExperimentalWarning):
                return kind(**given)
        except (TypeError, ValueError, ImportError) as error:
            raise loaded.document.error(path, f"optuna refuses it: {_one_line(error)}") from error

    return make


def short_names(keys: Iterable[str]) -> dict[str, str]:
    """Return for each key path its shortest end that is not the end of another one."""
    paths = {key: f".{key}" for key in keys}
    names = {}
    for key in paths:
        ends = [key, *(key.split(".", count)[-1] for count in range(1, key.count(".") + 1))]
        names[key] = next(
            (end for end in reversed(ends) if sum(path.endswith(f".{end}") for path in paths.values()) == 1), key
        )
    return names


def _distribution(one: Parameter) -> BaseDistribution:
    """Return the values of a parameter as Optuna describes them; a choice by the texts of its values."""
    if one.choice is not None:
        return CategoricalDistribution(choices(one))
    assert one.low is not None
    assert one.high is not None
    are_whole = all(isinstance(value, int) for value in (one.low, one.high, one.step or 1))
    with warnings.catch_warnings(action="ignore"):  # that the last step does not end at `high`
        if are_whole:
            return IntDistribution(int(one.low), int(one.high), log=one.log, step=int(one.step or 1))
        return FloatDistribution(one.low, one.high, log=one.log, step=one.step)


def _is_among(value: Any, place: BaseDistribution) -> bool:
    if isinstance(place, CategoricalDistribution):
        return value in place.choices
    assert isinstance(place, IntDistribution | FloatDistribution)
    return isinstance(value, int | float) and place.low <= value <= place.high


def _count(one: BaseDistribution) -> int:
    """Return how many values a grid has of a parameter; none where there is no end of them."""
    if not isinstance(one, FloatDistribution):
        return len(_all_values(one))
    if one.step is None:
        return 0
    return int((Decimal(str(one.high)) - Decimal(str(one.low))) / Decimal(str(one.step))) + 1


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
    return JournalFileOpenLock(file) if sys.platform == "win32" else _KernelLock(file)


class _KernelLock:
    """A lock of one process at a time that ends with its process; Optuna's own stay for 30 s after a kill.

    Who has it finds only whole lines in the file: one that a full disk has cut would spoil the next.
    """

    def __init__(self, file: str) -> None:
        self._file = file
        self._descriptor = -1

    def acquire(self) -> bool:
        import fcntl

        with atomic.explained(Path(self._file)):
            self._descriptor = atomic.open_file(Path(f"{self._file}.lock"), os.O_RDWR | os.O_CREAT)
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        with suppress(FileNotFoundError), os.fdopen(atomic.open_file(Path(self._file), os.O_RDWR), "r+b") as file:
            if file.seek(0, os.SEEK_END) and (file.seek(-1, os.SEEK_END), file.read(1))[1] != b"\n":
                file.seek(0)
                file.truncate(file.read().rfind(b"\n") + 1)
        return True

    def release(self) -> None:
        os.close(self._descriptor)
