"""What the judge of a task says of the examples that a model gets wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from kerasrun.reading.data import Split

MOST_MISTAKES = 50
MOST_OTHERS = 8
MOST_NAMED = 3
"""How many classes, or labels, of an example are named."""


@dataclass(frozen=True)
class Judged:
    """An example with what the model says of it."""

    place: int
    """Its number in the split."""
    true: str
    called: str
    value: float | None = None
    """How wrong it is, by `Mistakes.measure`; None where the outputs are no probabilities."""
    best: Sequence[tuple[str, float]] = ()
    """The classes or labels that say the most about it, each with its value."""
    doubted: bool = False
    """Whether its label is likely wrong."""
    said: int = 0
    """The number of the class, the label or the number that is to be explained."""
    masks: Mapping[str, str] = field(default_factory=dict)
    """The addresses of its pictures with a mask over them, by what the mask is."""
    name: str = ""
    picture: str | None = None
    """Its address; None where the example is no picture."""
    cells: Mapping[str, str] = field(default_factory=dict)
    """The columns of a table that it is a row of, the first ones."""
    why: str | None = None
    """The address of its picture with a map over it, or the columns that count most; None where that is not known."""


@dataclass(frozen=True)
class Mistakes:
    """The examples on which a model is wrong, and some others."""

    worst: Sequence[Judged]
    about: str
    """What they are, in a sentence."""
    measure: str = "loss"
    output: str = ""
    """Of several outputs the one that is wrong."""
    doubts: int = 0
    """How many labels are likely wrong."""
    others: Sequence[Judged] = ()
    about_others: str = ""
    colours: Mapping[str, str] = field(default_factory=dict)
    """Those of masks, as CSS writes them, by the names of the classes."""


class Judge(Protocol):
    """Takes outputs as they are computed, and says at the end which examples are wrong."""

    def add(self, outputs: NDArray[np.float32]) -> None:
        """Take the outputs of the next examples, (examples, …), in the order of the split."""

    def mistakes(self) -> Sequence[Mistakes]:
        """Return those of each output, once every example was added."""


class WholeJudge:
    """Keeps all outputs, which are small unless every pixel has one."""

    def __init__(self, judge: Callable[[NDArray[np.float32]], Sequence[Mistakes]]) -> None:
        self._judge = judge
        self._outputs: list[NDArray[np.float32]] = []

    def add(self, outputs: NDArray[np.float32]) -> None:
        self._outputs.append(outputs)

    def mistakes(self) -> Sequence[Mistakes]:
        import numpy as np

        return self._judge(np.concatenate(self._outputs))


def wrongly(count: int, split: Split, how: str) -> str:
    """Return a sentence about so many examples of a split, of which those with the highest loss are shown."""
    if not count:
        return f"The model makes no mistake on the {len(split):,} examples of {split.name}."
    shown = f"; here are the {MOST_MISTAKES} with the highest loss" if count > MOST_MISTAKES else ""
    return f"{count:,} of {len(split):,} examples of {split.name} are {how}{shown}."
