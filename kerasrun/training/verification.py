"""Check whether machines give the same bits: some steps of an experiment, trained twice and once cut and resumed.

Light to import: the training is done by processes of their own (`kerasrun.training.trial`), as a resume is one.
"""

import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kerasrun import errors, plugins
from kerasrun.errors import KerasrunError, OutOfMemoryError
from kerasrun.experiment.load import load, parse
from kerasrun.experiment.resolved import resolved_yaml
from kerasrun.experiment.units import duration
from kerasrun.report import plain
from kerasrun.runs import atomic, recovery
from kerasrun.runs.directory import RunDirectory, open_run
from kerasrun.training.train import shards_of
from kerasrun.workers.child_processes import deaf_children
from kerasrun.workers.cluster import ONE_PROCESS, Place, place_here

logger = logging.getLogger("kerasrun")

EXPERIMENT, SETTINGS, ERROR = "experiment.yaml", "settings.json", "error.json"
"""The names of the files that this process and those that train leave for each other."""
METRICS = "metrics.csv"
ALONE = "alone"
"""The trial that one process does where several do the others."""

Digests = Mapping[str, str]
"""sha256 of every variable, by name."""
Records = Sequence[tuple[str, Digests]]
"""When, and what the variables were then."""


@dataclass(frozen=True)
class Difference:
    """Where a training parts from the first one."""

    training: str
    variable: str
    when: str
    largest: float | None
    """The largest difference of the variable's numbers at the end; None if there is none left."""


@dataclass(frozen=True)
class Verification:
    """A comparison of trainings, and the places where they differed."""

    device: str
    deterministic: bool
    workers: int
    shards: int
    """Into how many parts each batch was cut."""
    steps: int
    cut: int
    """After how many steps one training was cut."""
    variables: int
    differences: tuple[Difference, ...]

    @property
    def exact(self) -> bool:
        return not self.differences

    def to_json(self) -> str:
        return plain.to_json({"exact": self.exact, **asdict(self)})

    def to_text(self) -> str:
        if self.exact:
            twice, cut = f"{self.steps} steps trained twice", f"once cut after step {self.cut} and resumed"
            how, shards = f"{twice}, and {cut},", ""
            if self.workers > 1:
                how = f"{twice} by {self.workers} workers, {cut}, and once by one process,"
                shards = f"{self.shards} shards, "
            return (
                f"this machine keeps the promise: {how} gave the same bits "
                f"({shards}{self.variables} variables, {self.device})"
            )
        return "\n".join(
            f"{one.training}: {one.variable} differs first, {one.when}"
            + (f"; at the end by up to {one.largest:.2g}" if one.largest else "")
            for one in self.differences
        )

    def advice(self) -> str:
        """Return what to do where the bits are not the same."""
        says = f"this machine does not keep the promise of equal bits in {self.steps} steps on {self.device}: "
        if not self.deterministic:
            return says + "the experiment has deterministic: false; set it to true"
        return says + (
            "operations are deterministic, so something else is random or varies from process to process. Try device: "
            "cpu, an environment without other extensions of TensorFlow, and the installed versions on another machine"
        )


def verify(
    target: RunDirectory | str | Path,
    *,
    overrides: Sequence[str] = (),
    steps: int = 20,
    trust: bool = False,
    output: str | Path = Path("runs"),
    workers: int = 1,
    shards: int | None = None,
) -> Verification | None:
    """Train at least `steps` steps of an experiment twice, and once cut and resumed, and compare every variable.

    The steps are taken in short epochs on as many of the training examples as they need, so that the end of an epoch,
    validation and callbacks are tried as well.

    Of several processes that TF_CONFIG names each takes its part; rank 0 compares, and the others return None.

    Args:
        target: an experiment file, or a run, which is left as it is: its threads and environment variables count.
        overrides: `key.path=value`, as after `--set`.
        trust: run code that a model file or a run brings.
        output: the folder of runs; beside it lies what is written meanwhile.
        workers: how many processes to begin for each training, by default one for each of several GPUs that the
            experiment names. Where several train, one process trains too, which must give the same bits.
        shards: into how many parts each batch is cut; by default as a run's, if the workers can share those, or else
            one for each worker.

    Raises:
        KerasrunError: if the experiment cannot be trained, or a callback ends it before so many steps.
    """
    path = target.root if isinstance(target, RunDirectory) else Path(target)
    run = open_run(path) if path.is_dir() else None
    recorded: Mapping[str, Any] = {}
    if run:
        record = recovery.read(run)
        for note in record.notes:
            logger.warning("%s; kerasrun resume %s puts it back", note, run.quoted)
        recorded = record.content
        experiment = parse(record.resolved, run.resolved_file, overrides, alone=True).experiment
        plugins.require_of_run(run.root, trust=trust)
    else:
        experiment = load(path, overrides).experiment
    place = place_here() if workers == 1 else ONE_PROCESS
    devices = experiment.device if isinstance(experiment.device, tuple) else ()
    if place.count == workers == 1 < len(devices):
        workers = len(devices)
    together = max(workers, place.count)
    shards = shards or shards_of(recorded, together)
    trainings = [(("once", "again"), "trained twice"), (("cut",), "cut"), (("resumed",), "resumed")]
    if together == 1:
        logger.info("training some %d steps twice, and once cut: TensorFlow starts three times", steps)
    else:
        logger.info("training some %d steps by %d workers, twice and once cut, and then by one", steps, together)
        if place.leads:
            trainings.append(((ALONE,), "trained by one process"))
    with atomic.temporary_folder(Path(output), ".verify-") as folder:
        atomic.write_text(folder / EXPERIMENT, resolved_yaml(experiment))
        threads, variables = recorded.get("device", {}).get("threads"), recorded.get("variables")
        settings = {"steps": steps, "trust": trust, "threads": threads, "variables": variables}
        atomic.write_json(folder / SETTINGS, {**settings, "workers": workers, "shards": shards, "devices": devices})
        for trials, done in trainings:
            begin = time.perf_counter()
            _train(folder, trials, place)
            logger.info("%s in %s", done, duration(time.perf_counter() - begin))
        return compared(folder) if place.leads else None


def first_difference(reference: Records, other: Records) -> tuple[str, str] | None:
    """Return when the two first differ, and in which variable; None if all of `other` is so in `reference` too."""
    expected = dict(reference)
    for when, digests in other:
        before = expected.get(when, {})
        for name in (*before, *(digests.keys() - before.keys())):
            if before.get(name) != digests.get(name):
                return when, name
    return None


def _train(folder: Path, trials: Sequence[str], place: Place) -> None:
    """
    Raises:
        KerasrunError: the one that ended training in that process.
    """
    # It has nothing to save, so it hears no signal: it is ended from here, or ends when this pipe does.
    reader, writer = os.pipe()
    with os.fdopen(writer, "wb"), os.fdopen(reader, "rb") as stdin:
        with deaf_children():
            process = subprocess.Popen(
                # -P: a random.py in the working directory is the user's, not Python's.
                [sys.executable, "-P", "-m", "kerasrun.training.trial", str(folder), *trials],
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="backslashreplace",
            )
        with process:
            try:
                said, _ = process.communicate()
            except BaseException:
                process.kill()
                raise
    if (folder / ERROR).exists():
        error = json.loads((folder / ERROR).read_bytes())
        raise getattr(errors, error["kind"], errors.KerasrunError)(error["message"])
    if process.returncode == -9:  # SIGKILL, which not every system has
        raise OutOfMemoryError(
            "the system ended the process that trained, most likely for want of memory: try a smaller fit.batch_size"
        )
    if process.returncode and not place.leads:
        raise KerasrunError(said or f"{place.named(0)} has failed, and says there why")
    if process.returncode:
        raise RuntimeError(f"the process that trained ended with {process.returncode}:\n{said}")


def compared(folder: Path) -> Verification:
    """Compare what the trials in a folder have written down."""
    once, again, cut, resumed = (_result(folder, trial) for trial in ("once", "again", "cut", "resumed"))
    trainings = {
        "trained again": ("again", again["records"]),
        f"cut after step {cut['steps']} and resumed": ("resumed", [*cut["records"], *resumed["records"]]),
    }
    if once["workers"] > 1:
        trainings["trained by one process"] = (ALONE, _result(folder, ALONE)["records"])
    differences = [
        Difference(training, variable, when, _largest_difference(folder, trial, variable))
        for training, (trial, records) in trainings.items()
        for when, variable in [first_difference(once["records"], records) or (None, None)]
        if when and variable
    ]
    if not differences and not 0 < cut["steps"] < once["steps"]:
        raise AssertionError("the training that was to be cut came to its end")
    return Verification(
        device=once["device"],
        deterministic=once["deterministic"],
        workers=once["workers"],
        shards=once["shards"],
        steps=once["steps"],
        cut=cut["steps"],
        variables=len(once["records"][0][1]),
        differences=tuple(differences),
    )


def _result(folder: Path, trial: str) -> dict[str, Any]:
    result: dict[str, Any] = json.loads((folder / f"{trial}.json").read_bytes())
    return result


def _largest_difference(folder: Path, trial: str, variable: str) -> float | None:
    with np.load(folder / "once.npz") as expected, np.load(folder / f"{trial}.npz") as found:
        if variable not in expected or variable not in found or expected[variable].shape != found[variable].shape:
            return None
        difference = np.abs(expected[variable].astype(np.float64) - found[variable].astype(np.float64))
    largest = float(difference.max(initial=0.0))
    return largest or None
