"""Masks: how far true and predicted areas of each class cover each other, counted pixel by pixel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kerasrun.model_file import OutputKind
from kerasrun.reading.data import Inputs, Split
from kerasrun.results.model import pixel_classes
from kerasrun.results.scores.base import Overlay, Scores, shown
from kerasrun.results.scores.classes import confusion_matrix
from kerasrun.results.text_table import text_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

OVERLAYS = 6
"""How many examples are drawn."""


@dataclass(frozen=True)
class AreaScore:
    """How far the true and the predicted area of one class cover each other; None where it has neither."""

    name: str
    iou: float | None
    """Intersection over union, also called Jaccard index."""
    dice: float | None
    """Twice the intersection over the sum of both, the F1 of pixels."""
    pixels: int
    """Pixels of this class."""

    def as_dict(self) -> dict[str, Any]:
        return {"class": self.name, **{key: value for key, value in asdict(self).items() if key != "name"}}


@dataclass(frozen=True)
class SegmentationScores(Scores):
    """What the pixels of each class were taken for."""

    pixel_accuracy: float
    classes: tuple[AreaScore, ...]
    threshold: float | None = None
    """How probable the second of two classes must be to be called; None for other models."""
    overlays: tuple[Overlay, ...] = field(default=(), repr=False)

    @property
    def headline(self) -> Mapping[str, float | None]:
        return {
            "pixel_accuracy": self.pixel_accuracy,
            "mean_iou": _mean([score.iou for score in self.classes]),
            "mean_dice": _mean([score.dice for score in self.classes]),
        }

    def as_dict(self) -> dict[str, Any]:
        threshold = {} if self.threshold is None else {"threshold": self.threshold}
        return {**self.headline, **threshold, "classes": [score.as_dict() for score in self.classes]}

    def to_text(self) -> str:
        called = [] if self.threshold is None else [f"called {self.classes[1].name} above {self.threshold:g}"]
        rows = [[s.name, shown(s.iou), shown(s.dice), s.pixels] for s in self.classes]
        return "\n".join([*called, text_table(["class", "iou", "dice", "pixels"], rows)])

    def figures(self) -> Mapping[str, Figure]:
        from kerasrun.results import figures

        return {"overlays": figures.overlays(self.overlays, [score.name for score in self.classes])}


class SegmentationScorer:
    """Counts pixels as outputs come, because the outputs of a whole split would not fit into memory."""

    def __init__(
        self, split: Split, names: Sequence[str], kind: OutputKind, threshold: float | None, overlays: int = OVERLAYS
    ) -> None:
        self._split, self._names, self._kind, self._threshold = split, names, kind, threshold
        self._confusions = np.zeros((len(names), len(names)), np.int64)
        self._done = 0
        count = min(overlays, len(split))
        self._drawn = set((np.arange(count) * len(split) // count).tolist())
        self._overlays: list[Overlay] = []

    def add(self, outputs: NDArray[np.float32]) -> None:
        masks: Inputs = self._split.labels  # type: ignore[assignment]  # of masks it is never an array
        indices = np.arange(self._done, self._done + len(outputs))
        true = masks.take(indices)[..., 0].astype(np.int64)
        predicted = pixel_classes(outputs, self._kind, self._threshold)
        self._confusions += confusion_matrix(true.reshape(-1), predicted.reshape(-1), len(self._names))
        self._overlays += [
            Overlay(
                self._split.names[index] if self._split.names else str(index),
                self._split.inputs.take(np.array([index]))[0],
                true[place],
                predicted[place],
            )
            for place, index in enumerate(indices.tolist())
            if index in self._drawn
        ]
        self._done += len(outputs)

    def scores(self) -> SegmentationScores:
        threshold = 0.5 if self._threshold is None and self._kind != "scores" else self._threshold
        return SegmentationScores(
            pixel_accuracy=float(np.trace(self._confusions) / self._confusions.sum()),
            classes=area_scores(self._confusions, self._names),
            threshold=threshold if len(self._names) == 2 else None,
            overlays=tuple(self._overlays),
        )


def area_scores(confusions: NDArray[np.int64], names: Sequence[str]) -> tuple[AreaScore, ...]:
    """The scores of each class, from pixels by true (rows) and predicted class (columns)."""
    both, called, there = np.diag(confusions), confusions.sum(axis=0), confusions.sum(axis=1)
    return tuple(
        AreaScore(
            name,
            iou=float(hits / (area + other - hits)) if area + other else None,
            dice=float(2 * hits / (area + other)) if area + other else None,
            pixels=int(other),
        )
        for name, hits, area, other in zip(names, both, called, there, strict=True)
    )


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
