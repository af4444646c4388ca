"""What `run.json` and `progress.json` hold, as typed records: the one place that knows their formats.

A file is read by the reader of its format. Another format needs another reader here, which makes today's record of what
that version wrote, `format_version` included; a format without a reader is refused.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal, cast

from annotated_types import Interval
from typing_extensions import TypedDict

from kerasrun.errors import CheckpointError, DamagedFileError, RunDirectoryError
from kerasrun.run_files import RunFile
from kerasrun.text import json_text
from kerasrun.text.problems import listed, shown

RUN_FORMAT = 2
"""The format of `run.json` that is written."""
CHECKPOINT_FORMAT = 3
"""The format of `progress.json` that is written."""
Status = Literal["running", "finished", "interrupted", "failed", "paused", "pruned"]


@dataclass(frozen=True)
class _Checked:
    """A check that a type has, as pydantic's `AfterValidator`, which is not loaded for it."""

    check: Callable[[Any], Any]

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], Any]) -> Any:
        from pydantic_core import core_schema

        return core_schema.no_info_after_validator_function(self.check, handler(source))


def _moment(text: str) -> str:
    try:
        datetime.fromisoformat(text).astimezone()
    except OverflowError as error:  # a day before year 1 or after year 9999, in the time of this machine
        raise ValueError(error) from error
    return text


def _output(name: str) -> str:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts or name in list(RunFile) or "\0" in name:
        raise ValueError("expected a path in the run that kerasrun does not write itself")
    return name


def _file_name(name: str) -> str:
    if name in ("", ".", "..") or any(one in name for one in "/\\\0") or len(name) > 255:
        raise ValueError("expected the name of a file, without a folder")
    return name


def _threads(found: dict[str, int]) -> dict[str, int]:
    if set(found) != {"intra_op", "inter_op"}:
        raise ValueError("expected intra_op and inter_op")
    return found


def _callback(found: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(found.get("callback"), str):
        raise ValueError("expected the name of a callback")
    return found


Count = Annotated[int, Interval(ge=0, le=2**53)]
Seconds = Annotated[float, Interval(ge=0, le=2**53)]
"""Finite; so is what they are added to."""
Moment = Annotated[str, _Checked(_moment)]
"""ISO 8601, UTC."""
FileName = Annotated[str, _Checked(_file_name)]
Output = Annotated[str, _Checked(_output)]
"""A file or folder to which a callback appends, relative to the run."""


class BestEpoch(TypedDict):
    """The best epoch so far, counted from one; None before there is one."""

    monitor: str
    value: float | None
    epoch: Annotated[int, Interval(ge=1, le=2**53)] | None


class DeviceRecord(TypedDict):
    """What a run computed on."""

    kind: Literal["cpu", "gpu"]
    count: Annotated[int, Interval(ge=1, le=2**16)]
    names: list[str]
    models: list[str]
    threads: Annotated[dict[str, Annotated[int, Interval(ge=0, le=2**12)]], _Checked(_threads)]
    """`intra_op` and `inter_op`."""
    deterministic: bool


class ExamplesRecord(TypedDict):
    """How many examples there are, and their shape and type."""

    train: Count
    validation: Count
    shape: list[Count]
    dtype: str


class OriginRecord(TypedDict):
    """The weights that a run began with."""

    run: str
    weights: str
    """`best.keras`, `last.keras` or `checkpoint <step>`."""
    epoch: Count
    sha256: str


class AcceptedChanges(TypedDict):
    """What a resume went on in spite of."""

    time: Moment
    step: Count
    changes: list[str]


class _Always(TypedDict):
    format_version: int
    name: str
    status: Status
    reason: str | None
    """Why the run ended."""
    started: Moment


_From = TypedDict("_From", {"from": OriginRecord}, total=False)


class RunRecord(_Always, _From, total=False):
    """What `run.json` says, without its checksum; a run that was killed early has the first fields alone."""

    asked_sha256: dict[str, str]
    """sha256 of each part of the experiment as it was asked for, without what a resume may change."""
    resolved_sha256: list[str]
    """sha256 of `resolved.yaml`; of the old text and the new while a resume replaces it."""
    error: str | None
    """The kind of error with which the run failed."""
    command: str
    working_directory: str
    file: str
    """The experiment file, as an absolute path."""
    bases: dict[FileName, str]
    """The files on which it builds, as absolute paths, by the names of the run's copies."""
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
    seed: Count
    epochs: Count
    """How many were asked for."""
    device: DeviceRecord
    shards: Annotated[int, Interval(ge=1, le=2**16)]
    """Into how many parts each batch is cut, of which the gradients are computed apart."""
    workers: list[str]
    """The addresses of the processes that train together; none where there is one."""
    resumes: Count
    """How often the run was gone on with, by whoever: a restart of workers counts too."""
    label_kind: str
    classes: list[str]
    class_weight: dict[str, float] | None
    plugins: dict[FileName, str]
    """sha256 of each file, by its name."""
    data_fingerprint: str | None
    """None until the data were read."""
    data_files: str | None
    skipped: list[str]
    examples: ExamplesRecord
    trust: bool
    jit_compile: bool | str
    best: BestEpoch
    checkpoint_seconds: Seconds
    accepted_changes: list[AcceptedChanges]


class FeaturesRecord(TypedDict):
    """Whether what frozen layers compute is kept, and the bytes of memory that decided it."""

    kept: bool
    budget: Count


class LoopState(TypedDict):
    """Where training is, and what changes while it trains, but for the arrays."""

    epoch: Count
    """How many are done."""
    step: Count
    """Steps taken in the epoch that goes on."""
    stage_ends: list[Count]
    """After how many epochs, all in all, each stage ended that is over."""
    stopped_by: str | None
    """The callback that ended training early."""
    stop_training: bool
    epoch_seconds: Seconds
    features: FeaturesRecord
    best: BestEpoch
    callbacks: list[Annotated[dict[str, Any], _Checked(_callback)]]


SavedFiles = TypedDict("SavedFiles", {"run": RunRecord, "resolved": str, "metrics.csv": str, "timings.csv": str})
"""The other files of a run as they were: the text of each table, and of `resolved.yaml`."""


class SavedProgress(LoopState):
    """What `progress.json` keeps beside checksums."""

    outputs: dict[Output, dict[Output, Count]]
    """Sizes of the files that callbacks append to, by their paths relative to the run."""
    files: SavedFiles


def run_record(content: dict[str, Any], file: Path) -> RunRecord:
    """Read the content of a `run.json` of any format that is known.

    Raises:
        DamagedFileError: if it is not what a run has.
        RunDirectoryError: if its format is another one.
    """
    version = content.get("format_version", 0)
    if type(version) is not int:
        raise DamagedFileError(f"{file} is damaged: its format is {shown(version)}, expected a number")
    if version not in _RUN_READERS:
        what_to_do = (
            "a newer version, so upgrade kerasrun to use it"
            if version > RUN_FORMAT
            else "an older version, so use that version or train again"
        )
        raise RunDirectoryError(
            f"{file} has format {shown(version)}, and this kerasrun reads {RUN_FORMAT}: the run was made by "
            f"{what_to_do}"
        )
    try:
        return _RUN_READERS[version](content)
    except ValueError as error:
        raise DamagedFileError(f"{file} is not what kerasrun writes: {error}") from error


def described(content: RunRecord, file: Path) -> RunRecord:
    """Return the content of a `run.json` that says what its run computed on, and with what.

    Raises:
        RunDirectoryError: if it does not, as of a run that was killed before it began.
    """
    needed = ("classes", "data_fingerprint", "device", "epochs", "examples", "variables", "versions")
    if missing := [key for key in needed if key not in content]:
        raise RunDirectoryError(f"{file} does not say {listed(missing)}: the run was killed before it began")
    return content


def best_of(content: RunRecord, file: Path) -> BestEpoch:
    """Return the best epoch of a run that is at its end.

    Raises:
        DamagedFileError: if it is not there.
    """
    if "best" not in content:
        raise DamagedFileError(f"{file} is damaged: it does not say which epoch was the best")
    return content["best"]


def progress_reader(version: object) -> Callable[[dict[str, Any]], SavedProgress]:
    """Return what reads the content of a `progress.json` of this format; a ValueError of it says what is wrong there.

    Raises:
        CheckpointError: if the format is not known.
    """
    if type(version) is not int or version not in _PROGRESS_READERS:
        raise CheckpointError(f"its format is {shown(version)}, and this kerasrun reads {CHECKPOINT_FORMAT}")
    return _PROGRESS_READERS[version]


def sha256_of_fields(content: Mapping[str, Any]) -> str:
    """Return the checksum of plain values, whatever the order and the white space in which a file has them."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _read_run(content: dict[str, Any]) -> RunRecord:
    json_text.checked(RunRecord, content)
    return cast(RunRecord, content)  # with keys of later versions, which what is checked leaves out


def _read_progress(content: dict[str, Any]) -> SavedProgress:
    progress = content.get("progress")
    json_text.checked(SavedProgress, progress)
    return cast(SavedProgress, progress)


_RUN_READERS: Mapping[int, Callable[[dict[str, Any]], RunRecord]] = {2: _read_run}
_PROGRESS_READERS: Mapping[int, Callable[[dict[str, Any]], SavedProgress]] = {3: _read_progress}
