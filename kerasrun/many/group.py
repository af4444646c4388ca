"""A folder of runs that belong together, such as those of `kerasrun repeat`.

`group.json` says for which experiment it was made, so that the same command finds it again and goes on there. Each
member is a run of its own: killed, resumed and looked at like every other.
"""

import hashlib
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kerasrun.errors import RunDirectoryError
from kerasrun.experiment.load import Given
from kerasrun.regular_files import read_bytes
from kerasrun.reported import resume, train
from kerasrun.run_files import GROUP_FILE
from kerasrun.runs import atomic
from kerasrun.runs.directory import RunDirectory, numbers_in, run_names
from kerasrun.text import json_text
from kerasrun.training.resuming.same_experiment import removed_if_empty

if TYPE_CHECKING:
    from kerasrun.training.loop import Watch

_FORMAT = 1
_MEMBER = r"seed-\d+(-fold-\d+)?|trial-\d+"
"""What `repeat` and `sweep` call their runs; others that lie in the folder are not of the group."""


@dataclass(frozen=True)
class Group:
    """The folder; its members are in it."""

    root: Path

    def member(self, name: str, number: int) -> RunDirectory:
        """Return the run of a name and a number, which may not be there yet."""
        return RunDirectory(self.root / f"{name}-{number}")

    def finished(self) -> list[RunDirectory]:
        """Return the members that are finished and have a best model, by name and number."""
        runs = [RunDirectory(self.root / name) for name in run_names(self.root) if re.fullmatch(_MEMBER, name)]
        records = [(run, run.read_run()) for run in runs]
        return [run for run, record in records if record["status"] == "finished" and run.best_model.exists()]

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
            resume(run, trust=trust, watch=watch)
        else:
            own = [*overrides, f"name={name}"]
            train(file, overrides=own, output=self.root, number=number, trust=trust, watch=watch)
        return run


def find_or_make(output: Path, kind: str, name: str, experiment: str) -> Group:
    """Return the newest group of a kind that was made for this experiment, or a new one.

    Args:
        kind: the command, such as `repeat`: the folder is `<output>/<name>-<kind>-<n>`.
        experiment: the text of the resolved experiment, and of whatever else must be the same to go on.

    Raises:
        RunDirectoryError: if the folder cannot be read or written.
    """
    output, stem = output.absolute(), f"{name}-{kind}"
    made_for = {"format_version": _FORMAT, "kind": kind, "sha256": hashlib.sha256(experiment.encode()).hexdigest()}
    with atomic.explained(output):
        output.mkdir(parents=True, exist_ok=True)
        numbers = numbers_in(output, stem)
        for number in reversed(numbers):
            group = Group(output / f"{stem}-{number}")
            with suppress(FileNotFoundError, NotADirectoryError, ValueError):
                if json_text.parse(read_bytes(group.root / GROUP_FILE)) == made_for:
                    return group
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
