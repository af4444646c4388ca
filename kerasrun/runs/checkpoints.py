"""Checkpoints: `checkpoints/<step>/` with `state.h5`, the whole training state, and `progress.json`, written last.

A checkpoint is filled under a private name and then renamed, so that `<step>/` is whole or not there. `progress.json`
holds the checksums of both files, so that whatever the disk does later is noticed; the generation before serves then.
"""

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kerasrun.errors import CheckpointError, DamagedFileError
from kerasrun.regular_files import open_regular, read_bytes
from kerasrun.runs import atomic
from kerasrun.runs.directory import RunDirectory
from kerasrun.runs.records import CHECKPOINT_FORMAT, SavedProgress, progress_reader, sha256_of_fields
from kerasrun.text import json_text
from kerasrun.text.problems import shown

_STATE = "state.h5"
_PROGRESS = "progress.json"
_ASIDE = ".replaced"
"""Suffix of a checkpoint while a new one of the same step takes its place; it is read if a kill left it alone."""


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that was read and checked."""

    step: int
    state_file: Path
    progress: SavedProgress
    notes: tuple[str, ...] = ()
    """A sentence for each newer checkpoint that cannot be read, to be reported to the user."""


def save(run: RunDirectory, step: int, state: bytes, progress: Mapping[str, Any], keep: int) -> None:
    """Save a checkpoint, then remove all but the newest `keep` up to this step.

    Later steps are removed as well: they are damaged, or belong to a future that was given up by resuming before them.

    Args:
        state: the content of `state.h5`.
        progress: plain JSON values; they come back equal.

    Raises:
        RunDirectoryError: if the disk refuses; every checkpoint that was there still is.
    """
    assert keep >= 1, keep
    atomic.remove_leftovers(run.checkpoints)
    folder = _folder(run, step)
    with atomic.replacing_folder(folder, aside=folder.with_name(folder.name + _ASIDE)) as private:
        _fill(private, step, state, progress)
    _prune(run, step, keep)


def newest(run: RunDirectory) -> Checkpoint:
    """Return the newest checkpoint that can be read; its notes say which newer ones cannot, and why.

    Raises:
        CheckpointError: if there is none, or none that can be read.
    """
    reasons: list[str] = []
    for found in _newest_first(run):
        if isinstance(found, Checkpoint):
            folder = found.state_file.parent
            return replace(found, notes=tuple(f"{why}; checkpoint {folder.name} serves instead" for why in reasons))
        reasons.append(str(found))
    if not reasons:
        raise CheckpointError(f"no checkpoint in {run.checkpoints}; {_start_again(run)}")
    listed = "".join(f"\n  {reason}" for reason in reasons)
    raise CheckpointError(
        f"no checkpoint in {run.checkpoints} can be read:{listed}\nput one back from a copy, or {_start_again(run)}"
    )


def readable(run: RunDirectory) -> tuple[list[Checkpoint], list[str]]:
    """Return every checkpoint that can be read, the newest first, and a sentence for each that cannot."""
    found = list(_newest_first(run))
    return (
        [one for one in found if isinstance(one, Checkpoint)],
        [str(one) for one in found if not isinstance(one, Checkpoint)],
    )


def at_end_of_epoch(run: RunDirectory, epoch: int) -> Checkpoint | None:
    """Return the checkpoint taken when `epoch` (counted from one) was done, if it is kept and can be read."""
    found, _ = readable(run)
    return next((one for one in found if (one.progress["epoch"], one.progress["step"]) == (epoch, 0)), None)


def any_saved(run: RunDirectory) -> bool:
    """Return whether there is a checkpoint, readable or not: a run killed before its first one cannot be resumed."""
    return bool(_folders(run))


def _start_again(run: RunDirectory) -> str:
    command = f"start again with kerasrun train {run.resolved_file}"
    try:
        branch = run.read_run().get("from")
    except DamagedFileError:  # which has been reported, or will be
        branch = None
    if branch:
        which = {"best.keras": "--best", "last.keras": "--last"}.get(branch["weights"], f"--epoch {branch['epoch']}")
        command += f" --from {branch['run']} {which}"
    return command


def _fill(private: Path, step: int, state: bytes, progress: Mapping[str, Any]) -> None:
    atomic.write_private(private / _STATE, state)
    described = {
        "format_version": CHECKPOINT_FORMAT,
        "step": step,
        "state_size": len(state),
        "state_sha256": hashlib.sha256(state).hexdigest(),
        "progress": progress,
    }
    text = json.dumps({**described, "sha256": sha256_of_fields(described)}, indent=2) + "\n"
    atomic.write_private(private / _PROGRESS, text.encode())


def _prune(run: RunDirectory, step: int, keep: int) -> None:
    kept = sorted({_step(folder) for folder in _folders(run) if _step(folder) <= step})[-keep:]
    for folder in _folders(run):
        replaced = folder.name.endswith(_ASIDE) and _folder(run, _step(folder)).exists()
        if _step(folder) not in kept or replaced:
            atomic.remove_folder(folder)


def _folder(run: RunDirectory, step: int) -> Path:
    return run.checkpoints / f"{step:08d}"


def _folders(run: RunDirectory) -> list[Path]:
    if not run.checkpoints.is_dir():
        return []
    try:
        return [entry for entry in run.checkpoints.iterdir() if re.fullmatch(rf"\d{{8,}}({_ASIDE})?", entry.name)]
    except OSError as error:
        raise CheckpointError(f"{run.checkpoints} cannot be read: {error.strerror}") from error


def _step(folder: Path) -> int:
    return int(folder.name.removesuffix(_ASIDE))


def _newest_first(run: RunDirectory) -> Iterator[Checkpoint | CheckpointError]:
    """Yield every checkpoint, or why it cannot be read; each is read when it is asked for."""
    by_step = sorted(_folders(run), key=lambda folder: (_step(folder), not folder.name.endswith(_ASIDE)), reverse=True)
    for folder in by_step:
        try:
            progress = _read(folder)
        except CheckpointError as error:
            yield CheckpointError(f"checkpoint {folder} cannot be read: {error}")
        else:
            yield Checkpoint(_step(folder), folder / _STATE, progress)


def _read(folder: Path) -> SavedProgress:
    """The progress of a checkpoint whose two files are what was written; the error says what is not."""
    described = _read_description(folder / _PROGRESS)
    read = progress_reader(described.get("format_version"))
    if described.pop("sha256", None) != sha256_of_fields(described) or described.get("step") != _step(folder):
        raise CheckpointError(f"{_PROGRESS} is not what was written (checksum or step differs)")
    try:
        with open_regular(folder / _STATE) as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(0)
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise CheckpointError(f"{_STATE} cannot be read ({error.strerror})") from error
    if size != described.get("state_size"):
        raise CheckpointError(f"{_STATE} has {size} bytes, expected {shown(described.get('state_size'))}")
    if digest != described.get("state_sha256"):
        raise CheckpointError(f"{_STATE} is not what was written (checksum differs)")
    try:
        return read(described)
    except ValueError as error:
        raise CheckpointError(f"{_PROGRESS} is not what kerasrun writes: {error}") from error


def _read_description(path: Path) -> dict[str, Any]:
    try:
        described = json_text.parse(read_bytes(path))
    except OSError as error:
        raise CheckpointError(f"{path.name} cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise CheckpointError(f"{path.name} {error}") from error
    if not isinstance(described, dict):
        raise CheckpointError(f"{path.name} is not a JSON object")
    return described
