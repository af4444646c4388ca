"""`sweep`: search values of an experiment. Each trial is a run, so that one that was killed goes on exactly.

Light to import: everything in the file is checked before TensorFlow is loaded.
"""

import contextlib
import gc
import hashlib
import importlib.util
import logging
import math
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerasrun.engine.prepared import prepare
from kerasrun.errors import (
    DataError,
    ExperimentError,
    Interrupted,
    KerasrunError,
    MissingProgramError,
    ModelError,
    NotFiniteError,
    OutOfMemoryError,
    PluginError,
    RunBusyError,
    StorageError,
    UsageError,
)
from kerasrun.experiment.load import Given, Loaded, load
from kerasrun.experiment.logs import metrics_of
from kerasrun.experiment.resolved import flow_yaml, resolved_yaml
from kerasrun.experiment.schema import Experiment
from kerasrun.experiment.search import WITHOUT, check_values
from kerasrun.keras_catalogue import direction
from kerasrun.many.group import Group, find_or_make
from kerasrun.reading.inputs import usable_cores
from kerasrun.runs import atomic
from kerasrun.runs.directory import RunDirectory
from kerasrun.runs.lock import lock
from kerasrun.runs.records import best_of, described
from kerasrun.text.problems import shown
from kerasrun.training.resuming.same_experiment import removed_if_empty, sections
from kerasrun.workers import channel
from kerasrun.workers.cluster import place_here

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from kerasrun.many.study import Direction, Study

logger = logging.getLogger("kerasrun")

_OF_A_TRIAL = (ExperimentError, DataError, ModelError, PluginError, OutOfMemoryError, NotFiniteError)
"""What a trial's own values may be to blame for; everything else would end the others too."""


@dataclass(frozen=True)
class Result:
    """What a sweep has found so far."""

    group: Group
    counts: Mapping[str, int]
    """How many trials are `finished`, `pruned`, `failed` and `running`, over all workers."""
    best: str | None
    """The run directory of the best trial, as its worker named it; None before one is finished."""
    value: float | None
    """The monitored value of its best epoch."""
    overrides: tuple[str, ...]
    """What makes the experiment the winner: `key.path=value`."""

    def __str__(self) -> str:
        return ", ".join(f"{number} {name}" for name, number in self.counts.items() if number) or "no trials"


@dataclass(frozen=True)
class Plan:
    """A sweep that was checked, with its folder and its study."""

    file: Given
    overrides: tuple[str, ...]
    loaded: Loaded
    group: Group
    study: "Study"
    trust: bool

    @property
    def monitored(self) -> tuple[str, ...]:
        """The overrides by which the best epoch of a run is that of a trial."""
        sweep = self.study.sweep
        return _settings({"checkpoint.monitor": sweep.monitor, "checkpoint.mode": sweep.mode} if sweep.monitor else {})

    def result(self) -> Result:
        """Return what was found so far."""
        from optuna.trial import TrialState

        from kerasrun.many.study import reached

        named = {"finished": TrialState.COMPLETE, "pruned": TrialState.PRUNED}
        named |= {"failed": TrialState.FAIL, "running": TrialState.RUNNING}
        states = [trial.state for trial in self.study.trials()]
        best = self.study.best()
        with reached():
            return Result(
                self.group,
                {name: states.count(state) for name, state in named.items()},
                None if best is None else best.user_attrs["run"],
                None if best is None else best.value,
                () if best is None else _settings({key: best.params[key] for key in self.study.space}) + self.monitored,
            )

    def draw(self) -> list[Path]:
        """Draw what was found so far, in `plots` of the sweep's folder."""
        from kerasrun.many.pictures import draw

        folder = self.group.root / "plots"
        atomic.require_files(folder)
        # Without a name it is the loss, of validation where the data have one.
        monitor = self.study.sweep.monitor or self.loaded.experiment.checkpoint.monitor or "monitored loss"
        return draw(self.study, monitor, folder)


def plan(
    file: Given,
    *,
    overrides: Sequence[str] = (),
    output: str | Path = Path("runs"),
    storage: str | None = None,
    trust: bool = False,
) -> Plan:
    """Check an experiment with every value of its section `sweep`, and make or find the sweep's folder and study.

    Args:
        overrides: `key.path=value`, as after `--set`.
        output: the folder in which the sweep has its own, `<name>-sweep-<n>`.
        storage: the URL of a storage that several machines share, as Optuna takes it, or `grpc://host:port`; by default
            a file in the sweep's folder.
        trust: run code that a model file brings.

    Raises:
        KerasrunError: if anything of it cannot be used; above all for values that the experiment refuses.
    """
    if place_here().count > 1:
        raise UsageError("sweep trains each trial in one process, but TF_CONFIG names several: leave it out")
    loaded = load(file, overrides)
    sweep = loaded.experiment.sweep
    if sweep is None:
        raise loaded.document.error(("sweep",), "'sweep' is missing", "expected trials and parameters")
    if importlib.util.find_spec("optuna") is None:
        raise MissingProgramError("sweep needs Optuna: pip install 'kerasrun[sweep]'")
    from kerasrun.many.study import Study, journal_in, open_storage, sampler_and_pruner

    sampler_and_pruner(loaded)
    way: Direction | None = None
    shared = None if storage is None else open_storage(storage)
    if not channel.is_open():  # else the process that began this one has looked at it all
        check_values(loaded, file, overrides)
        way = _direction(loaded, trust=trust)
    alike = loaded.experiment.model_copy(
        update={"sweep": sweep.model_copy(update={"trials": 1}), "track": (), "report": False}
    )
    text = resolved_yaml(alike)
    own = {"name", "fit", "checkpoint", *(key.partition(".")[0] for key in sweep.parameters)}
    of_all = {name: sha256 for name, sha256 in sections(alike).items() if name not in own}
    group = find_or_make(Path(output), "sweep", alike.name, text, of_all)
    name = f"{alike.name}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
    study = Study(loaded, shared or journal_in(group.root), name, way)
    return Plan(file, tuple(overrides), loaded, group, study, trust)


def sweep(
    file: Given,
    *,
    overrides: Sequence[str] = (),
    output: str | Path = Path("runs"),
    storage: str | None = None,
    trust: bool = False,
) -> Result:
    """Search the values that the section `sweep` of an experiment names; the same call goes on after a kill.

    Arguments and errors as for `plan`. A trial that its values make impossible, or whose loss is not finite, or that
    finds no memory, has failed, and the search goes on.

    Returns:
        what was found by all workers.
    """
    planned = plan(file, overrides=overrides, output=output, storage=storage, trust=trust)
    work(planned)
    return planned.result()


def work(planned: Plan) -> None:
    """Train trials until there are as many as were asked for, and none is left behind by a worker that is gone.

    Raises:
        KerasrunError: for what ends all trials; the same call goes on.
    """
    with _place_of_its_own(planned.group) as place:
        worker = _Worker(planned, place)
        while worker.goes_on() or worker.begins():
            gc.collect()  # a model of Keras is a circle of references


class _Worker:
    """A process that trains one trial after the other."""

    def __init__(self, planned: Plan, place: RunDirectory) -> None:
        self.planned = planned
        self.study = planned.study
        self.group = planned.group
        self.place = place
        # Of the search itself a trial knows nothing, so not how many others there were to be.
        own = [one for one in planned.overrides if one.partition("=")[0].partition(".")[0] != "sweep"]
        self.settings = [*own, WITHOUT, "fit.verbose=0", *planned.monitored]

    def goes_on(self) -> bool:
        """Go on with a trial that was left behind in this folder; return False where there is none."""
        for trial in self._running():
            with contextlib.ExitStack() as held:
                left_by = trial.user_attrs.get("worker", "")
                if left_by != self.place.name:
                    try:
                        held.enter_context(lock(_place(self.group, left_by)))
                    except RunBusyError:
                        continue
                if any(one.number == trial.number for one in self._running()):
                    self._train(trial.number)
                    return True
        return False

    def begins(self) -> bool:
        """Begin another trial; return False where there are enough."""
        number = self.study.begin(self.study.sweep.trials, group=str(self.group.root), worker=self.place.name)
        if number is None:
            return False
        self._train(number)
        return True

    def _running(self) -> "list[FrozenTrial]":
        """Return the trials of this folder that are not at their end."""
        own = str(self.group.root)
        trials = self.study.trials()
        return [one for one in trials if not one.state.is_finished() and one.user_attrs.get("group") == own]

    def _train(self, number: int) -> None:
        from optuna.trial import TrialState

        values = self.study.suggested(number)
        told = _told(values)
        if (twin := self._twin(number, values)) is not None:
            logger.info("trial %d: %s: as trial %d, not trained again", number, told, twin.number)
            notes = {"run": twin.user_attrs.get("run", ""), "same_as": str(twin.number)}
            self.study.end(number, twin.state, twin.value, **notes)
            return
        run = self.group.member("trial", number)
        try:
            value = self._value(run, number, values)
        except _OF_A_TRIAL as error:
            logger.warning("trial %d: %s: failed: %s", number, told, error)
            self.study.end(number, TrialState.FAIL, run=str(run.root), reason=str(error))
            return
        record = run.read_run()
        reason, best = str(record["reason"]), best_of(record, run.run_file)
        state = TrialState.PRUNED if record["status"] == "pruned" else TrialState.COMPLETE
        result = reason if state == TrialState.PRUNED else f"{best['monitor']} {value:.4g} at epoch {best['epoch']}"
        logger.info("trial %d: %s: %s", number, told, result)
        self.study.end(number, state, value, run=str(run.root), reason=reason)

    def _value(self, run: RunDirectory, number: int, values: Mapping[str, Any]) -> float:
        """Train a trial to its end, or go on with it, and return the value of its best epoch.

        Raises:
            NotFiniteError: if it has none.
            Interrupted: if a signal or its time ended it before.
        """
        atomic.require_files(run.root)
        before = run.read_run() if run.root.exists() and not removed_if_empty(run) else None
        if before is not None and not set(_settings(values)) <= set(before.get("overrides", ())):
            raise UsageError(
                f"{run} has other values than trial {number} has in the storage, so it is of another search: give "
                "--storage as before, or another folder by -o"
            )
        if before is None or before["status"] != "pruned":
            if before is not None:
                self._check_threads(run, described(before, run.run_file)["device"]["threads"]["intra_op"])
            overrides = [*self.settings, *_settings(values)]
            watch = _Watch(self.study, number, self.planned.loaded.experiment)
            try:
                with _quiet():
                    self.group.train(
                        *(self.planned.file, "trial", number),
                        overrides=overrides,
                        trust=self.planned.trust,
                        watch=watch,
                    )
            except Interrupted as stop:
                raise Interrupted(
                    f"stopped in trial {number}; everything is saved, and the same command goes on", stop.exit_code
                ) from stop
        record = run.read_run()
        if record["status"] == "paused":
            raise Interrupted(f"trial {number} is {record['reason']}", KerasrunError.exit_code)
        best = best_of(record, run.run_file)
        if best["value"] is None or not math.isfinite(best["value"]):
            raise NotFiniteError(f"no epoch had a finite {best['monitor']}")
        return best["value"]

    def _twin(self, number: int, values: Mapping[str, Any]) -> "FrozenTrial | None":
        """Return a trial with the same values that is at its end and did not fail."""
        trials = self.study.trials()
        ended = [one for one in trials if one.number != number and one.state.name in ("COMPLETE", "PRUNED")]
        return next((one for one in ended if one.params == values), None)

    def _check_threads(self, run: RunDirectory, threads: int) -> None:
        if threads != usable_cores():
            raise UsageError(
                f"{run} was begun with {threads} threads and goes on with as many alone, but here each worker has "
                f"{usable_cores()}: give --jobs as before"
            )


class _Watch:
    """Tells Optuna the value of each epoch of a trial."""

    def __init__(self, study: "Study", number: int, experiment: Experiment) -> None:
        self.study, self.number = study, number
        self.monitor = study.sweep.monitor or experiment.checkpoint.monitor

    def __call__(self, epoch: int, logs: Mapping[str, float]) -> str | None:
        """Return why the trial is to end after this epoch, if it is."""
        monitor = self.monitor or ("val_loss" if "val_loss" in logs else "loss")
        if monitor not in logs or not self.study.report(self.number, epoch, logs[monitor]):
            return None
        assert self.study.sweep.pruner is not None
        return f"pruned by {self.study.sweep.pruner.name} after epoch {epoch}, {monitor} {logs[monitor]:.4g}"


@contextlib.contextmanager
def _place_of_its_own(group: Group) -> Iterator[RunDirectory]:
    """Hold the first place of a worker that is free: what a killed one has left there is then this one's."""
    number = 0
    while True:
        number += 1
        place = _place(group, f".worker-{number}")
        with contextlib.ExitStack() as held:
            try:
                held.enter_context(lock(place))
            except RunBusyError:
                continue
            yield place
            return


def _place(group: Group, name: str) -> RunDirectory:
    """Return the place of a worker, made if it is missing.

    Raises:
        StorageError: if a name that a storage gave is that of none.
        RunDirectoryError: if it is a link, or the disk refuses.
    """
    if not re.fullmatch(r"\.worker-[0-9]+", name):
        raise StorageError(
            f"the storage of the sweep names a worker {shown(name)}; expected .worker-1 or another number"
        )
    place = group.root / name
    with atomic.explained(place):
        atomic.require_files(place)
        place.mkdir(exist_ok=True)
    return RunDirectory(place)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Show warnings alone: what a trial says is in its log.txt, and there are many."""
    handlers = [(handler, handler.level) for handler in logger.handlers]
    for handler, level in handlers:
        handler.setLevel(max(level, logging.WARNING))
    try:
        yield
    finally:
        for handler, level in handlers:
            handler.setLevel(level)


def _settings(values: Mapping[str, Any]) -> tuple[str, ...]:
    """Return values as overrides; those of a choice are YAML already."""
    return tuple(f"{key}={value if isinstance(value, str) else flow_yaml(value)}" for key, value in values.items())


def _told(values: Mapping[str, Any]) -> str:
    from kerasrun.many.study import short_names

    short = {key: f"{value:.4g}" if isinstance(value, float) else value for key, value in values.items()}
    return ", ".join(f"{name} {short[key]}" for key, name in short_names(values).items())


def _direction(loaded: Loaded, *, trust: bool) -> "Direction":
    """Return `minimize` or `maximize`, after a look at the data, which decide what is monitored.

    Raises:
        KerasrunError: if the data cannot be used.
    """
    prepared = prepare(loaded, trust=trust)
    experiment = prepared.experiment
    assert experiment.sweep is not None
    own = experiment.sweep if experiment.sweep.monitor else experiment.checkpoint
    monitor = own.monitor or "loss"
    if own.mode != "auto":
        return "minimize" if own.mode == "min" else "maximize"
    metric = metrics_of(experiment).get(monitor.removeprefix("val_"))
    return "maximize" if metric is not None and direction(metric.name) == "up" else "minimize"


def command(result: Result, file: str | Path, overrides: Sequence[str] = ()) -> str:
    """Return the command that trains the winner."""
    settings = " ".join(f"-s {shlex.quote(one)}" for one in [*overrides, *result.overrides])
    return f"kerasrun train {shlex.quote(str(file))} {settings}"
