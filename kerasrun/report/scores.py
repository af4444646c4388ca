"""The base of the scores of every task, and how they are computed from outputs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure
    from numpy.typing import NDArray


class Scores(ABC):
    """How good a network's outputs on a split are."""

    @property
    @abstractmethod
    def headline(self) -> Mapping[str, float | None]:
        """The values beside loss and metrics; None where one is not defined on this split."""

    @abstractmethod
    def as_dict(self) -> dict[str, Any]:
        """Return everything but pictures, as JSON has it."""

    @abstractmethod
    def to_text(self) -> str:
        """Return tables."""

    @abstractmethod
    def figures(self) -> Mapping[str, Figure]:
        """Return pictures by the beginning of their files' names."""


class Scorer(Protocol):
    """Takes outputs as they are computed, and says at the end how good they are."""

    def add(self, outputs: NDArray[np.float32]) -> None:
        """Take the outputs of the next examples, (examples, …), in the order of the split."""

    def scores(self) -> Scores:
        """Return the scores once every example was added."""


class WholeScorer:
    """Keeps all outputs, which are small unless every pixel has one."""

    def __init__(self, score: Callable[[NDArray[np.float32]], Scores]) -> None:
        self._score = score
        self._outputs: list[NDArray[np.float32]] = []

    def add(self, outputs: NDArray[np.float32]) -> None:
        self._outputs.append(outputs)

    def scores(self) -> Scores:
        import numpy as np

        return self._score(np.concatenate(self._outputs))


def mean(values: Iterable[float | None]) -> float | None:
    """Return the mean of the values that are defined; None where none is."""
    import numpy as np

    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def shown(value: float | None) -> str:
    """Return four digits; `-` for what is not defined."""
    return "-" if value is None else f"{value:.4f}"


def in_own_units(number: float) -> str:
    """Return five digits, of a large number such as a price all before the point."""
    return f"{number:.0f}" if 99_999.5 <= abs(number) < 1e15 else f"{number:.5g}"
