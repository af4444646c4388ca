"""What a checkpoint keeps of the other files of its run, and how they come back from it.

Each is small text, so that every checkpoint has them whole, under the checksum of its `progress.json`: a run can be
resumed as long as one checkpoint can be read.
"""

from dataclasses import dataclass
from typing import Any

from kerasrun.errors import CheckpointError, DamagedFileError
from kerasrun.run_files import RunFile
from kerasrun.runs import checkpoints
from kerasrun.runs.checkpoints import Checkpoint
from kerasrun.runs.directory import RunDirectory
from kerasrun.runs.metrics import Table
from kerasrun.runs.records import RunRecord, SavedFiles


@dataclass(frozen=True)
class Record:
    """What `run.json` and `resolved.yaml` say."""

    content: RunRecord
    resolved: str
    notes: tuple[str, ...]
    """A sentence for each of the two that is damaged, to be reported to the user."""


def files(run: RunDirectory, resolved: str) -> dict[str, Any]:
    """Return what a checkpoint that is taken now keeps of the other files.

    Args:
        resolved: the experiment that is trained; not read from the run, where it may have been changed since.
    """
    tables = {table.path.name: table.text() for table in _tables(run)}
    return {"run": run.read_run(), "resolved": resolved, **tables}


def read(run: RunDirectory, checkpoint: Checkpoint | None = None) -> Record:
    """Read `run.json` and `resolved.yaml`; one that is damaged is taken from a checkpoint. Nothing is written.

    Args:
        checkpoint: the newest one that can be read; looked for if it is needed and not given.

    Raises:
        RunDirectoryError: if one is damaged and no checkpoint can be read.
    """
    notes: list[str] = []

    def saved(error: DamagedFileError) -> SavedFiles:
        try:
            found = checkpoint or checkpoints.newest(run)
        except CheckpointError as none:
            raise CheckpointError(f"{error}; and {none}") from error
        notes.append(f"{error}; what checkpoint {found.step:08d} keeps of it serves instead")
        return found.progress["files"]

    try:
        content = run.read_run()
    except DamagedFileError as error:
        content = saved(error)["run"]
    try:
        resolved = run.read_resolved(content)
    except DamagedFileError as error:
        resolved = saved(error)["resolved"]
    return Record(content, resolved, tuple(notes))


def restore(run: RunDirectory, checkpoint: Checkpoint) -> tuple[str, ...]:
    """Put back what is missing or damaged of the files that `checkpoint` keeps; for the owner of the run's lock.

    Returns:
        a sentence for each of them, to be reported to the user.

    Raises:
        RunDirectoryError: if the disk refuses.
    """
    record = read(run, checkpoint)
    if record.notes:
        run.write_run({**record.content, "best": checkpoint.progress["best"]})
        run.write_resolved(record.resolved)
    notes = list(record.notes)
    for table in _tables(run):
        kept = _kept(table, checkpoint.progress["files"])
        if damage := table.damage(kept):
            table.take_back(kept)
            notes.append(f"{damage}; it is put back from checkpoint {checkpoint.step:08d}")
    return tuple(notes)


def take_tables_back(run: RunDirectory, kept: SavedFiles) -> None:
    """Cut off the rows that were written after the checkpoint."""
    for table in _tables(run):
        table.take_back(_kept(table, kept))


def _kept(table: Table, files: SavedFiles) -> str:
    return files["metrics.csv"] if table.path.name == RunFile.METRICS else files["timings.csv"]


def _tables(run: RunDirectory) -> tuple[Table, Table]:
    return Table(run.metrics_file), Table(run.timings_file)
