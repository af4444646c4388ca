"""Say what a machine is, how several work together, and what workers would gain for an experiment. Light to import."""

import logging
import os
import shutil
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from kerasrun import known_plugins
from kerasrun.callbacks import build_callbacks
from kerasrun.engine import devices
from kerasrun.engine.devices import Device
from kerasrun.engine.errors import explained
from kerasrun.engine.job import Job
from kerasrun.engine.prepared import Prepared, prepare, start_device
from kerasrun.errors import DeviceError, ModelError, UsageError
from kerasrun.experiment.load import Loaded, load
from kerasrun.experiment.photos import weights_folder
from kerasrun.pipeline.selection import spread
from kerasrun.reading.inputs import usable_cores
from kerasrun.reading.memory import available_memory
from kerasrun.report.plain import text_table, to_json
from kerasrun.runs.environment import environment, packages
from kerasrun.stderr import plain
from kerasrun.training.description import same_in_all, same_machine
from kerasrun.training.stopping import signals
from kerasrun.training.train import build
from kerasrun.workers.cluster import ONE_PROCESS, Place, place_here
from kerasrun.workers.network import LARGE, SMALL, Network, sum_seconds
from kerasrun.workers.timeouts import SECONDS_TO_COME

logger = logging.getLogger("kerasrun")

ON_PAPER = (1, 10, 100)
"""Gbit/s of the networks that stand for one that was not measured."""
_SECONDS, _TIMES = 3.0, 3
"""How long steps are measured, and how often at least."""
_STEPS_OF_FEATURES = 8


@dataclass(frozen=True)
class Machine:
    """What this machine is to a training."""

    versions: Mapping[str, str | None]
    packages: Mapping[str, Mapping[str, str | None]]
    """What kerasrun needs: `installed` and `tested`."""
    system: str
    processor: Mapping[str, Any]
    cores: int
    """Those that this process may use."""
    memory_free: int
    gpus: tuple[str, ...]
    device: str
    deterministic: bool
    variables: Mapping[str, str]
    """Those of the environment that change bits, where they are set."""
    keras_files: str | None
    state: str | None
    output: str
    output_free: int
    """Bytes on the disk."""
    output_writable: bool

    def rows(self) -> list[tuple[str, str]]:
        """Return what to print: a name, and what there is to say."""
        installed = {name: one["installed"] or "missing" for name, one in self.packages.items()}
        others = (f"{name} {version}" for name, version in installed.items())
        untested = [f"{name} {installed[name]}, not {one['tested']}" for name, one in self._untested().items()]
        sets = " ".join(self.processor["instruction_sets"])
        writable = "" if self.output_writable else ", not writable"
        return [
            ("kerasrun", f"{self.versions['kerasrun']} on Python {self.versions['python']}"),
            ("TensorFlow", f"{self.versions['tensorflow']} with Keras {self.versions['keras']}"),
            ("packages", ", ".join(others) or "not known: kerasrun is not installed"),
            *([("not as tested", ", ".join(untested))] if untested else []),
            ("system", self.system),
            ("processor", f"{self.processor['model']} ({self.processor['architecture']}: {sets})"),
            ("cores", f"{self.cores} of {self.processor['count']}"),
            ("memory", f"{_gigabytes(self.memory_free)} free"),
            ("GPUs", ", ".join(self.gpus) or "none"),
            ("computes on", f"{self.device}, {'' if self.deterministic else 'no '}deterministic operations"),
            ("variables", " ".join(f"{name}={value}" for name, value in self.variables.items()) or "none"),
            ("Keras's files", self.keras_files or "no home folder"),
            ("known plugins", self.state or "no home folder"),
            ("runs", f"{self.output}: {_gigabytes(self.output_free)} free{writable}"),
        ]

    def _untested(self) -> dict[str, Mapping[str, str | None]]:
        return {name: one for name, one in self.packages.items() if one["installed"] != one["tested"]}


@dataclass(frozen=True)
class Gain:
    """What a number of workers makes of a step, by calculation."""

    network: str
    workers: int
    computation: float
    communication: float
    step: float
    """Seconds, as of the two above, whose sum it is."""
    gain: float
    """How many times as fast as one process."""

    @classmethod
    def of(cls, network: Network, workers: int, step: float, gradients: int) -> "Gain":
        """
        Args:
            step: the seconds of a step of one process.
            gradients: the bytes to add up in each.
        """
        computation, communication = step / workers, network.seconds(gradients, workers)
        whole = computation + communication
        return cls(network.name, workers, computation, communication, whole, step / whole)


@dataclass(frozen=True)
class Work:
    """A step of an experiment, and what workers would make of it."""

    experiment: str
    batch_size: int
    step: float
    """Seconds of a step of one process, as measured."""
    gradients: int
    """Bytes of them in a step: four for each number that learns, or two as `compress` says."""
    gains: tuple[Gain, ...]
    """None where the smallest batch has fewer examples than there would be workers."""

    def to_text(self) -> str:
        """Return a sentence, and a table of the gains."""
        size = f"{self.gradients / 1e6:.3g} MB of gradients"
        said = f"{plain(self.experiment)}: one process takes {_milliseconds(self.step)} for a step, with {size}"
        if not self.gains:
            return f"{said}\nno table: the last batch of an epoch has a single example, which workers cannot share"
        times = ("computation", "communication", "step")
        rows = [
            [one.network, one.workers, *(_milliseconds(getattr(one, name)) for name in times), f"{one.gain:.2g}×"]
            for one in self.gains
        ]
        slower = [one for one in self.gains if one.gain <= 1]
        where = "" if len(slower) == len(self.gains) else "below 1×: "
        honest = [f"{where}no gain, one process is faster"] if slower else []
        return "\n".join([said, "", text_table(["network", "workers", *times, "gain"], rows), *honest])


@dataclass(frozen=True)
class Diagnosis:
    """What `doctor` has found."""

    machine: Machine
    workers: tuple[str, ...]
    """The addresses of several; all agree."""
    sums: Mapping[str, float]
    """The seconds in which they add up so many bytes of each."""
    notes: tuple[str, ...]
    """What to know of the figures."""
    work: Work | None

    def to_json(self) -> str:
        return to_json(asdict(self))

    def to_text(self) -> str:
        rows = self.machine.rows()
        if self.workers:
            rows.append(("workers", f"{len(self.workers)}, which reach each other: {', '.join(self.workers)}"))
            rows.append(("", "the same versions, kind of processor and number of threads"))
        for size, seconds in self.sums.items():
            speed = f", {LARGE / seconds / 1e9:.3g} GB/s" if int(size) == LARGE else ""
            rows.append((f"sum of {_size(int(size))}", f"{_milliseconds(seconds)}{speed}"))
        width = max(len(name) for name, _ in rows)
        lines = [f"{name.ljust(width)}  {plain(said)}" for name, said in rows]
        return "\n".join([*lines, *(["", self.work.to_text()] if self.work else []), *self.notes])


def doctor(
    file: str | Path | None = None,
    *,
    overrides: Sequence[str] = (),
    output: str | Path = Path("runs"),
    trust: bool = False,
    start_timeout: int = SECONDS_TO_COME,
) -> Diagnosis | None:
    """Look at this machine, at the processes that `TF_CONFIG` names, and at what these would gain; write nothing.

    Args:
        file: an experiment to measure. Every process opens its data, and rank 0 takes steps of it.
        overrides: `key.path=value`, as after `--set`.
        output: the folder of runs, whose disk is looked at.
        trust: run code that a model file brings.
        start_timeout: the seconds in which each process has to come.

    Returns:
        what was found; None in a process other than rank 0.

    Raises:
        WorkersError: if the processes do not have the same versions on the same kind of machine, or, with `file`, other
            data; or one does not reach another.
        LostWorkerError: if one has not come in time, or is lost.
        KerasrunError: if the experiment cannot be trained, up to its steps.
    """
    if overrides and file is None:
        raise UsageError("--set changes an experiment: name its FILE")
    place, loaded = place_here(start_timeout), load(file, overrides) if file else None
    prepared = prepare(loaded, trust=trust, place=place) if loaded else None
    device = _started(prepared, place)
    from kerasrun.workers.team import Team  # of TensorFlow, which `devices.start` imports without its noise

    team = Team(place, place.count, device.names[0])
    with team.losses_explained():
        team.require_equal(same_in_all(prepared, device) if prepared else same_machine(device))
        sums = {}
        if place.count > 1:
            logger.info("adding up %s and %s of each worker", _size(SMALL), _size(LARGE))
            sums = {size: sum_seconds(place, device.names[0], size) for size in (SMALL, LARGE)}
        if not team.leads:
            _, code, _ = team.next_order()
            if code:
                raise SystemExit(int(code))
            return None
    with team.led():
        work = _work(loaded, prepared, device, sums) if loaded and prepared else None
        machine = _machine(device, Path(output))
    found = {str(size): seconds for size, seconds in sums.items()}
    addresses = place.addresses if place.count > 1 else ()
    return Diagnosis(machine, addresses, found, tuple(_notes(device, work)), work)


def _started(prepared: Prepared | None, place: Place) -> Device:
    # A step of one process is measured too, which has all cores; those that share them take turns.
    threads = dict.fromkeys(("intra_op", "inter_op"), usable_cores())
    if prepared is None:
        return devices.start(threads=threads, place=place)
    return start_device(prepared.experiment, threads, place=place)


def _machine(device: Device, output: Path) -> Machine:
    import tensorflow as tf

    here = environment(Path.cwd())
    folder = next(one for one in (output.absolute(), *output.absolute().parents) if one.is_dir())
    return Machine(
        versions=here["versions"],
        packages=packages(),
        system=", ".join(filter(None, (here["platform"], here["libc"]))),
        processor=here["processor"],
        cores=usable_cores(),
        memory_free=available_memory(),
        gpus=devices.gpu_models(tf),
        device=device.description,
        deterministic=device.deterministic,
        variables={name: value for name, value in here["variables"].items() if value is not None},
        keras_files=_at_home(lambda: weights_folder().parent),
        state=_at_home(known_plugins.list_file),
        output=str(output.absolute()),
        output_free=shutil.disk_usage(folder).free,
        output_writable=os.access(folder, os.W_OK),
    )


def _at_home(find: Callable[[], Path]) -> str | None:
    """Return a path, or None where this user has no home folder."""
    try:
        return str(find())
    except (FileNotFoundError, RuntimeError):
        return None


def _work(loaded: Loaded, prepared: Prepared, device: Device, sums: Mapping[int, float]) -> Work:
    place = device.place
    try:
        job = build(prepared, replace(device, place=ONE_PROCESS))
    except ModelError as error:
        raise loaded.with_place(error) from error
    logger.info("measuring steps of one process")
    with explained(job):
        step = _step_seconds(job)
    size = job.experiment.fit.batch_size
    width = 2 if job.experiment.compress else 4
    gradients = sum(width * weight.value.shape.num_elements() for weight in job.model.trainable_weights)
    networks = [Network.measured(sums[SMALL], sums[LARGE], place.count)] if sums else [*map(Network.on_paper, ON_PAPER)]
    counts = _counts(place.count, len(job.train), size)
    gains = tuple(Gain.of(network, count, step, gradients) for network in networks for count in counts)
    return Work(job.experiment.name, size, step, gradients, gains)


def _counts(workers: int, examples: int, batch_size: int) -> list[int]:
    """Return numbers of workers to calculate for: as many as there are, and more, as far as batches go.

    Raises:
        DeviceError: if a batch is too small for those that there are.
    """
    from kerasrun.workers.shares import Share

    found = []
    for count in (workers, 2 * workers, 4 * workers) if workers > 1 else (2, 4, 8):
        try:
            Share(count).check(examples, batch_size)
        except DeviceError:
            if count == workers:
                raise
            break
        found.append(count)
    return found


def _step_seconds(job: Job) -> float:
    """Return the median time of a step, as the loop takes them in the first stage."""
    from kerasrun.engine.chunks import ChunkSize
    from kerasrun.training.computation import Computation

    fit = job.experiment.fit
    endless = job.experiment.model_copy(update={"fit": fit.model_copy(update={"epochs": 10**6})})
    job = replace(job, experiment=endless)
    computation = Computation(job)
    computation.measure_budget()
    computation.choose_frozen_part(build_callbacks(job.experiment.callbacks, Path.cwd()))
    if computation.frozen:
        # What frozen layers compute is no part of a step; a few examples stand for all.
        few = spread(job.train, _STEPS_OF_FEATURES * fit.batch_size)
        kept = computation.frozen_state()
        computation = Computation(replace(job, train=few, validation=None))
        computation.restore_frozen_state(kept)
        computation.compute_frozen_part(lambda: False)
    batches, chunks = computation.batches(0), ChunkSize()
    found: list[float] = []
    end = time.monotonic() + _SECONDS
    while len(found) < _TIMES or time.monotonic() < end:
        count = chunks.next(10**6)
        with chunks.measured(count):
            computation.train(batches, count)
        signals.raise_if_interrupted()
        if chunks.seconds_per_step is not None:  # of the first one, which traces, nothing is known
            found.append(chunks.seconds_per_step)
    return statistics.median(found)


def _notes(device: Device, work: Work | None) -> list[str]:
    place = device.place
    if place.count_on_host > 1 and device.kind == "cpu":
        table = "; the table is for workers on machines of their own" if work else ""
        if place.count_on_host < place.count:
            return [f"workers on one machine share its cores, which one process has alone{table}"]
        return [
            "all workers are on this machine and share its cores, which one process has alone: here they gain nothing, "
            f"and the sums went through memory, not over a network{table}"
        ]
    if work and place.count == 1:
        return [
            "on paper: 80 % of the network's speed, 0.28 ms for a message; run doctor in each of several processes to "
            "measure them"
        ]
    return []


def _size(count: int) -> str:
    return f"{count // 10**6} MB" if count >= 10**6 else f"{count // 10**3} KB"


def _milliseconds(seconds: float) -> str:
    return f"{1000 * seconds:.3g} ms" if seconds < 0.9995 else f"{1000 * seconds:,.0f} ms"


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB"
