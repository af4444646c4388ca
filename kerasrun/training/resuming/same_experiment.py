"""Find the run of an experiment that is trained by one command again and again. Light to import.

Two trainings are of one experiment if they were asked for alike: the same resolved experiment before its data were
read, the same contents of plugins, the same weights to begin with. What a resume may change does not count.
"""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from kerasrun import plugins
from kerasrun.engine.prepared import open_data
from kerasrun.errors import DamagedFileError
from kerasrun.experiment.changes import data_paths, what_stays
from kerasrun.experiment.schema import Experiment
from kerasrun.pipeline.selection import with_test_split
from kerasrun.runs import atomic, checkpoints, recovery
from kerasrun.runs.directory import RunDirectory, is_named_after, run_names
from kerasrun.runs.lock import lock
from kerasrun.runs.records import RunRecord, sha256_of_fields
from kerasrun.text.problems import listed
from kerasrun.training.resuming.branching import Branch
from kerasrun.workers.cluster import Place

logger = logging.getLogger("kerasrun")

KEY: Final = "asked_sha256"
"""The key in `run.json`."""
_PATHS: Final = "paths of the data"


def asked(experiment: Experiment, branch: Branch | None) -> dict[str, str]:
    """Return the sha256 of each part of what is asked for, by the name of the part.

    Args:
        experiment: as it was read, with its plugins in use.
    """
    origin = None
    if branch:
        root = branch.run.root if isinstance(branch.run, RunDirectory) else Path(branch.run).absolute()
        origin = [str(root), branch.weights]
    parts = {
        **what_stays(experiment),
        "plugins": plugins.checksums(),
        "--from": origin,
        _PATHS: data_paths(experiment),
    }
    return _checksums(parts)


def sections(experiment: Experiment) -> dict[str, str]:
    """Return the sha256 of each section, as `asked` has it, but of plugins, of which that has the contents."""
    return _checksums({name: part for name, part in what_stays(experiment).items() if name != "plugins"})


def _checksums(parts: Mapping[str, object]) -> dict[str, str]:
    return {name: sha256_of_fields({name: part}) for name, part in parts.items()}


def find(
    experiment: Experiment, asked: Mapping[str, str], output: Path, place: Place, shards: int | None = None
) -> RunDirectory | None:
    """Return the newest run of this experiment in a folder; None where a new one is to begin.

    Newest is the one with the highest number. One that ended before its first checkpoint is removed: it holds
    nothing, and the new one takes its place. Where runs of this name are all of other experiments, the newest of
    them is named.

    Args:
        experiment: as it was read.
        asked: what `asked` says of it.
        output: the folder of runs.
        place: that of this process, which is the one that has the runs.
        shards: into how many parts each batch is to be cut, where that was said.

    Raises:
        RunBusyError: if another process has begun the run and is before its first checkpoint.
        RunDirectoryError: if what a run of this name was asked for cannot be read, or its folder not be removed.
    """
    names = [name for name in run_names(output) if is_named_after(name, experiment.name)]
    others: list[str] = []
    for run in (RunDirectory((output / name).absolute()) for name in reversed(names)):
        if different := _differences(experiment, asked, _content(run), place, shards):
            others.append(f"{run} is of another experiment, it differs in {listed(different, 'and')}")
        else:
            return None if removed_if_empty(run) else run
    if others:
        logger.warning("%s: a new run begins", others[0])
    return None


def _content(run: RunDirectory) -> RunRecord:
    try:
        return run.read_run()
    except DamagedFileError:
        return recovery.read(run).content


def _differences(
    experiment: Experiment, asked: Mapping[str, str], content: RunRecord, place: Place, shards: int | None
) -> list[str]:
    """Return the names of the parts that are not what a run was asked for."""
    known = content.get(KEY, {})
    different = [name for name in dict.fromkeys([*asked, *known]) if asked.get(name) != known.get(name)]
    if shards is not None and shards != content.get("shards", shards):
        different.append("--shards")
    if different == [_PATHS] and content.get("data_fingerprint") in (None, _fingerprint(experiment, place)):
        return []
    return different


def _fingerprint(experiment: Experiment, place: Place) -> str:
    """Return the fingerprint of the data, which may only have moved."""
    return with_test_split(open_data(experiment, place), experiment.fit, experiment.seed).fingerprint


def _holds_nothing(run: RunDirectory) -> bool:
    """Return whether nothing was trained; checkpoints alone may have been removed to free their space."""
    return not (checkpoints.any_saved(run) or run.metrics_file.exists() or run.best_model.exists())


def removed_if_empty(run: RunDirectory) -> bool:
    """Remove a run that ended before its first checkpoint, to be begun again; return whether it was one.

    Raises:
        RunBusyError: if another process has begun it and is before its first checkpoint.
        RunDirectoryError: if it cannot be removed.
    """
    if not _holds_nothing(run):
        return False
    with lock(run):
        if not _holds_nothing(run):
            return False
        logger.info("%s ended before its first checkpoint: it is begun again", run)
        atomic.remove_folder(run.root)
    return True
