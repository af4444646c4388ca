"""Masks: each pixel of an image has a class.

Scores say how far true and predicted areas of each class cover each other, counted pixel by pixel.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerasrun.components import Component
from kerasrun.errors import ModelError
from kerasrun.keras_catalogue import canonical
from kerasrun.reading.data import Inputs, Split
from kerasrun.report.plain import curve_label, text_table
from kerasrun.report.predictions import Prediction, Question, named
from kerasrun.report.scores import Scorer, Scores, mean, shown
from kerasrun.report.values import pixel_classes
from kerasrun.tasks._files import files_below, unfit
from kerasrun.tasks._kept import leave_out_ignored
from kerasrun.tasks.base import BINARY, CATEGORICAL, Masks, Output, Targets, Task
from kerasrun.tasks.classes import confusion_matrix, output_of_classes

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure
    from numpy.typing import NDArray
    from PIL import Image

    from kerasrun.reading.labelled_arrays import GivenLabels, ReadLabels
    from kerasrun.report.figures import Overlay
    from kerasrun.report.mistakes import Judge, Judged, Mistakes

OVERLAYS = 6
"""How many examples are drawn."""
_MOST_WORST = 24
"""How many masks that cover the true ones least are shown."""
_CONV = "kernel_size: 3, padding: same, activation: relu"


class Segmentation(Task):
    """A class for each pixel."""

    per_pixel = True
    writes = True
    indivisible = "the labels are masks"

    def default_loss(self, classes: int, units: int) -> Component:
        # One-hot masks would take as many times the memory as there are classes.
        two = classes == 2 and units == 1
        return Component("binary_crossentropy" if two else "sparse_categorical_crossentropy")

    def output(self, classes: int, loss: Component | None = None) -> Output:
        one_unit = loss is None or canonical("losses", loss.name) not in CATEGORICAL
        return output_of_classes(classes, loss, one_unit=one_unit, per_pixel=True)

    def takes_both(self, loss: str) -> bool:
        return super().takes_both(loss) or loss not in (*BINARY, *CATEGORICAL)

    def check_shape(self, shape: tuple[int, ...], inputs: tuple[int, ...]) -> None:
        if len(inputs) < 3:
            if len(shape) != 2 or shape[:1] != inputs[:1]:
                raise ModelError(
                    f"the network ends in an output of shape {shape} for each example, but labels of steps need one "
                    f"for each step, ({inputs[0]}, classes): give the last recurrent layer return_sequences: true, and "
                    "convolutions padding: same"
                )
            return
        expected = inputs[:2]
        if len(shape) != 3 or shape[:2] != expected:
            raise ModelError(
                f"the network ends in an output of shape {shape} for each example, but masks need one for each pixel, "
                f"({expected[0]}, {expected[1]}, channels); end it without Flatten or Dense, and bring what was pooled "
                "back to its size with UpSampling2D or Conv2DTranspose"
            )

    def encode(self, labels: Any, targets: Targets) -> Any:
        """Return class numbers, (batch, height, width, 1) or (batch, steps, 1), as the loss takes them.

        Returns:
            for a sparse loss int32 (batch, height, width); for one channel float32 (batch, height, width, 1); else
            one-hot float32 (batch, height, width, classes), which is zero where a pixel has no class.
        """
        import tensorflow as tf

        if targets.units == 1:
            return tf.cast(labels, tf.float32)
        numbers = tf.cast(labels[..., 0], tf.int32)
        return numbers if targets.sparse else tf.one_hot(numbers, targets.classes)

    def compile_arguments(self, targets: Targets, metrics: Mapping[str, Component]) -> dict[str, Any]:
        arguments = super().compile_arguments(targets, metrics)
        return leave_out_ignored(arguments, targets) if targets.ignores else arguments

    def training_labels(self, split: Split, targets: Targets) -> Masks:
        return Masks(_masks(split), partial(self.encode, targets=targets))

    def labels_of(self, split: Split, begin: int, end: int, targets: Targets) -> Any:
        import numpy as np
        import tensorflow as tf

        return self.encode(tf.constant(_masks(split).take(np.arange(begin, end))), targets)

    def zeros(self, examples: int, size: tuple[int, ...], targets: Targets) -> Any:
        import tensorflow as tf

        return self.encode(tf.zeros((examples, *size, 1), tf.uint8), targets)

    def scorer(self, split: Split, question: Question) -> Scorer:
        return SegmentationScorer(split, question)

    def judge(self, split: Split, question: Question) -> Judge:
        return MaskJudge(split, question)

    def predictions(self, chunks: Iterable[NDArray[np.float32]], question: Question) -> list[Prediction]:
        """Write masks as they come: those of many images would not fit into memory."""
        found: list[Prediction] = []
        for outputs in chunks:
            for numbers in pixel_classes(outputs, question.outputs, question.only_threshold):
                found.append(mask_prediction(len(found), numbers, question))
        return found

    def from_arrays(self, given: GivenLabels) -> ReadLabels:
        from kerasrun.reading.mask_arrays import masks_of_arrays

        return masks_of_arrays(given)

    def files(self, folder: Path, paths: Sequence[str], originals: Sequence[Path]) -> Sequence[Path]:
        return files_below(folder, paths, originals, "mask", ".png")

    def caption(self, label: Any, classes: Sequence[str]) -> str:
        return ""

    def draw(self, axes: Any, label: Any, classes: Sequence[str]) -> None:
        """Lay every class but the first, and no pixel without one, over the image in its colour, half transparent."""
        import numpy as np

        numbers, colours = label[..., 0].astype(int), _colours()
        alpha = np.where((numbers == 0) | (numbers >= len(classes)), 0.0, 0.5)[..., np.newaxis]
        axes.imshow(np.concatenate([colours[numbers % len(colours)], alpha], axis=-1))

    def explain(self, figure: Any, classes: Sequence[str]) -> None:
        from matplotlib.patches import Patch

        colours = _colours()
        patches = [
            Patch(color=colours[n % len(colours)], label=curve_label(name)) for n, name in enumerate(classes) if n
        ]
        figure.legend(handles=patches, loc="outside lower center", ncols=len(patches), frameon=False)

    def about(self, classes: int) -> str:
        return f"masks of {classes} classes"

    def drafted_model(self) -> Sequence[str]:
        return (
            "model:",
            "  layers:                          # down, and up again with what was seen on the way down",
            f"    - Conv2D: {{filters: 16, {_CONV}, name: whole}}",
            "    - MaxPooling2D: {pool_size: 2}",
            f"    - Conv2D: {{filters: 32, {_CONV}, name: half}}",
            "    - MaxPooling2D: {pool_size: 2}",
            f"    - Conv2D: {{filters: 64, {_CONV}}}",
            "    - UpSampling2D: {size: 2, name: from_quarter}",
            "    - Concatenate: {inputs: [half, from_quarter]}",
            f"    - Conv2D: {{filters: 32, {_CONV}}}",
            "    - UpSampling2D: {size: 2, name: from_half}",
            "    - Concatenate: {inputs: [whole, from_half]}",
            f"    - Conv2D: {{filters: 16, {_CONV}}}",
        )


TASK = Segmentation()


def _masks(split: Split) -> Inputs:
    masks: Inputs = split.labels  # type: ignore[assignment]  # of masks it is never an array
    return masks


def _colours() -> NDArray[np.float64]:
    import numpy as np
    from matplotlib import colormaps

    colours: NDArray[np.float64] = colormaps["tab10"](np.arange(10))[:, :3]
    return colours


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
    """The classes that the pixels of each class were taken for."""

    pixel_accuracy: float
    classes: tuple[AreaScore, ...]
    threshold: float | None = None
    """How probable the second of two classes must be to be called; None for other models."""
    overlays: tuple[Overlay, ...] = field(default=(), repr=False)

    @property
    def headline(self) -> Mapping[str, float | None]:
        return {
            "pixel_accuracy": self.pixel_accuracy,
            "mean_iou": mean(score.iou for score in self.classes),
            "mean_dice": mean(score.dice for score in self.classes),
        }

    def as_dict(self) -> dict[str, Any]:
        threshold = {} if self.threshold is None else {"threshold": self.threshold}
        return {**self.headline, **threshold, "classes": [score.as_dict() for score in self.classes]}

    def to_text(self) -> str:
        called = [] if self.threshold is None else [f"called {self.classes[1].name} above {self.threshold:g}"]
        rows = [[s.name, shown(s.iou), shown(s.dice), s.pixels] for s in self.classes]
        return "\n".join([*called, text_table(["class", "iou", "dice", "pixels"], rows)])

    def figures(self) -> Mapping[str, Figure]:
        from kerasrun.report import figures

        are_images = all(one.image.ndim == 3 for one in self.overlays)
        return (
            {"overlays": figures.overlays(self.overlays, [score.name for score in self.classes])} if are_images else {}
        )


class SegmentationScorer:
    """Counts pixels with a class as outputs come, because the outputs of a whole split would not fit into memory."""

    def __init__(self, split: Split, question: Question, overlays: int = OVERLAYS) -> None:
        import numpy as np

        self._split, self._question = split, question
        self._confusions = np.zeros((len(question.classes), len(question.classes)), np.int64)
        self._done = 0
        count = min(overlays, len(split))
        self._drawn = set((np.arange(count) * len(split) // count).tolist())
        self._overlays: list[Overlay] = []

    def add(self, outputs: NDArray[np.float32]) -> None:
        import numpy as np

        from kerasrun.report.figures import Overlay

        indices = np.arange(self._done, self._done + len(outputs))
        true = _masks(self._split).take(indices)[..., 0].astype(np.int64)
        predicted = pixel_classes(outputs, self._question.outputs, self._question.only_threshold)
        has_class = true < len(self._confusions)
        self._confusions += confusion_matrix(true[has_class], predicted[has_class], len(self._confusions))
        self._overlays += [
            Overlay(
                self._split.names[index] if self._split.names else str(index),
                self._split.inputs.take(np.array([index]))[0],
                np.where(has_class, true, 0)[place],
                predicted[place],
            )
            for place, index in enumerate(indices.tolist())
            if index in self._drawn
        ]
        self._done += len(outputs)

    def scores(self) -> SegmentationScores:
        confusions, names, threshold = self._confusions, self._question.classes, self._question.only_threshold
        if threshold is None and self._question.outputs != "scores":
            threshold = 0.5
        areas = zip(names, confusions.diagonal(), confusions.sum(axis=0), confusions.sum(axis=1), strict=True)
        return SegmentationScores(
            pixel_accuracy=float(confusions.trace() / max(1, confusions.sum())),
            classes=tuple(
                AreaScore(
                    name,
                    iou=float(hits / (called + there - hits)) if called + there else None,
                    dice=float(2 * hits / (called + there)) if called + there else None,
                    pixels=int(there),
                )
                for name, hits, called, there in areas
            ),
            threshold=threshold if len(names) == 2 else None,
            overlays=tuple(self._overlays),
        )


class MaskJudge:
    """Keeps the masks that cover the true ones least, and some from all over the split, as outputs come."""

    def __init__(self, split: Split, question: Question) -> None:
        import numpy as np

        self._split, self._question = split, question
        self._places = set(np.linspace(0, len(split) - 1, min(OVERLAYS, len(split)), dtype=int).tolist())
        self._done = 0
        self._worst: list[_Covered] = []
        self._others: list[_Covered] = []

    def add(self, outputs: NDArray[np.float32]) -> None:
        import numpy as np

        indices, classes = np.arange(self._done, self._done + len(outputs)), len(self._question.classes)
        true = _masks(self._split).take(indices)[..., 0]
        predicted = pixel_classes(outputs, self._question.outputs, self._question.only_threshold)
        ious = example_ious(true, predicted, classes)
        found = [
            _Covered(index, float(np.nanmean(own)), own, of_true.copy(), of_model.astype(np.uint8))
            for index, own, of_true, of_model in zip(indices.tolist(), ious, true, predicted, strict=True)
            if not np.isnan(own).all()
        ]
        self._others += [one for one in found if one.place in self._places]
        worst = [*self._worst, *(one for one in found if one.iou < 1)]
        self._worst = sorted(worst, key=lambda one: one.iou)[:_MOST_WORST]
        self._done += len(outputs)

    def mistakes(self) -> Sequence[Mistakes]:
        from kerasrun.report.figures import READABLE_CURVES, class_colors
        from kerasrun.report.mistakes import Mistakes

        names, where = self._question.classes, self._split.name
        colours = {name: f"rgb{tuple(one.tolist())}" for name, one in zip(names, class_colors(len(names)), strict=True)}
        about = f"The {len(self._worst)} examples of {where} with the lowest IoU, the mean over their classes."
        return [
            Mistakes(
                list(map(self._judged, self._worst)),
                about if self._worst else f"All masks of {where} are right to the pixel.",
                measure="IoU",
                others=[self._judged(one) for one in self._others if one not in self._worst],
                about_others=f"From all over {where}",
                colours=dict(list(colours.items())[1 : READABLE_CURVES + 1]),
            )
        ]

    def _judged(self, one: _Covered) -> Judged:
        import numpy as np

        from kerasrun.report.figures import shortened
        from kerasrun.report.mistakes import MOST_NAMED, Judged

        names, masks = self._question.classes, {"true": one.true, "predicted": one.predicted}
        known = [number for number in np.argsort(one.ious).tolist() if not np.isnan(one.ious[number])]
        is_picture = one.true.ndim == 2
        true, called = ("" if is_picture else shortened(", ".join(map(self._name, mask))) for mask in masks.values())
        return Judged(
            one.place,
            true,
            called,
            one.iou,
            [(names[number], float(one.ious[number])) for number in known[:MOST_NAMED]],
            masks=self._drawn(one.place, masks) if is_picture else {},
        )

    def _name(self, number: int) -> str:
        names = self._question.classes
        return names[number] if number < len(names) else "–"

    def _drawn(self, place: int, masks: Mapping[str, NDArray[np.uint8]]) -> Mapping[str, str]:
        """Return the addresses of the picture at `place` with each of the masks over it."""
        import numpy as np
        from PIL import Image

        from kerasrun.report.figures import laid_over, pixels
        from kerasrun.report.pages import SIDE, address_of

        picture, classes = pixels(self._split.inputs.take(np.array([place]))[0]), len(self._question.classes)
        return {
            what: address_of(Image.fromarray(laid_over(picture, np.where(mask < classes, mask, 0), classes)), SIDE)
            for what, mask in masks.items()
        }


@dataclass(frozen=True, eq=False)
class _Covered:
    """How far the true and the predicted mask of an example cover each other."""

    place: int
    iou: float
    """The mean of `ious`."""
    ious: NDArray[np.float64]
    """Of each class; NaN where neither mask has it."""
    true: NDArray[np.uint8]
    predicted: NDArray[np.uint8]


def example_ious(true: NDArray[Any], predicted: NDArray[Any], classes: int) -> NDArray[np.float64]:
    """Return the intersection over union of each class in each example; NaN where neither mask has it.

    Args:
        true: class numbers, (examples, …); others have no class and do not count.
        predicted: class numbers, of the same shape.

    Returns:
        shape (examples, classes).
    """
    import numpy as np

    true, predicted = (one.reshape(len(one), -1).astype(np.int64) for one in (true, predicted))
    numbers, there = np.arange(len(true))[:, np.newaxis] * classes, true < classes

    def counts(masks: NDArray[Any], which: NDArray[np.bool_]) -> NDArray[np.int64]:
        return np.bincount((masks + numbers)[which], minlength=len(true) * classes).reshape(-1, classes)

    hits = counts(true, there & (true == predicted))
    union = counts(true, there) + counts(predicted, there) - hits
    return np.where(union > 0, hits / np.maximum(union, 1), np.nan)


@dataclass(frozen=True)
class MaskPrediction(Prediction):
    """The class that the model takes each pixel for."""

    mask: str
    """The file with the class numbers."""
    shares: tuple[tuple[str, float], ...]
    """Every class with its share of the pixels."""
    steps: tuple[str, ...] = ()
    """Of a sequence the class of each step."""

    def as_dict(self) -> dict[str, Any]:
        steps = {"steps": list(self.steps)} if self.steps else {}
        return {"path": self.path, "mask": self.mask, "shares": dict(self.shares), **steps}

    def as_row(self) -> Mapping[str, Any]:
        return {"path": self.path, "mask": self.mask, **dict(self.shares)}

    def as_cells(self) -> Mapping[str, str]:
        there = sorted((item for item in self.shares if item[1]), key=lambda item: -item[1])
        return {"mask": self.mask, "shares": ", ".join(f"{name} {share:.4f}" for name, share in there)}


def mask_prediction(place: int, numbers: NDArray[np.int64], question: Question) -> MaskPrediction:
    """Write the mask of the example at `place`: class numbers, (height, width) of the network's input, or (steps,)."""
    import numpy as np
    from PIL import Image

    names, file = question.classes, question.files[place]
    mask = _picture(np.atleast_2d(numbers), len(names))  # of a sequence as wide as it is long
    if question.sizes and question.image_format:
        # By the nearest pixel: no class is between two.
        mask = unfit(mask, question.image_format, question.sizes[place], Image.Resampling.NEAREST)
    question.save(mask, file)
    counts = np.bincount(numbers.reshape(-1), minlength=len(names)) / numbers.size
    steps = tuple(names[number] for number in numbers) if numbers.ndim == 1 else ()
    return MaskPrediction(question.paths[place], str(file), named(names, counts), steps)


def _picture(numbers: NDArray[np.int64], classes: int) -> Image.Image:
    """Draw 0 and 255 for two classes; of more, class numbers with a palette, so that they differ to the eye too."""
    import numpy as np
    from PIL import Image

    from kerasrun.report.figures import class_colors

    if classes == 2:
        return Image.fromarray((numbers * 255).astype(np.uint8))
    height, width = numbers.shape
    picture = Image.frombytes("P", (width, height), numbers.astype(np.uint8).tobytes())
    picture.putpalette(class_colors(classes).tobytes())
    return picture
