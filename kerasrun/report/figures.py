"""Pictures of what an evaluation found, as matplotlib figures. Nothing opens a window."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kerasrun.report.curves import Curve, RankingCurves
from kerasrun.report.plain import curve_label
from kerasrun.stderr import plain

if TYPE_CHECKING:  # the import alone takes a while
    from matplotlib.figure import Figure

# Above this many classes the numbers in the cells of a confusion matrix cannot be read.
READABLE_CLASSES = 30
# Above this many curves a picture has no room for the names.
READABLE_CURVES = 12


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


@dataclass(frozen=True)
class Reconstruction:
    """An array that a network made, to be drawn."""

    name: str
    given: NDArray[Any] | None
    """The input, where it is not the target itself."""
    true: NDArray[Any]
    predicted: NDArray[Any]
    limits: tuple[float, float] | None
    """The numbers of black and white; None where they are the least and the greatest of the target."""


def confusions(counts: NDArray[np.int64], classes: Sequence[str]) -> Figure:
    """Draw counts of true (rows) against predicted classes (columns), coloured by their share of the row."""
    count = len(classes)
    side = max(4.0, min(0.5 * count + 2, 20.0))
    figure = empty(side, side)
    axes: Any = figure.subplots()
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set(xlabel="predicted", ylabel="true", xticks=range(count), yticks=range(count))
    names = list(map(plain, classes))  # matplotlib makes these texts when it draws
    axes.set_xticklabels(names, rotation=90 if max(map(len, names)) > 2 else 0)
    axes.set_yticklabels(names)
    if count <= READABLE_CLASSES:
        for (row, column), number in np.ndenumerate(counts):
            color = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, str(number), ha="center", va="center", color=color, fontsize=8)
    return figure


def ranking(curves: Mapping[str, RankingCurves]) -> dict[str, Figure]:
    """Draw the ROC and the precision-recall curves of each name; nothing where there are none."""
    if not curves:
        return {}
    roc, axes = _curves({name: both.roc for name, both in curves.items()}, drawstyle="default")
    axes.plot([0, 1], [0, 1], color="grey", linestyle=":", linewidth=1)  # of a guess
    axes.set(title="ROC", xlabel="false positive rate", ylabel="true positive rate")
    # The area below these steps is average precision.
    steps, axes = _curves({name: both.precision_recall for name, both in curves.items()}, drawstyle="steps-pre")
    axes.set(title="precision and recall", xlabel="recall", ylabel="precision")
    return {"roc": roc, "precision_recall": steps}


def _curves(curves: Mapping[str, Curve], drawstyle: Any) -> tuple[Figure, Any]:
    figure = empty(5, 5)
    axes: Any = figure.subplots()
    for name, curve in curves.items():
        axes.plot(curve.x, curve.y, drawstyle=drawstyle, label=curve_label(f"{name}: area {curve.area:.3f}"))
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
    axes.grid(alpha=0.3)
    if len(curves) <= READABLE_CURVES:
        axes.legend()
    return figure, axes


def predicted(targets: Sequence[str], true: NDArray[np.float64], values: NDArray[np.float64]) -> Figure:
    """Draw predicted against true numbers, a panel for each target, with the line on which they are equal."""
    figure, panels = _of_targets(targets)
    for column, axes in enumerate(panels):
        axes.scatter(true[:, column], values[:, column], s=8, alpha=0.5)
        axes.axline((true[0, column], true[0, column]), slope=1, color="grey", linestyle=":", linewidth=1)
        axes.set(xlabel="true", ylabel="predicted")
    return figure


def residuals(targets: Sequence[str], true: NDArray[np.float64], values: NDArray[np.float64]) -> Figure:
    """Draw how far predictions are above what is true, against them; of a good model they lie around 0 everywhere."""
    figure, panels = _of_targets(targets)
    for column, axes in enumerate(panels):
        axes.scatter(values[:, column], values[:, column] - true[:, column], s=8, alpha=0.5)
        axes.axhline(0, color="grey", linestyle=":", linewidth=1)
        axes.set(xlabel="predicted", ylabel="predicted − true")
    return figure


def _of_targets(targets: Sequence[str]) -> tuple[Figure, list[Any]]:
    """Return a picture with a panel for each target."""
    columns = min(len(targets), 4)
    rows = -(-len(targets) // columns)
    figure = empty(4 * columns, 4 * rows)
    panels = np.atleast_1d(figure.subplots(rows, columns)).ravel()
    for axes, name in zip(panels, targets, strict=False):
        axes.set_title(name)
        axes.grid(alpha=0.3)
    for axes in panels[len(targets) :]:
        axes.set_axis_off()
    return figure, panels[: len(targets)].tolist()


def overlays(examples: Sequence[Overlay], classes: Sequence[str]) -> Figure:
    """Draw a row for each example: the image, and over it the true and the predicted mask."""
    figure = empty(9, 3 * len(examples) + 0.6)
    colors = class_colors(len(classes))
    panels: Any = np.atleast_2d(figure.subplots(len(examples), 3))
    for row, example in zip(panels, examples, strict=True):
        titles = (example.name, "true", "predicted")
        for axes, title, mask in zip(row, titles, (None, example.true, example.predicted), strict=True):
            image = grey_or_color(example.image)
            axes.imshow(image, cmap="gray")
            if mask is not None:
                # The first class is most often the background: nothing is laid over it.
                axes.imshow(np.dstack([colors[mask], np.where(mask > 0, 140, 0).astype(np.uint8)]))
            axes.set_title(title, fontsize=9)
            axes.set_axis_off()
    shown = list(enumerate(classes))[1 : READABLE_CURVES + 1]
    for number, name in shown:
        figure.axes[0].plot([], [], marker="s", linestyle="", color=colors[number] / 255, label=curve_label(name))
    figure.legend(loc="outside lower center", ncols=min(len(shown), 6))
    return figure


def reconstructions(examples: Sequence[Reconstruction]) -> Figure:
    """Draw a row for each example: what was given, wanted and made, as images; as lines where they are none."""
    columns = 2 + any(one.given is not None for one in examples)
    are_images = examples[0].true.ndim == 3
    figure = empty(3 * columns if are_images else 8, (3 if are_images else 2) * len(examples))
    panels: Any = figure.subplots(len(examples), columns if are_images else 1, squeeze=False)
    for row, example in zip(panels, examples, strict=True):
        if not are_images:
            for label, numbers in (("true", example.true), ("predicted", example.predicted)):
                row[0].plot(np.asarray(numbers).reshape(len(numbers), -1)[:, 0], label=label)
            row[0].set_title(plain(example.name), fontsize=9)
            row[0].legend(fontsize=8)
            continue
        low, high = example.limits or (float(example.true.min()), float(example.true.max()))
        shown = [(example.name, example.given)] if example.given is not None else []
        both = [(numbers - low) / (high - low if high > low else 1) for numbers in (example.true, example.predicted)]
        titles = ("true" if shown else example.name, "predicted")
        for axes, (title, image) in zip(row, [*shown, *zip(titles, both, strict=True)], strict=True):
            axes.imshow(grey_or_color(np.clip(image, 0, 1) if image.dtype == np.float64 else image), cmap="gray")
            axes.set_title(plain(title), fontsize=9)
            axes.set_axis_off()
    return figure


def class_colors(classes: int) -> NDArray[np.uint8]:
    """Return the colour map of PASCAL VOC: the first class black, neighbours far apart; uint8 (classes, 3).

    The bits of a class number are dealt in turn to red, green and blue, the lowest to the highest bit.
    """
    numbers = np.arange(classes)[:, np.newaxis]
    colors = np.zeros((classes, 3), np.int64)
    for place in range(8):
        colors |= ((numbers >> (3 * place + np.arange(3))) & 1) << (7 - place)
    return colors.astype(np.uint8)


def empty(width: float, height: float) -> Figure:
    """Return a picture of so many inches without anything in it: the one door by which Matplotlib is loaded.

    It would begin with a `matplotlibrc` of the working directory, which may be a stranger's.
    """
    with _without("matplotlibrc"):
        from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


@contextmanager
def _without(name: str) -> Iterator[None]:
    """Have no file of this relative name seem to exist; threads that ask for others meanwhile notice nothing."""
    exists = os.path.exists
    os.path.exists = lambda path: path != name and exists(path)
    try:
        yield
    finally:
        os.path.exists = exists


def grey_or_color(image: NDArray[Any]) -> NDArray[Any]:
    """Return what matplotlib can show: (height, width) or (height, width, 3), uint8 or 0 to 1."""
    if image.shape[-1] not in (3, 4):
        return image[..., 0]
    if image.dtype != np.uint8:
        low, high = image.min(), image.max()
        image = (image - low) / (high - low if high > low else 1)
    return image[..., :3]
