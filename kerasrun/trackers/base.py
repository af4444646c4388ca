"""The base of the trackers: what each is told of a run, by a process of its own (`kerasrun.training.tracking`)."""

import functools
import importlib
import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from kerasrun import trackers
from kerasrun.families import members
from kerasrun.regular_files import refusal_of_links

NAMES = tuple(members(trackers.__path__))
SUCCESS = ("finished", "pruned")
"""What a run that needs nothing more is called."""


class Tracked(NamedTuple):
    """A run as a tracker sees it."""

    root: Path
    """The folder of the run."""
    runs: Path
    """The folder of all runs, beside which a tracker has its files."""
    experiment: str
    group: str | None
    """The folder of the repeat or the sweep that it belongs to."""
    unique: str
    """A name that no other run has, the same in each process that goes on with this one."""
    begun: float
    """In seconds since 1970."""
    parameters: Mapping[str, bool | int | float | str]
    """The resolved experiment by key paths, without what is null."""
    tags: Mapping[str, str]


class Point(NamedTuple):
    """A row of `metrics.csv`."""

    epoch: int
    time: float
    """When the run began, and the seconds that it has trained since."""
    values: Mapping[str, float]


class Tracker(ABC):
    """A tracker; the docstring of each is its line in docs/tracking.md. What it raises is a warning, and another object
    begins once more after the next epoch."""

    packages: ClassVar[tuple[str, ...]] = ()
    """The packages that it needs, as they are imported: those of the extra of its name."""
    environment: ClassVar[Mapping[str, str]] = {}
    """Variables that are set before its packages are imported, unless the user has set them."""

    beside: ClassVar[tuple[str, ...]] = ()
    """The names beside the runs under which it has files, unless the environment says where."""

    @classmethod
    def refusal(cls, runs: Path) -> str | None:
        """Return why what somebody has put beside the runs is not used; None if it may be."""
        return refusal_of_links(runs / name for name in cls.beside)

    @abstractmethod
    def begin(self, run: Tracked, kept: Mapping[str, Any], keep: Callable[..., None]) -> int:
        """Begin a run of the tracker, or go on with it; return the last epoch that it has, 0 if it has none.

        Args:
            kept: what was kept by an earlier process.
            keep: keeps values by name in the run directory, in place of those before.
        """

    @abstractmethod
    def send(self, points: Sequence[Point]) -> None:
        """Add the points that follow those it has."""

    @abstractmethod
    def end(self, status: str, reason: str, best: Point | None) -> None:
        """Tell how the run ended, or was left: its status as `kerasrun runs` says, its best epoch with one value."""


@functools.cache
def tracker(name: str) -> type[Tracker]:
    """Return the tracker in the file of a name."""
    module = importlib.import_module(f"{trackers.__name__}.{name}")
    (found,) = (one for one in vars(module).values() if isinstance(one, type) and one.__module__ == module.__name__)
    assert issubclass(found, Tracker)
    return found


def lacking(name: str) -> str | None:
    """Return what to do if a package that a tracker needs is not installed."""
    missing = [one for one in tracker(name).packages if importlib.util.find_spec(one) is None]
    return f"{' and '.join(missing)} not installed; pip install 'kerasrun[{name}]'" if missing else None
