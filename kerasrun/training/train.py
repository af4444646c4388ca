"""`train` and `resume` as Python calls: from an experiment file, or a run directory, to a finished run.

Light to import: everything in the file is checked before TensorFlow is loaded.
"""

import base64
import contextlib
import csv
import io
import logging
import math
import shlex
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerasrun import known_plugins, plugins, stderr
from kerasrun.engine.devices import Device
from kerasrun.engine.errors import explained
from kerasrun.engine.job import Job
from kerasrun.engine.prepared import Prepared, prepare, start_device
from kerasrun.errors import CheckpointError, DeviceError, ModelError, WorkersError
from kerasrun.experiment.changes import allowed_changes, check_changes
from kerasrun.experiment.files import Base
from kerasrun.experiment.load import Given, Loaded, load, parse, path_of
from kerasrun.experiment.resolved import resolved_yaml
from kerasrun.pipeline.selection import first, places_of
from kerasrun.reading.data import Split
from kerasrun.regular_files import read_bytes
from kerasrun.run_files import RunFile, name_of_runs
from kerasrun.runs import atomic, checkpoints, directory, recovery
from kerasrun.runs.directory import RunDirectory
from kerasrun.runs.records import described
from kerasrun.sources.plugin import kind_names as plugin_sources
from kerasrun.stderr import plain
from kerasrun.training.description import description, same_in_all
from kerasrun.training.overview import overview
from kerasrun.training.ownership import owned
from kerasrun.training.resuming import branching, compatibility, fingerprint, same_experiment
from kerasrun.training.resuming.branching import Branch, Origin
from kerasrun.training.resuming.epochs import check_epochs, nothing_left
from kerasrun.training.resuming.kept_models import best_model, last_is_whole
from kerasrun.training.stopping.pruned import Pruned
from kerasrun.training.stopping.time_limit import Paused, TimeLimit
from kerasrun.training.tracking import Tracking, require_packages
from kerasrun.workers import channel
from kerasrun.workers.arrival import failure_told, run_of_leader
from kerasrun.workers.cluster import ONE_PROCESS, Place, place_here
from kerasrun.workers.timeouts import SECONDS_TO_COME

if TYPE_CHECKING:
    from kerasrun.training.loop import TrainingLoop, Watch

logger = logging.getLogger("kerasrun")

_NEW, _FINISHED = {"new": True}, {"finished": True}
"""What rank 0 gives in place of a run, where `train --resume` begins one, or has nothing left to do."""


def train(
    file: Given,
    *,
    overrides: Sequence[str] = (),
    output: str | Path = Path("runs"),
    branch: Branch | None = None,
    trust: bool = False,
    shards: int | None = None,
    number: int | None = None,
    resume: bool = False,
    start_timeout: float = SECONDS_TO_COME,
    watch: "Watch | None" = None,
) -> RunDirectory | None:
    """Train an experiment and return its run; None in a process that follows another one.

    Args:
        file: the experiment, or a mapping that says what its file would.
        overrides: `key.path=value`, as after `--set`.
        output: the folder in which the run directory is made.
        branch: the run whose weights the new one begins with.
        trust: run code that a model file brings; `run.json` says so.
        shards: into how many parts each batch is cut, for several processes to share; by default one for each process
            that `TF_CONFIG` names.
        number: the number of the new run; by default the next one of its name.
        resume: go on with the newest run of this experiment in `output`, leave it as it is if it is finished, and begin
            a new one only where there is none.
        start_timeout: for how many seconds these processes wait for each other.
        watch: is given each epoch, counted from one, and its logs; what it returns, unless None, is why the run ends
            there, with the status `pruned`.

    Raises:
        KerasrunError: for everything that the user can mend; the run, if there is one, keeps its last good state.
    """
    begun, place = time.monotonic(), place_here(start_timeout)
    earlier: RunDirectory | None = None
    given: Mapping[str, Any] = _NEW
    with failure_told(place):
        loaded = load(file, overrides)
        if loaded.experiment.sweep:
            logger.info("the section sweep is left aside; to search: kerasrun sweep %s", path_of(file))
        asked = same_experiment.asked(loaded.experiment, branch)
        if resume and place.leads:
            earlier = same_experiment.find(loaded.experiment, asked, Path(output), place, shards)
        if resume and place.count > 1 and earlier is None:
            given = run_of_leader(place, _NEW if place.leads else None)
    if earlier is not None:
        return _gone_on(earlier, loaded, place, trust=trust, start_timeout=start_timeout)
    with failure_told(place):
        if given != _NEW:
            _follow_resumed(given, place, trust=trust)
            return None
        origin = branching.find(branch, trust=trust) if branch else None
        job = _new_job(loaded, origin, trust=trust, place=place, shards=shards)
    if not place.leads:  # on a machine of its own: this user has named them there too
        known_plugins.remember(plugins.checksums())
    if not leads(job):
        return None
    new = directory.create(Path(output), job.experiment.name, number, **{same_experiment.KEY: asked})
    with Tracking(new) as tracking, job.team.led(), owned(new) as status:
        run, said = status.run, description(path_of(file), overrides, job, job.device, job.team.shards)
        status.is_mine = True
        channel.tell(run=str(run))
        _write_files(run, loaded, job)
        begun_with = {"from": origin.description()} if origin else {}
        trusted = {"trust": True} if trust else {}
        where = {} if isinstance(file, Mapping) else {"file": str(Path(file).absolute())}
        below = {name: str(base.path) for name, base in _bases(loaded).items()}
        run.update_run(
            **said, **where, bases=below, error=None, **begun_with, **trusted, jit_compile=job.model.jit_compile
        )
        logger.info("%s", overview(run, job, f"the weights of {origin}" if origin else None))
        loop = loop_for(run, job, TimeLimit(job.experiment.time_limit, begun), watch)
        tracking.begin(job.experiment.track)
        with _placed(loaded):
            _to_its_end(run, job, loop, loop.start)
    return run


def _bases(loaded: Loaded) -> dict[str, Base]:
    """Return the files on which the experiment builds, by the names that they have in its run."""
    return {f"{number}-{name_of_runs(one.path.name)}": one for number, one in enumerate(loaded.bases, 1)}


def _write_files(run: RunDirectory, loaded: Loaded, job: Job) -> None:
    """Write what a new run keeps of its experiment."""
    atomic.write_text(run.experiment_file, loaded.text)
    for name, base in _bases(loaded).items():
        atomic.write_text(run.bases / name, base.text)
    for plugin in plugins.in_use():
        atomic.write_bytes(run.plugins / plugin.path.name, plugin.content)
    known_plugins.remember(plugins.checksums())
    run.write_resolved(resolved_yaml(job.experiment))
    if job.experiment.fit.test_split is not None:
        atomic.write_text(run.test_examples_file, _listed(job.data.splits["test"]))


def _gone_on(
    earlier: RunDirectory, loaded: Loaded, place: Place, *, trust: bool, start_timeout: float
) -> RunDirectory | None:
    """Go on with a run of the experiment, with what a resume may change as the file says it now."""
    record = recovery.read(earlier)
    content = record.content
    changes = allowed_changes(parse(record.resolved, earlier.resolved_file).experiment, loaded.experiment)
    if content["status"] != "finished" or any("epochs=" in change for change in changes):
        return resume(earlier, overrides=changes, trust=trust, start_timeout=start_timeout)
    if place.count > 1:
        run_of_leader(place, _FINISHED)
    logger.info("%s is finished: %s; nothing to do", earlier, content["reason"])
    return earlier


def resume(
    run: RunDirectory | str | Path,
    *,
    overrides: Sequence[str] = (),
    accept_changes: bool = False,
    trust: bool = False,
    start_timeout: float = SECONDS_TO_COME,
    watch: "Watch | None" = None,
) -> RunDirectory | None:
    """Go on with a run from its newest readable checkpoint; a finished run is left as it is.

    A process that follows another one is given what it needs by rank 0, which alone has the run directory; it returns
    None.

    Args:
        overrides: as for `train`, but only what leaves the finished steps true may change.
        accept_changes: go on although the data, the versions or the machine are not what they were when the run began,
            so that it will not end with the same bits; `run.json` says so.
        trust: run code that the run brings.
        start_timeout: as for `train`.
        watch: as for `train`.

    Raises:
        KerasrunError: as `train`; above all if something has changed since, or no checkpoint can be read.
    """
    begun, place = time.monotonic(), place_here(start_timeout)
    with failure_told(place):
        if not place.leads:
            _follow_resumed(run_of_leader(place), place, trust=trust)
            return None
        run = run if isinstance(run, RunDirectory) else directory.open_run(Path(run))
    with failure_told(place), Tracking(run) as tracking, owned(run) as status, contextlib.ExitStack() as led:
        checkpoint = _restored(run)
        loaded = load(run.resolved_file, overrides, alone=True)
        recorded: Mapping[str, Any] = {"shards": 1, **described(run.read_run(), run.run_file)}
        _say_what_was_edited(run, recorded)
        before = load(run.resolved_file, alone=True).experiment if overrides else loaded.experiment
        check_changes(before, loaded.experiment)
        check_epochs(before, loaded.experiment, checkpoint.progress)
        best = best_model(run, loaded.experiment, checkpoint)
        whole = recorded["status"] == "finished" and best.is_whole and last_is_whole(run)
        shards = shards_of(recorded, place.count)
        if place.count == 1 and whole and nothing_left(run, loaded.experiment, checkpoint.progress):
            tracking.begin(loaded.experiment.track)
            return run
        if place.count > 1:
            run_of_leader(place, _given(loaded, recorded, shards, overrides))
        if loaded.experiment.data.kind in plugin_sources():
            plugins.require_of_run(run.root, trust=trust)  # to open the data is to run it
        prepared = prepare(loaded, trust=trust, place=place)
        device = start_device(
            prepared.experiment, recorded["device"]["threads"], recorded["variables"], place=place, shards=shards
        )
        now = description(run.resolved_file, overrides, prepared, device, shards)
        now[fingerprint.KEY] = fingerprint.to_compare(recorded, prepared.data, accept=accept_changes)
        if accept_changes and best.is_whole and compatibility.changes_bits(recorded, now):
            best = best_model(run, loaded.experiment, checkpoint, same_course=False)
        accepted = compatibility.check(run, recorded, now, accept=accept_changes, step=checkpoint.step, lost=best.lost)
        plugins.require_of_run(run.root, trust=trust)
        job = build(prepared, device, shards=shards)
        leads(job)
        led.enter_context(job.team.led())
        loop = loop_for(run, job, TimeLimit(prepared.experiment.time_limit, begun), watch)
        if overrides:
            run.write_resolved(resolved_yaml(prepared.experiment))
        status.is_mine = True
        if not best.is_whole:
            # Before the changes are noted as accepted: a file of an epoch to come is then always one of this course.
            atomic.remove_file(run.best_model)
        channel.tell(run=str(run), saved=checkpoint.step)
        going_on = {
            **{"epochs": prepared.experiment.fit.epochs, "workers": now["workers"]},
            "resumes": recorded.get("resumes", 0) + 1,
            **{fingerprint.FILES_KEY: prepared.data.files, **accepted},
        }
        run.update_run(status="running", reason=None, error=None, **going_on)
        epoch, step = checkpoint.progress["epoch"], checkpoint.progress["step"]
        logger.info("resuming %s on %s at step %d of epoch %d", run, device.description, step, epoch + 1)
        tracking.begin(prepared.experiment.track)
        with _placed(loaded):
            _to_its_end(run, job, loop, lambda: loop.resume(best.begin_at(checkpoint), best.made_from))
    return run


def _restored(run: RunDirectory) -> checkpoints.Checkpoint:
    """Put the run back to where its newest readable checkpoint has it, and return that."""
    if not run.resolved_file.exists() and not checkpoints.any_saved(run):
        raise CheckpointError(f"{run} was killed before it began: it has no {run.resolved_file.name}; train it again")
    checkpoint = checkpoints.newest(run)
    for note in (*checkpoint.notes, *recovery.restore(run, checkpoint)):
        logger.warning("%s", note)
    return checkpoint


def dry_run(
    file: Given,
    *,
    overrides: Sequence[str] = (),
    output: str | Path = Path("runs"),
    branch: Branch | None = None,
    trust: bool = False,
    shards: int | None = None,
    start_timeout: float = SECONDS_TO_COME,
) -> None:
    """Do all that an epoch does, on one batch to train and one to validate, a save and a restore; then remove it.

    Arguments as for `train`.
    """
    place = place_here(start_timeout)
    with failure_told(place):
        loaded, origin = load(file, overrides), branching.find(branch, trust=trust) if branch else None
        job = _new_job(loaded, origin, trust=trust, place=place, shards=shards)
    if job.validation is not None:
        job = replace(job, validation=first(job.validation, job.experiment.fit.batch_size))
    if not leads(job):
        return
    with job.team.led(), atomic.temporary_folder(Path(output), ".dry-run-") as private:
        loop = loop_for(directory.create(private, job.experiment.name), job)
        with _placed(loaded), explained(job), job.team.losses_explained():
            loop.try_one_batch()


def shards_of(recorded: Mapping[str, Any], workers: int) -> int:
    """Return into how many parts the batches of a run are cut: as before, if the processes can share those."""
    shards: int = recorded.get("shards", 1)
    return workers if shards % workers else shards


def _given(loaded: Loaded, recorded: Mapping[str, Any], shards: int, overrides: Sequence[str]) -> dict[str, Any]:
    """Return what the other processes need of a run to go on with it, as plain values."""
    return {
        "resolved": loaded.text,
        "overrides": [*overrides],
        "plugins": {one.path.name: base64.b64encode(one.content).decode() for one in plugins.in_use()},
        "threads": recorded["device"]["threads"],
        "variables": recorded["variables"],
        "shards": shards,
    }


def _follow_resumed(given: Mapping[str, Any], place: Place, *, trust: bool) -> None:
    """Train what rank 0 has given, by `_given`, unless it has nothing left to train."""
    if given == _FINISHED:
        return
    # Code that came through the network is code of a run: it is only run where this user has begun that, or trusts it.
    with tempfile.TemporaryDirectory(prefix="kerasrun-of-rank-0-") as private:
        received = RunDirectory(Path(private).resolve())
        received.plugins.mkdir()
        for name, content in given["plugins"].items():
            if Path(name).name != name:
                raise WorkersError(f"rank 0 gives a plugin called {plain(name)}, which is no name of a file alone")
            (received.plugins / name).write_bytes(base64.b64decode(content))
        loaded = parse(given["resolved"], received.resolved_file, given["overrides"], alone=True)
        plugins.require_of_run(received.root, trust=trust)  # here, so that who is asked can read the file
    prepared = prepare(loaded, trust=trust, place=place)
    device = start_device(
        prepared.experiment, given["threads"], given["variables"], place=place, shards=given["shards"]
    )
    leads(build(prepared, device, shards=given["shards"]))


def leads(job: Job) -> bool:
    """Return whether this process trains the run; else do what the one says that does, until its end.

    Raises:
        WorkersError: if the processes do not have the same data on the same kind of machine.
    """
    if job.team.workers == 1:
        return True
    from kerasrun.training.follower import follow

    with job.team.losses_explained():
        job.team.require_equal(same_in_all(job, job.device))
    if not job.team.leads:
        with explained(job), job.team.losses_explained():
            code = follow(job)
        if code:
            raise SystemExit(code)
    return job.team.leads


def _new_job(
    loaded: Loaded, origin: Origin | None, *, trust: bool, place: Place = ONE_PROCESS, shards: int | None = None
) -> Job:
    if place.leads:
        require_packages(loaded)
    prepared = prepare(loaded, trust=trust, place=place)
    device = prepared.experiment.device
    if place.count == 1 and isinstance(device, tuple) and len(device) > 1:
        raise DeviceError(
            f"device: {list(device)}: each GPU has a process of its own, which `kerasrun train` begins; in Python name "
            "one GPU, or set TF_CONFIG in each process"
        )
    with _placed(loaded):
        if origin is None:
            prepared.experiment.model.check_weights()
        started = start_device(prepared.experiment, place=place, shards=shards)
        return build(prepared, started, pretrained=True, origin=origin, shards=shards)


@contextlib.contextmanager
def _placed(loaded: Loaded) -> Iterator[None]:
    """Add to an error of the network its place in the experiment."""
    try:
        yield
    except ModelError as error:
        raise loaded.with_place(error) from error


def build(
    prepared: Prepared,
    device: Device,
    *,
    pretrained: bool = False,
    origin: Origin | None = None,
    shards: int | None = None,
) -> Job:
    """Build the model, and whatever else may fail before a run directory is made for it.

    Args:
        pretrained: load the weights that a network comes with; a resume needs none.
        origin: the weights to begin with instead.
        shards: as for `train`.

    Raises:
        KerasrunError: if the experiment has no model for these data on this device, or the weights do not fit it.
    """
    from kerasrun.engine.building import build_job
    from kerasrun.training.loop import check_parts

    with contextlib.redirect_stdout(stderr.as_it_is()), explained(prepared):  # Keras writes there of downloads
        plugins.load()
        # Read before the model is built, which resets the names and the random numbers that loading uses.
        weights = branching.read(origin, trust=prepared.trust) if origin else None
        job = build_job(prepared, device, pretrained=pretrained and origin is None, shards=shards)
        if origin and weights:
            branching.put(weights, job.model, origin)
            branching.note_other_classes(job.data.classes, origin)
        check_parts(job)
    return job


def _listed(split: Split) -> str:
    """Return a table of the examples of a split that was set aside: their names, or numbers where they have none."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["example"])
    rows.writerows([name] for name in split.names or places_of(split))
    return text.getvalue()


def loop_for(
    run: RunDirectory, job: Job, limit: TimeLimit | None = None, watch: "Watch | None" = None
) -> "TrainingLoop":
    from kerasrun.training import loop

    return loop.TrainingLoop(run, job, limit, watch)


def _say_what_was_edited(run: RunDirectory, recorded: Mapping[str, Any]) -> None:
    """Say which files of the experiment are not what the run began with, since the run keeps its own copies."""
    if (file := recorded.get("file")) is None:
        return
    copies = {run.below(RunFile.BASES, name): path for name, path in recorded.get("bases", {}).items()}
    for copy, path in {run.experiment_file: file, **copies}.items():
        try:
            if read_bytes(Path(path)) == read_bytes(copy):
                continue
        except (OSError, ValueError):  # moved or removed since, or no name of a file: nobody expects it to count
            continue
        # Its content is not shown: a run of someone else may name any file of this machine.
        logger.warning(
            "%s was edited after this run began, which does not change it: the run goes on with its own copy. "
            "What differs: diff %s %s\nTo train what the file says now: kerasrun train %s",
            *(path, *(shlex.quote(str(one)) for one in (copy, path, file))),
        )


def _to_its_end(run: RunDirectory, job: Job, loop: "TrainingLoop", begin: Callable[[], None]) -> None:
    """Train until the experiment or its time is at an end."""
    from kerasrun.engine.steps import gradients_forgotten

    try:
        with explained(job), job.team.losses_explained(), gradients_forgotten():
            begin()
    except Paused as pause:
        run.update_run(status="paused", reason=str(pause))
        logger.info("%s", pause)
    except Pruned as pruned:
        run.update_run(status="pruned", reason=str(pruned), best=loop.best.state())
        logger.info("%s", pruned)
    else:
        _finished(run, job, loop)


def _finished(run: RunDirectory, prepared: Prepared, loop: "TrainingLoop") -> None:
    reason, best = loop.why_it_ended(), loop.best.state()
    run.update_run(status="finished", reason=reason, best=best)
    if best["epoch"] is None or best["value"] is None:
        last = run.last_model.name
        logger.warning("%s; no epoch had a %s, so there is no best model, only %s", reason, best["monitor"], last)
        return
    if not math.isfinite(best["value"]):
        logger.warning("%s was never finite, so the best model is that of epoch %d", best["monitor"], best["epoch"])
    logger.info("%s; best epoch %d by %s %.4g", reason, best["epoch"], best["monitor"], best["value"])
    logger.info("model: %s/%s", run, run.best_model.name)
    named = run.quoted + " --trust" * prepared.trust
    split = "" if prepared.validation or "test" in prepared.data.splits else " --split train"
    logger.info("next: kerasrun evaluate %s%s", named, split)
    logger.info("      kerasrun predict %s EXAMPLE", named)
    logger.info("      kerasrun plot %s", named)
