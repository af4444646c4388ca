"""A folder of runs that belong together, such as those of `kerasrun repeat`.

`group.json` says for which experiment it was made, so that the same command finds it again and goes on there. Each
member is a run of its own: killed, resumed and looked at like every other.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from typing_extensions import TypedDict

from kerasrun.errors import DamagedFileError, RunDirectoryError
from kerasrun.experiment.load import Given
from kerasrun.regular_files import read_bytes
from kerasrun.reported import resume, train
from kerasrun.run_files import GROUP_FILE
from kerasrun.runs import atomic, recovery
from kerasrun.runs.directory import RunDirectory, numbers_in, run_names
from kerasrun.runs.records import RunRecord
from kerasrun.text import json_text
from kerasrun.text.problems import listed
from kerasrun.training.resuming import same_experiment
from kerasrun.training.resuming.same_experiment import removed_if_empty

if TYPE_CHECKING:
    from kerasrun.training.loop import Watch

_FORMAT = 2
_MEMBERS = {"repeat": r"seed-\d+(-fold-\d+)?", "sweep": r"trial-\d+"}
"""The names that the commands give to their runs; other runs in the folder are not members of the group."""


class _Record(TypedDict):
    """The content of `group.json`."""

    format_version: Literal[2]
    kind: Literal["repeat", "sweep"]
    sha256: str
    """Of the experiment."""
    sections: dict[str, str]
    """sha256 of each section that all members share."""


@dataclass(frozen=True)
class Group:
    """The folder; its members are in it."""

    root: Path

    def member(self, name: str, number: int) -> RunDirectory:
        """Return the run of a name and a number, which may not be there yet."""
        return RunDirectory(self.root / f"{name}-{number}")

    def finished(self) -> list[RunDirectory]:
        """Return the members that are finished and have a best model, by name and number."""
        own = self._record()
        names = [name for name in run_names(self.root) if re.fullmatch(_MEMBERS[own["kind"]], name)]
        records = {run: run.read_run() for run in (RunDirectory(self.root / name) for name in names)}
        return [
            run
            for run, record in records.items()
            if record["status"] == "finished" and run.best_model.exists() and not _different(own, record)
        ]

    def _record(self) -> _Record:
        file = self.root / GROUP_FILE
        try:
            return json_text.checked(_Record, json_text.parse(read_bytes(file)))
        except (OSError, ValueError) as error:
            raise DamagedFileError(f"{file} is not what kerasrun writes: {error}") from error

    def train(
        self,
        file: Given,
        name: str,
        number: int,
        *,
        overrides: Sequence[str] = (),
        trust: bool = False,
        watch: "Watch | None" = None,
    ) -> RunDirectory:
        """Train a member, go on with it, or leave it as it is where it is finished.

        Args:
            file: the experiment for which the group was made.
            overrides: `key.path=value`, what the member has of its own; they count where it begins.
            watch: as for `train`.

        Returns:
            the member.

        Raises:
            KerasrunError: as `train` and `resume`.
        """
        run = self.member(name, number)
        atomic.require_files(run.root)
        if run.root.exists() and not removed_if_empty(run):
            if different := _different(self._record(), recovery.read(run).content):
                raise RunDirectoryError(
                    f"{run} is of another experiment, it differs in {listed(different, 'and')}: move it elsewhere"
                )
            resume(run, trust=trust, watch=watch)
        else:
            own = [*overrides, f"name={name}"]
            train(file, overrides=own, output=self.root, number=number, trust=trust, watch=watch)
        return run


def _different(group: _Record, member: RunRecord) -> list[str]:
    """Return the sections in which a run is not of a group."""
    asked = member.get(same_experiment.KEY, {})
    return [name for name, sha256 in group["sections"].items() if asked.get(name) != sha256]


def find_or_make(
    output: Path, kind: str, name: str, experiment: str, sections: Mapping[str, str] = MappingProxyType({})
) -> Group:
    """Return the newest group of a kind that was made for this experiment, or a new one.

    Args:
        kind: the command, such as `repeat`: the folder is `<output>/<name>-<kind>-<n>`.
        experiment: the text of the resolved experiment, and of whatever else must be the same to go on.
        sections: sha256 of each section that all members share, as `same_experiment.sections` has it.

    Raises:
        RunDirectoryError: if the folder cannot be read or written.
    """
    output, stem = output.absolute(), f"{name}-{kind}"
    made_for = {
        **{"format_version": _FORMAT, "kind": kind, "sha256": hashlib.sha256(experiment.encode()).hexdigest()},
        "sections": dict(sections),
    }
    with atomic.explained(output):
        output.mkdir(parents=True, exist_ok=True)
        numbers = numbers_in(output, stem)
        for number in reversed(numbers):
            group = Group(output / f"{stem}-{number}")
            try:
                if json_text.parse(read_bytes(group.root / GROUP_FILE)) == made_for:
                    return group
            except (FileNotFoundError, NotADirectoryError, ValueError):
                continue
            except OSError as error:
                raise DamagedFileError(f"{group.root / GROUP_FILE} cannot be read: {error.strerror}") from error
        group = Group(output / f"{stem}-{max(numbers, default=0) + 1}")
        group.root.mkdir()
        atomic.write_json(group.root / GROUP_FILE, made_for)
    return group


def named_group(argument: str | Path | None, output: Path) -> Group | None:
    """Return the group that an argument names, its folder or its name in `output`; None if it names no group."""
    folders = [] if argument is None else [Path(argument), output / argument]
    return next((Group(folder.absolute()) for folder in folders if is_group(folder)), None)


def open_group(folder: Path) -> Group:
    """Return the group in a folder.

    Raises:
        RunDirectoryError: if there is none.
    """
    if not is_group(folder):
        raise RunDirectoryError(
            f"{folder} is not a group of runs, as repeat and sweep make them: it has no {GROUP_FILE}"
        )
    return Group(folder.absolute())


def is_group(folder: Path) -> bool:
    """Return whether a folder is that of a group."""
    return (folder / GROUP_FILE).is_file()
