"""What scores of every kind of labels have in common, and how they come from outputs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Scores(ABC):
    """How good a network's outputs on a split are."""

    @property
    @abstractmethod
    def headline(self) -> Mapping[str, float | None]:
        """What stands beside loss and metrics; None where it is not defined on this split."""

    @abstractmethod
    def as_dict(self) -> dict[str, Any]:
        """Everything but pictures, as JSON has it."""

    @abstractmethod
    def to_text(self) -> str:
        """Tables."""

    @abstractmethod
    def figures(self) -> Mapping[str, Figure]:
        """Pictures by the beginning of their files' names."""


@dataclass(frozen=True)
class Overlay:
    """One example to be drawn."""

    name: str
    image: NDArray[Any]
    """(height, width, channels)."""
    true: NDArray[np.int64]
    """Class numbers, (height, width)."""
    predicted: NDArray[np.int64]
    """Class numbers, (height, width)."""


class Scorer(Protocol):
    """Takes outputs as they are computed, and says at the end how good they are."""

    def add(self, outputs: NDArray[np.float32]) -> None:
        """The outputs of the next examples, (examples, …), in the order of the split."""

    def scores(self) -> Scores:
        """When every example was added."""


class WholeScorer:
    """Keeps all outputs, which are small unless every pixel has one."""

    def __init__(self, score: Callable[[NDArray[np.float32]], Scores]) -> None:
        self._score = score
        self._outputs: list[NDArray[np.float32]] = []

    def add(self, outputs: NDArray[np.float32]) -> None:
        self._outputs.append(outputs)

    def scores(self) -> Scores:
        return self._score(np.concatenate(self._outputs))


def share(part: Any, whole: Any) -> float:
    """A quotient, 0 where it has no denominator."""
    return float(part / whole) if whole else 0.0


def shown(value: float | None) -> str:
    """Four digits; `-` for what is not defined."""
    return "-" if value is None else f"{value:.4f}"
