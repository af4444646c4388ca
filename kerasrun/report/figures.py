"""Pictures of what an evaluation found, as matplotlib figures. Nothing opens a window."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kerasrun.errors import MissingProgramError
from kerasrun.report.calibration import Calibration
from kerasrun.report.confusions import confused
from kerasrun.report.curves import Curve, RankingCurves
from kerasrun.report.plain import curve_label
from kerasrun.stderr import plain

if TYPE_CHECKING:  # the import alone takes a while
    from matplotlib.figure import Figure

# Above this many classes the numbers in the cells of a confusion matrix cannot be read.
READABLE_CLASSES = 30
# Above this many curves a picture has no room for the names.
READABLE_CURVES = 12
_NAMED_CLASSES = 150
"""Above this many classes their names are too small."""
_LONGEST_NAME = 60
_MOST_TARGETS = 12
"""Each panel takes Matplotlib a third of a second."""
_BINS = 30
_MOST_PAIRS = 10
_COLUMNS = 8
"""How many images are beside each other."""
_OPACITY = 0.55
"""That of a mask over its picture."""
NARROW = 22
"""How many characters have room beside one of them."""


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
    """Draw counts of true (rows) against predicted classes (columns), coloured by their share of the row.

    Of more classes than can be read, those that are confused are beside each other, and the pairs are listed.
    """
    from matplotlib.ticker import PercentFormatter

    count = len(classes)
    is_readable = count <= READABLE_CLASSES
    order = np.arange(count) if is_readable else _confused_together(counts)
    counts, names = counts[np.ix_(order, order)], [_drawn(classes[place]) for place in order]
    side = max(4.0, 0.5 * count + 2) if is_readable else min(0.1 * count + 10, 20)
    figure = empty(side + 1, side)
    axes: Any = figure.subplots()
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(image, ax=axes, shrink=0.6, format=PercentFormatter(1), label="share of the true class")
    axes.set(xlabel="predicted", ylabel="true")
    if count <= _NAMED_CLASSES:
        size = None if is_readable else max(4.0, min(10.0, 600 / count))
        # matplotlib makes these texts when it draws
        axes.set_xticks(range(count), names, rotation=90 if max(map(len, names)) > 2 else 0, fontsize=size)
        axes.set_yticks(range(count), names, fontsize=size)
    if is_readable:
        for (row, column), number in np.ndenumerate(counts):
            color = "white" if shares[row, column] > 0.5 else "black"
            text = f"{number}\n{shares[row, column]:.0%}" if number else "0"
            axes.text(column, row, text, ha="center", va="center", color=color, fontsize=7)
    elif pairs := confused(counts, names, _MOST_PAIRS):
        lines = [f"{one.true} taken for {one.called}: {one.count} ({one.share:.0%})" for one in pairs]
        figure.supxlabel("\n".join(["Confused most often:", *lines]), fontsize=9)
    return figure


def _confused_together(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return an order of classes in which those that are confused are near each other.

    It is that of the Fiedler vector of the graph of confusions (Atkins, Boman and Hendrickson, 1998).
    """
    wrong = counts - np.diag(np.diag(counts))
    if not wrong.any():
        return np.arange(len(counts))
    links = (wrong + wrong.T) / wrong.sum() + 1 / counts.size**2  # a little, so that none is without any
    links -= np.diag(np.diag(links))
    vector = np.linalg.eigh(np.diag(links.sum(axis=1)) - links).eigenvectors[:, 1]
    return np.argsort(vector * np.sign(vector[0] or 1), kind="stable")


def ranking(curves: Mapping[str, RankingCurves]) -> dict[str, Figure]:
    """Draw the ROC and the precision-recall curves of each name; nothing where there are none."""
    if not curves:
        return {}
    roc, axes = _curves({name: both.roc for name, both in curves.items()}, drawstyle="default")
    axes.plot([0, 1], [0, 1], color="grey", linestyle=":", linewidth=1)  # of a guess
    axes.set(title="ROC", xlabel="false positive rate", ylabel="true positive rate")
    # The area below these steps is average precision.
    steps, axes = _curves({name: both.precision_recall for name, both in curves.items()}, drawstyle="steps-pre")
    for line, both in zip(list(axes.get_lines()), curves.values(), strict=True):
        axes.axhline(both.base_rate, color=line.get_color(), linestyle=":", linewidth=1)  # of a guess
    axes.set(title="precision and recall, dotted: the base rate", xlabel="recall", ylabel="precision")
    return {"roc": roc, "precision_recall": steps}


def calibration(curves: Mapping[str, Calibration]) -> dict[str, Figure]:
    """Draw how often what is said came true, over how probable it was said to be, and how many examples that is of.

    Nothing where there are no curves.
    """
    if not curves:
        return {}
    figure = empty(5, 6.5)
    above, below = figure.subplots(2, sharex=True, height_ratios=[3, 1])
    above.plot([0, 1], [0, 1], color="grey", linestyle=":", linewidth=1)  # of probabilities that are what they say
    for name, one in curves.items():
        label = curve_label(f"{_drawn(name)}: ECE {one.error:.3f}" if name else f"ECE {one.error:.3f}")
        above.plot(one.confidence, one.accuracy, marker="o", markersize=3, label=label)
        below.plot(one.confidence, one.examples / one.examples.sum(), marker="o", markersize=3)
    above.set(title="calibration", ylabel="share that came true", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    below.set(xlabel="predicted probability", ylabel="share of examples", ylim=(0, None))
    for axes in (above, below):
        axes.grid(alpha=0.3)
    if len(curves) <= READABLE_CURVES:
        above.legend()
    return {"calibration": figure}


def _curves(curves: Mapping[str, Curve], drawstyle: Any) -> tuple[Figure, Any]:
    figure = empty(5, 5)
    axes: Any = figure.subplots()
    for name, curve in curves.items():
        axes.plot(curve.x, curve.y, drawstyle=drawstyle, label=curve_label(f"{_drawn(name)}: area {curve.area:.3f}"))
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
    """Return a picture with a panel for each target, of very many for the first."""
    of, targets = len(targets), targets[:_MOST_TARGETS]
    columns = min(len(targets), 4)
    rows = -(-len(targets) // columns)
    figure = empty(4 * columns, 4 * rows)
    panels = np.atleast_1d(figure.subplots(rows, columns)).ravel()
    for axes, name in zip(panels, targets, strict=False):
        axes.set_title(_drawn(name))
        axes.grid(alpha=0.3)
    for axes in panels[len(targets) :]:
        axes.set_axis_off()
    if len(targets) < of:
        figure.supxlabel(f"the first {len(targets)} of {of:,} targets")
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
        figure.axes[0].plot(
            [], [], marker="s", linestyle="", color=colors[number] / 255, label=curve_label(_drawn(name))
        )
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


def class_bars(names: Sequence[str], counts: Sequence[tuple[str, Sequence[int]]]) -> Figure:
    """Draw how many examples each class has, a panel for each split.

    Args:
        names: of the splits.
        counts: each class with its examples in each split.
    """
    figure = empty(4 * len(names) + 1, max(3.0, min(0.22 * len(counts) + 1, 40.0)))
    panels = np.atleast_1d(figure.subplots(1, len(names), sharey=True))
    for column, (axes, name) in enumerate(zip(panels, names, strict=True)):
        values = [of_class[column] for _, of_class in counts]
        drawn = axes.barh(range(len(values)), values)
        if len(values) <= _NAMED_CLASSES:
            axes.bar_label(drawn, padding=2, fontsize=7)
            axes.set_yticks(range(len(values)), [_drawn(one) for one, _ in counts])
        axes.set(title=f"{name}: {sum(values):,}", xlabel="examples")
        axes.margins(x=0.12, y=0.01)
    panels[0].invert_yaxis()
    return figure


def histograms(names: Sequence[str], values: Mapping[str, Sequence[NDArray[Any]]]) -> Figure:
    """Draw how the numbers of each target are spread, those of the splits over each other.

    Args:
        names: of the splits.
        values: each target with its numbers in each split.
    """
    figure, panels = _of_targets(list(values))
    for axes, of_splits in zip(panels, values.values(), strict=False):
        axes.hist(of_splits, bins=_edges(np.concatenate(of_splits)), density=True, histtype="step", label=list(names))
        axes.set(xlabel="value", ylabel="density")
        axes.legend()
    return figure


def _edges(numbers: NDArray[Any]) -> NDArray[np.float64]:
    """Return the edges of bins; Matplotlib finds none between neighbours of float32, nor where it ends."""
    low, high = float(numbers.min()), float(numbers.max())
    margin = 0.0 if low < high else max(0.5, abs(low) / 1000)
    return np.linspace(low - margin, high + margin, _BINS + 1)


def grid(count: int) -> tuple[Figure, list[Any]]:
    """Return a picture with room for this many small images."""
    columns = min(_COLUMNS, count)
    rows = -(-count // columns)
    figure = empty(1.6 * columns, 2.1 * rows + 0.6)
    panels = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
    for axes in panels:
        axes.axis("off")
    return figure, panels


def _drawn(name: str) -> str:
    """Return a name as pictures have it: Matplotlib takes seconds for a long one."""
    return shortened(plain(name), _LONGEST_NAME)


def text_below(axes: Any, *lines: str) -> None:
    """Write below an image of a `grid`."""
    axes.text(0.5, -0.03, "\n".join(lines), transform=axes.transAxes, ha="center", va="top", fontsize=6)


def shortened(text: str, most: int = 40, *, from_end: bool = False) -> str:
    """Return the beginning of a text, or its end, which of a path says the most."""
    if len(text) <= most:
        return text
    return f"…{text[1 - most :]}" if from_end else f"{text[: most - 1]}…"


def heat(figure: Any, picture: NDArray[np.uint8], relevance: NDArray[np.float64], title: str, note: str) -> None:
    """Draw a picture, and beside it the same with the map over it, in a figure or a part of one."""
    for axes, image in zip(figure.subplots(1, 2), (picture, heated(picture, relevance)), strict=True):
        axes.imshow(image, cmap="gray", vmin=0, vmax=255)
        axes.set_axis_off()
    _title(figure, title, note)


def heated(picture: NDArray[np.uint8], relevance: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return a picture with a map over it: red, and yellow where it is highest; (height, width, 3).

    Args:
        picture: as `pixels` returns it.
        relevance: (height, width), from 0.
    """
    colours = picture if picture.ndim == 3 else np.repeat(picture[..., np.newaxis], 3, axis=-1)
    share = relevance / (relevance.max() or 1)
    hue = np.stack([np.full_like(share, 255), 255 * np.clip(2 * share - 1, 0, 1), np.zeros_like(share)], axis=-1)
    weight = 0.7 * share[..., np.newaxis]
    mixed: NDArray[np.uint8] = (colours * (1 - weight) + hue * weight).astype(np.uint8)
    return mixed


def laid_over(picture: NDArray[np.uint8], mask: NDArray[np.int64], classes: int) -> NDArray[np.uint8]:
    """Return a picture with a mask over it, half transparent, but for the first class; (height, width, 3).

    Args:
        picture: as `pixels` returns it.
        mask: class numbers, (height, width).
    """
    colours = picture if picture.ndim == 3 else np.repeat(picture[..., np.newaxis], 3, axis=-1)
    weight = np.where(mask > 0, _OPACITY, 0)[..., np.newaxis]
    mixed: NDArray[np.uint8] = (colours * (1 - weight) + class_colors(classes)[mask] * weight).astype(np.uint8)
    return mixed


def bars(figure: Any, names: Sequence[str], values: NDArray[np.float64], title: str, note: str) -> None:
    """Draw a bar for each of the largest numbers, of either sign, the largest on top, as `heat` draws."""
    order = np.argsort(-np.abs(values), kind="stable")[:READABLE_CLASSES]
    axes: Any = figure.subplots()
    axes.barh(range(len(order)), values[order], color=["C0" if value > 0 else "C3" for value in values[order]])
    axes.set_yticks(range(len(order)), [shortened(names[place]) for place in order])
    axes.axvline(0, color="grey", linewidth=1)
    axes.invert_yaxis()
    axes.grid(axis="x", alpha=0.3)
    if len(order) < len(names):
        note = f"{note}; the largest {len(order)} of {len(names)}"
    _title(figure, title, note)


def _title(figure: Any, title: str, note: str) -> None:
    figure.suptitle(shortened(title, 80), fontsize=11)
    figure.supxlabel(note, fontsize=8, color="grey")


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

    Raises:
        MissingProgramError: if the environment keeps it from starting.
    """
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "0")
    if not epoch.isdecimal():
        raise MissingProgramError(f"SOURCE_DATE_EPOCH={epoch}: Matplotlib expects seconds; unset it")
    try:
        with _without("matplotlibrc"):
            from matplotlib.figure import Figure
    except ValueError as error:  # as of a wrong MPLBACKEND
        raise MissingProgramError(f"Matplotlib does not start: {str(error).partition(chr(10))[0]}") from error

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


def as_colors(images: NDArray[Any]) -> NDArray[np.float32]:
    """Return three channels of 0 to 1; all images by one scale, so that one that is darker looks darker.

    Args:
        images: numbers of any range, (examples, height, width, channels).
    """
    low, high = min(0.0, float(images.min())), max(1.0, float(images.max()))
    colors = images[..., :3] if images.shape[-1] in (3, 4) else np.repeat(images[..., :1], 3, axis=-1)
    return ((colors - low) / (high - low)).astype(np.float32)


def pixels(example: NDArray[Any]) -> NDArray[np.uint8]:
    """Return an example as a picture, (height, width) or (height, width, 3); other numbers fill the range of bytes."""
    shown = grey_or_color(example)
    if shown.dtype != np.uint8:
        low, high = float(shown.min()), float(shown.max())
        shown = ((shown - low) / (high - low if high > low else 1) * 255).astype(np.uint8)
    return shown


def grey_or_color(image: NDArray[Any]) -> NDArray[Any]:
    """Return what matplotlib can show: (height, width) or (height, width, 3), uint8 or 0 to 1."""
    if image.shape[-1] not in (3, 4):
        return image[..., 0]
    if image.dtype != np.uint8:
        low, high = image.min(), image.max()
        image = (image - low) / (high - low if high > low else 1)
    return image[..., :3]
