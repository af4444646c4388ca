"""Remove runs, or what of them is only needed to go on. Only what `RunDirectory` calls a run is ever touched."""

from collections.abc import Iterable
from contextlib import nullcontext

from kerasrun.errors import ModelFileError, RunDirectoryError
from kerasrun.runs import atomic
from kerasrun.runs.directory import LATEST, RunDirectory, follow_latest, point_latest_at
from kerasrun.runs.listing import list_runs, summary_of
from kerasrun.runs.lock import lock, owner


def require_removable(runs: Iterable[RunDirectory], *, keep_best: bool, force: bool) -> None:
    """Check that nothing would be lost that somebody may still need, before anything is removed.

    Args:
        keep_best: whether the best model stays.
        force: whether runs may go that are not finished, or that a process writes.

    Raises:
        RunDirectoryError: naming every run that stays, and why.
        ModelFileError: if a run has no best model to be kept.
    """
    refused = []
    for run in runs:
        if keep_best and not run.best_model.is_file():
            raise ModelFileError(f"{run} has no {run.best_model.name} to be kept; nothing was removed")
        if writer := owner(run):
            refused.append(f"{run} is being written by process {writer.pid} on {writer.host}")
        elif (status := summary_of(run).status) != "finished":
            refused.append(f"{run} is not finished: it is {status}")
    if refused and not force:
        raise RunDirectoryError("\n".join([*refused, "nothing was removed; --force removes such runs as well"]))


def size(run: RunDirectory, *, keep_best: bool) -> int | None:
    """Return the bytes that `remove` frees; None where they cannot be counted.

    Of a link to a run, or to a folder in place of one of a run, that are none.
    """
    folders = [run.checkpoints, run.exports] if keep_best else [run.root]
    try:
        total = sum(atomic.size_of_folder(folder) for folder in folders if not folder.is_symlink())
    except RunDirectoryError:  # a folder that may not be read, or is nested too deeply
        return None
    return total + (atomic.sizes(run.last_model).get(run.last_model, 0) if keep_best else 0)


def remove(run: RunDirectory, *, keep_best: bool, force: bool) -> None:
    """Remove a run, or its checkpoints, last model and exports; `latest` leads to the newest run that is left.

    No link is followed: of a run that is one, the link alone is removed.

    Raises:
        RunBusyError: if another process has begun to write it, unless forced.
        RunDirectoryError: if the disk refuses.
    """
    with nullcontext() if force else lock(run):
        if keep_best:
            atomic.remove_folder(run.checkpoints)
            atomic.remove_folder(run.exports)
            atomic.remove_file(run.last_model)
            return
        atomic.remove_folder(run.root)
    atomic.finish_removals(run.root.parent)
    latest = run.root.parent / LATEST
    target = follow_latest(latest)
    if target == latest or target.exists():
        return
    left = sorted(list_runs(latest.parent), key=lambda one: one.started or "")
    if left:
        point_latest_at(left[-1].run)
    else:
        atomic.remove_file(latest)
