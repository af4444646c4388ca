"""The run directory: the names of its files, how it is made and opened, and what `run.json` says.

`run.json` holds a `kerasrun.runs.records.RunRecord`, and `sha256`, the checksum of its other fields.
"""

import hashlib
import logging
import re
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from kerasrun.errors import DamagedFileError, ModelFileError, RunDirectoryError
from kerasrun.regular_files import read_bytes
from kerasrun.run_files import GROUP_FILE, RunFile, can_name_runs
from kerasrun.runs import atomic
from kerasrun.runs.records import RUN_FORMAT, RunRecord, run_record, sha256_of_fields
from kerasrun.text import json_text
from kerasrun.text.problems import listed

_WITHOUT_CHECKSUM = 1
"""The first format, whose `run.json` had no checksum."""
logger = logging.getLogger("kerasrun")

LATEST = "latest"
_LONGEST_LATEST = 1000
"""How many bytes it has at most where it is a file."""


class _Entry:
    """A file or folder of a run, as an attribute that gives its path."""

    def __init__(self, name: RunFile) -> None:
        self._name = name

    def __get__(self, run: "RunDirectory", kind: type["RunDirectory"]) -> Path:
        return run.root / self._name


@dataclass(frozen=True, eq=False)
class RunDirectory:
    """A run on disk; `root` is absolute. Nobody else writes a file name of a run by hand."""

    root: Path

    def __post_init__(self) -> None:
        atomic.follow_no_links_below(self.root)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RunDirectory) and self.root == other.root

    def __hash__(self) -> int:
        return hash(self.root)

    def __str__(self) -> str:
        """As a user would type it: relative to the working directory where the run is inside it."""
        cwd = Path.cwd()
        return str(self.root.relative_to(cwd) if self.root.is_relative_to(cwd) else self.root)

    @property
    def quoted(self) -> str:
        """The same for a command that a message names: an experiment of others may have a name like `a;b`."""
        return shlex.quote(str(self))

    @property
    def name(self) -> str:
        return self.root.name

    experiment_file = _Entry(RunFile.EXPERIMENT)
    """The experiment file as the user wrote it."""
    resolved_file = _Entry(RunFile.RESOLVED)
    """The experiment with every default filled in and absolute paths."""
    run_file = _Entry(RunFile.RUN)
    """The file that makes a folder a run; see `read_run`."""
    metrics_file = _Entry(RunFile.METRICS)
    timings_file = _Entry(RunFile.TIMINGS)
    test_examples_file = _Entry(RunFile.TEST_EXAMPLES)
    """The examples that `fit.test_split` set aside."""
    log_file = _Entry(RunFile.LOG)
    lock_file = _Entry(RunFile.LOCK)
    checkpoints = _Entry(RunFile.CHECKPOINTS)
    """The folder of the checkpoints; `kerasrun.runs.checkpoints` reads and writes them."""
    best_model = _Entry(RunFile.BEST_MODEL)
    last_model = _Entry(RunFile.LAST_MODEL)
    plugins = _Entry(RunFile.PLUGINS)
    """The folder of the plugins as they were when the run began."""
    bases = _Entry(RunFile.BASES)
    """The folder of the files on which the experiment builds, each under its number and its name."""
    plots = _Entry(RunFile.PLOTS)
    exports = _Entry(RunFile.EXPORTS)
    """The folder of what `export` writes."""
    report_file = _Entry(RunFile.REPORT)
    """The page that `report` writes."""

    def evaluation(self, split: str) -> Path:
        """Return the file of the last evaluation of a split."""
        return self.below(RunFile.EVALUATION, f"{split}.json")

    def below(self, folder: RunFile, name: str) -> Path:
        """Return a file of a folder, of which a model or an experiment of someone else may have chosen the name.

        Raises:
            RunDirectoryError: if the name leads to another folder.
        """
        if Path(name).name != name:
            raise RunDirectoryError(f"{name!r} is not the name of a file in {self.root / folder}")
        return self.root / folder / name

    def is_run(self) -> bool:
        """Return whether the folder is a run, also one whose `run.json` is lost but kept in a checkpoint."""
        return self.run_file.exists() or any(self.checkpoints.glob(8 * "[0-9]"))

    def read_run(self) -> RunRecord:
        """Return what `run.json` says.

        Raises:
            DamagedFileError: if it is missing, or is not what was written.
            RunDirectoryError: if it may not be read, or has a format that this version does not read.
        """
        try:
            content = json_text.parse(_read(self.run_file))
        except ValueError as error:
            raise DamagedFileError(f"{self.run_file} is damaged: it {error}") from error
        if not isinstance(content, dict):
            raise DamagedFileError(f"{self.run_file} is damaged: it is not a JSON object")
        version = content.get("format_version", 0)
        checksum = content.pop("sha256", None)
        # Before the format, which a flipped bit changes as well; this checksum is that of every later format.
        is_first = checksum is None and version == _WITHOUT_CHECKSUM
        if not is_first and checksum != sha256_of_fields(content):
            raise DamagedFileError(f"{self.run_file} is damaged: it is not what was written (its checksum differs)")
        return run_record(content, self.run_file)

    def update_run(self, **fields: Any) -> None:
        """Set fields of `run.json` and keep the others; for the owner of the run's lock."""
        self.write_run({**self.read_run(), **fields})

    def write_run(self, content: Mapping[str, Any]) -> None:
        """Write the whole of `run.json`."""
        atomic.write_json(self.run_file, {**content, "sha256": sha256_of_fields(content)})

    def read_resolved(self, content: Mapping[str, Any]) -> str:
        """Return the text of `resolved.yaml`.

        Args:
            content: what `run.json` says.

        Raises:
            DamagedFileError: if it is missing, or is not what was written.
            RunDirectoryError: if it may not be read.
        """
        text = _read(self.resolved_file)
        if hashlib.sha256(text).hexdigest() not in content.get("resolved_sha256", ()):
            raise DamagedFileError(
                f"{self.resolved_file} is not what kerasrun wrote: it is damaged, or was edited (a resume takes "
                "changes from -s only)"
            )
        try:
            return text.decode()
        except UnicodeDecodeError as error:
            raise DamagedFileError(f"{self.resolved_file} is not what kerasrun wrote: it is no text") from error

    def write_resolved(self, text: str) -> None:
        """Write `resolved.yaml`, and its checksum into `run.json`; a kill in between leaves the old text or the new."""
        digest = hashlib.sha256(text.encode()).hexdigest()
        known = self.read_run().get("resolved_sha256", ())
        if known:
            self.update_run(resolved_sha256=[*known, digest])
        atomic.write_text(self.resolved_file, text)
        self.update_run(resolved_sha256=[digest])


def _read(path: Path) -> bytes:
    try:
        return read_bytes(path)
    except FileNotFoundError as error:
        raise DamagedFileError(f"{path} is missing") from error
    except PermissionError as error:
        raise RunDirectoryError(f"{path} cannot be read: {error.strerror}") from error
    except OSError as error:
        raise DamagedFileError(f"{path} cannot be read: {error.strerror}") from error


def create(output: Path, name: str, number: int | None = None, **fields: Any) -> RunDirectory:
    """Make `<output>/<name>-<n>`, status `running`, and point `latest` at it.

    Two processes that call this at once get two runs.

    Args:
        number: `n`; by default the next free one.
        fields: what `run.json` is to say from its first moment on.

    Raises:
        RunDirectoryError: if the name is no file name, or the folder cannot be written or is there already; nothing is
            left behind.
    """
    if not can_name_runs(name):
        raise RunDirectoryError(f"{name!r} cannot name a run: a run's folder is called after it, expected a file name")
    output = output.absolute()
    with atomic.explained(output):
        output.mkdir(parents=True, exist_ok=True)
        atomic.finish_removals(output)
        run = _make_next(output, name) if number is None else _make(output, name, number)
    try:
        with atomic.explained(output):
            atomic.flush_folder(output)
        started = datetime.now(UTC).isoformat(timespec="microseconds")
        first = {"format_version": RUN_FORMAT, "name": run.name, "status": "running", "reason": None}
        run.write_run(first | {"started": started, **fields})
        point_latest_at(run)
    except BaseException:
        with suppress(RunDirectoryError):  # the failure itself is on its way up
            atomic.remove_folder(run.root)
        raise
    return run


def is_named_after(run: str, experiment: str) -> re.Match[str] | None:
    """Match the name of a run with `<experiment>-<n>`; the first group is the number."""
    return re.fullmatch(re.escape(experiment) + r"-(\d+)", run)


def _make_next(output: Path, name: str) -> RunDirectory:
    number = max(numbers_in(output, name), default=0)
    while True:
        number += 1
        with suppress(FileExistsError):  # another process took this number in the meantime
            return _make(output, name, number)


def _make(output: Path, name: str, number: int) -> RunDirectory:
    run = RunDirectory(output / f"{name}-{number}")
    run.root.mkdir()
    return run


def numbers_in(folder: Path, name: str) -> list[int]:
    """Return the numbers `n` of what is called `<name>-<n>` in a folder, sorted."""
    matches = (is_named_after(entry.name, name) for entry in folder.iterdir())
    return sorted(int(match[1]) for match in matches if match)


def point_latest_at(run: RunDirectory) -> None:
    """Have `latest` lead to a run."""
    latest = run.root.parent / LATEST
    if latest.is_dir() and not latest.is_symlink():
        logger.warning("%s is a folder, not a link, and stays one: it does not lead to %s", latest, run.name)
        return
    private = atomic.private_name(latest)
    with atomic.writing(latest, private):
        try:
            private.symlink_to(run.name, target_is_directory=True)
        except (OSError, NotImplementedError):  # Windows without the right to, FAT, some network file systems
            atomic.write_text(latest, run.name + "\n")
        else:
            private.replace(latest)


def follow_latest(path: Path) -> Path:
    """Return where `path` leads if it is a `latest`, a link or a file that holds a name; else `path` itself."""
    if path.name != LATEST:
        return path
    if path.is_symlink():
        target = path.readlink()
        if target.name != str(target) or target.name == "..":
            raise RunDirectoryError(f"{path} leads to another folder, {target}; name the run itself")
        return path.parent / target
    if path.is_file():
        with _readable(path):
            name = read_bytes(path, _LONGEST_LATEST).decode(errors="replace").strip()
        if re.fullmatch(r"[^\x00/\\]+", name) and name not in (".", ".."):
            return path.parent / name
        raise RunDirectoryError(f"{path} is damaged: it does not hold the name of a run; name the run instead")
    return path


def open_run(path: str | Path) -> RunDirectory:
    """Return the run at `path`.

    What is in it is read, and found damaged, only by who needs it: prediction needs no more than the model file.

    Raises:
        RunDirectoryError: if there is none, or it is not a run.
    """
    path = Path(path)
    with _readable(path):
        run = RunDirectory(follow_latest(path).absolute())
        if not run.root.exists():
            raise RunDirectoryError(_missing(run.root))
        if not run.root.is_dir():
            raise RunDirectoryError(f"{path} is a file; expected the folder of a run, such as runs/lenet-1")
        if not run.is_run():
            raise RunDirectoryError(_foreign(run.root))
    return run


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RunDirectoryError(f"{path} cannot be read: {error.strerror}") from error


def model_of(run: RunDirectory, *, last: bool = False) -> Path:
    """Return the file of a run's best model, or of its last.

    Raises:
        ModelFileError: if training has not come so far.
    """
    path = run.last_model if last else run.best_model
    if not path.exists():
        raise ModelFileError(
            f"{run}/{path.name} is not there: {'training is not finished' if last else 'no epoch is done'}, or it was "
            f"removed; kerasrun resume {run.quoted} makes it again where a checkpoint has it"
        )
    return path


def _missing(root: Path) -> str:
    siblings = run_names(root.parent)
    close = get_close_matches(root.name, siblings, n=1)
    if close:
        return f"there is no run {root}; did you mean {root.parent / close[0]}?"
    return f"there is no run {root}; {_what_is_there(root.parent, siblings)}"


def _foreign(root: Path) -> str:
    names = run_names(root)
    if names or all(entry.name.startswith(".") for entry in root.iterdir()):
        return f"{root} is not a run but a folder for runs; {_what_is_there(root, names)}"
    return f"{root} is not a run: it has no run.json; expected a folder that kerasrun train made"


def _what_is_there(folder: Path, names: list[str]) -> str:
    if not names:
        return f"{folder} holds no run yet; {where_else(folder)}"
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return f"{folder} holds {', '.join(names[:5])}{more}"


def where_else(folder: Path) -> str:
    """Return where else there are runs than in a folder itself: in its groups, or nowhere yet."""
    return groups_in(folder) or "start one with kerasrun train FILE"


def groups_in(folder: Path) -> str | None:
    """Return a sentence with the groups in a folder, as `repeat` and `sweep` make them; None where there are none."""
    with _readable(folder):
        groups = sorted((file.parent.name for file in folder.glob(f"*/{GROUP_FILE}")), key=in_natural_order)
    return f"groups of runs: {listed(groups, 'and')}; kerasrun runs -o {folder / groups[-1]}" if groups else None


def run_names(folder: Path) -> list[str]:
    """Return the names of the runs in a folder, by name and number; empty where there is no folder."""
    if not folder.is_dir():
        return []
    with _readable(folder):
        entries = [entry for entry in folder.iterdir() if entry.name != LATEST and not entry.name.startswith(".")]
        return sorted((entry.name for entry in entries if _may_be_run(entry)), key=in_natural_order)


def _may_be_run(folder: Path) -> bool:
    """Return whether a folder is a run, or may not be looked into: then it is listed, with the reason."""
    try:
        return RunDirectory(folder).is_run()
    except PermissionError:
        return True


def in_natural_order(name: str) -> tuple[str, int, str]:
    """Return what sorts names by their numbers: lenet-2 before lenet-10."""
    stem, _, number = name.rpartition("-")
    digits = number.lstrip("0")  # not as a number: there may be thousands
    return (stem, len(digits), digits) if number.isdecimal() else (name, 0, "")
