"""What `run.json` and `progress.json` hold, as typed records: the one place that knows their formats.

A file is read by the reader of its format. Another format needs another reader here, which makes today's record of what
that version wrote, `format_version` included; a format without a reader is refused.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, TypedDict, cast

from kerasrun.errors import CheckpointError, RunDirectoryError
from kerasrun.regular_files import open_regular

RUN_FORMAT = 2
"""The format of `run.json` that is written."""
CHECKPOINT_FORMAT = 3
"""The format of `progress.json` that is written."""
Status = Literal["running", "finished", "interrupted", "failed", "paused"]


class BestEpoch(TypedDict):
    """The best epoch so far, counted from one; None before there is one."""

    monitor: str
    value: float | None
    epoch: int | None


class DeviceRecord(TypedDict):
    """What a run computed on."""

    kind: str
    count: int
    names: list[str]
    models: list[str]
    threads: dict[str, int]
    """`intra_op` and `inter_op`."""
    deterministic: bool


class ExamplesRecord(TypedDict):
    """How many examples there are, and their shape and type."""

    train: int
    validation: int
    shape: list[int]
    dtype: str


class OriginRecord(TypedDict):
    """The weights that a run began with."""

    run: str
    weights: str
    """`best.keras`, `last.keras` or `checkpoint <step>`."""
    epoch: int
    sha256: str


class AcceptedChanges(TypedDict):
    """What a resume went on in spite of."""

    time: str
    """ISO 8601, UTC."""
    step: int
    changes: list[str]


class _Always(TypedDict):
    format_version: int
    name: str
    status: Status
    reason: str | None
    """Why the run ended."""
    started: str
    """ISO 8601, UTC."""


_From = TypedDict("_From", {"from": OriginRecord}, total=False)


class RunRecord(_Always, _From, total=False):
    """What `run.json` says, without its checksum; a run that was killed early has the first fields alone."""

    resolved_sha256: list[str]
    """sha256 of `resolved.yaml`; of the old text and the new while a resume replaces it."""
    error: str | None
    """The kind of error with which the run failed."""
    command: str
    working_directory: str
    file: str
    """The experiment file, as an absolute path."""
    versions: dict[str, str | None]
    platform: str
    libc: str | None
    host: str
    processor: dict[str, Any]
    variables: dict[str, str | None]
    """The environment variables that change bits."""
    git: dict[str, Any] | None
    overrides: list[str]
    experiment: str
    seed: int
    epochs: int
    """How many were asked for."""
    device: DeviceRecord
    label_kind: str
    classes: list[str]
    class_weight: dict[str, float] | None
    plugins: dict[str, str]
    """sha256 of each file, by its name."""
    data_fingerprint: str | None
    """None until the data were read."""
    data_files: str | None
    skipped: list[str]
    examples: ExamplesRecord
    trust: bool
    jit_compile: bool | str
    best: BestEpoch
    checkpoint_seconds: float
    accepted_changes: list[AcceptedChanges]


class LoopState(TypedDict):
    """Where training is, and what changes while it trains, but for the arrays."""

    epoch: int
    """How many are done."""
    step: int
    """Steps taken in the epoch that goes on."""
    stage_ends: list[int]
    """After how many epochs, all in all, each stage ended that is over."""
    stopped_by: str | None
    """The callback that ended training early."""
    stop_training: bool
    epoch_seconds: float
    features: dict[str, Any]
    """Whether what frozen layers compute is kept, and the memory that decided it."""
    best: BestEpoch
    callbacks: list[dict[str, Any]]


class SavedProgress(LoopState):
    """What `progress.json` keeps beside checksums."""

    outputs: dict[str, dict[str, int]]
    """Sizes of the files that callbacks append to, by their paths relative to the run."""
    files: dict[str, Any]
    """The other files of the run as they were: `run`, `resolved` and the text of each table by its name."""


def run_record(content: dict[str, Any], file: Path) -> RunRecord:
    """Read the content of a `run.json` of any format that is known.

    Raises:
        RunDirectoryError: if its format is another one.
    """
    version = content.get("format_version", 0)
    if version not in _RUN_READERS:
        what_to_do = (
            "a newer version, so upgrade kerasrun to use it"
            if version > RUN_FORMAT
            else "an older version, so use that version or train again"
        )
        raise RunDirectoryError(
            f"{file} has format {version}, and this kerasrun reads {RUN_FORMAT}: the run was made by {what_to_do}"
        )
    return _RUN_READERS[version](content)


def progress_reader(version: object) -> Callable[[dict[str, Any]], SavedProgress]:
    """Return what reads the content of a `progress.json` of this format.

    Raises:
        CheckpointError: if the format is not known.
    """
    if not isinstance(version, int) or version not in _PROGRESS_READERS:
        raise CheckpointError(f"its format is {version!r}, and this kerasrun reads {CHECKPOINT_FORMAT}")
    return _PROGRESS_READERS[version]


def sha256_of_fields(content: Mapping[str, Any]) -> str:
    """Return the checksum of plain values, whatever the order and the white space in which a file has them."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def sha256_of_file(path: Path) -> str:
    """Return the checksum of a file's content; an OSError is not explained."""
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


_RUN_READERS: Mapping[int, Callable[[dict[str, Any]], RunRecord]] = {2: lambda content: cast(RunRecord, content)}
_PROGRESS_READERS: Mapping[int, Callable[[dict[str, Any]], SavedProgress]] = {3: lambda content: content["progress"]}
