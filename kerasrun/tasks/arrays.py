"""Arrays: an image for each image, or numbers for each step of a sequence; an autoencoder makes its own input again.

What the network is to make is scaled as preprocessing scales its input (`ArrayForm`), and is brought back for
predictions. Scores say how far it is off, in the units of the data.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerasrun.components import Component
from kerasrun.errors import ModelError
from kerasrun.keras_catalogue import canonical
from kerasrun.reading.data import ArrayForm, Inputs, Split
from kerasrun.report.plain import text_table
from kerasrun.report.predictions import Prediction, Question, named, row_of
from kerasrun.report.scores import Scorer, Scores, in_own_units, shown
from kerasrun.report.values import OutputKind, label_values
from kerasrun.tasks import masks
from kerasrun.tasks._files import files_below, unfit
from kerasrun.tasks.base import BINARY, Masks, Output, Targets, is_from_logits
from kerasrun.tasks.numbers import Numbers, TargetScore

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from kerasrun.reading.labelled_arrays import GivenLabels, ReadLabels
    from kerasrun.report.figures import Reconstruction

DRAWN = 6
"""How many examples are drawn."""
_MOST_ROWS = 20
"""Of more channels than these the table of scores has none."""


class Arrays(Numbers):
    """Numbers in an array for each example; losses and metrics are those of numbers."""

    has_units = False
    blends = True
    writes = True
    indivisible = "the labels are arrays"
    counted = "channels"
    _are = "arrays of numbers"

    def __init__(self, form: ArrayForm | None = None) -> None:
        """
        Args:
            form: that of the arrays; None where the data are not known.
        """
        self.form = form
        self.per_pixel = form is None or len(form.shape) > 1

    def of(self, split: Split) -> Arrays:
        labels = _arrays(split)
        are_bytes = str(labels.dtype) == "uint8"
        return Arrays(ArrayForm(labels.example_shape, are_bytes=are_bytes, of_inputs=labels is split.inputs))

    def output(self, classes: int, loss: Component | None = None) -> Output:
        one = super().output(classes, loss)
        return Output(one.units, one.activation, self.per_pixel, None if self.form is None else self.form.shape)

    def outputs(self, loss: Component) -> OutputKind:
        is_logits = canonical("losses", loss.name) in BINARY and is_from_logits(loss)
        return "sigmoid logits" if is_logits else "values"

    def check_shape(self, shape: tuple[int, ...], inputs: tuple[int, ...]) -> None:
        expected = self._form.shape
        if shape == expected:
            return
        whose = "which are its inputs" if self._form.of_inputs else "which are arrays"
        if math.prod(shape) == math.prod(expected):
            advice = f"end it with Reshape: {{target_shape: {list(expected)}}}"
        elif len(expected) == 3 and len(shape) == 3 and shape[:2] != expected[:2]:
            advice = (
                "bring what was pooled to that size with UpSampling2D or Conv2DTranspose, or set an image_size that "
                "can be halved as often as the network does"
            )
        else:
            advice = "end it in layers that give this shape, such as Reshape, Conv2DTranspose or Conv2D"
        raise ModelError(
            f"the network ends in an output of shape {shape} for each example, but its targets, {whose}, have the "
            f"shape {expected}: {advice}"
        )

    def agreed(self, loss: Component, classes: int, units: int, activation: str | None) -> Targets:
        targets = super().agreed(loss, classes, units, activation)
        if canonical("losses", loss.name) in BINARY and self.form and self.form.are_bytes:
            ends = [
                number * scale + offset
                for number in (0, 255)
                for scale, offset in zip(self.form.scale, self.form.offset, strict=True)
            ]
            if min(ends) < -1e-6 or max(ends) > 1 + 1e-6:
                raise ModelError(
                    f"{loss.name} takes targets from 0 to 1, but `preprocessing` brings pixels to {min(ends):.3g} to "
                    f"{max(ends):.3g}, and targets with them: take mean_squared_error, or Rescaling: {{scale: 1/255}}"
                )
        return targets

    def encode(self, labels: Any, targets: Targets) -> Any:
        """Return arrays (batch, …) as the network is to make them, float32."""
        import tensorflow as tf

        scale, offset = (tf.constant(one, tf.float32) for one in (self._form.scale, self._form.offset))
        return tf.cast(labels, tf.float32) * scale + offset

    def training_labels(self, split: Split, targets: Targets) -> Masks:
        return Masks(_arrays(split), lambda arrays: self.encode(arrays, targets))

    def labels_of(self, split: Split, begin: int, end: int, targets: Targets) -> Any:
        import numpy as np

        return self.encode(_arrays(split).take(np.arange(begin, end)), targets)

    def zeros(self, examples: int, size: tuple[int, ...], targets: Targets) -> Any:
        import tensorflow as tf

        return tf.zeros((examples, *self._form.shape))

    def scorer(self, split: Split, question: Question) -> Scorer:
        return ArrayScorer(split, question, self._form)

    def judge(self, split: Split, question: Question) -> None:
        return None

    def predictions(self, chunks: Iterable[NDArray[np.float32]], question: Question) -> list[Prediction]:
        """Write arrays as they come: those of many images would not fit into memory."""
        found: list[Prediction] = []
        for outputs in chunks:
            for made in self._form.in_units(label_values(outputs, question.outputs)):
                found.append(self._prediction(len(found), made, question))
        return found

    def _prediction(self, place: int, made: NDArray[np.float64], question: Question) -> Prediction:
        import numpy as np

        path, form, rmse = question.paths[place], self._form, None
        if form.of_inputs and question.inputs is not None:
            given = question.inputs.take(np.array([place]))[0].astype(np.float64)
            rmse = float(np.sqrt(np.mean((made - given) ** 2)))
        if not question.files:
            return RowPrediction(path, rmse, named(question.classes, made))
        file = question.files[place]
        question.save(_picture(made, place, question) if form.is_picture else _Stored(made.astype(np.float32)), file)
        return ArrayPrediction(path, rmse, str(file))

    def from_arrays(self, given: GivenLabels) -> ReadLabels:
        from kerasrun.reading.array_targets import targets_of_arrays

        return targets_of_arrays(given)

    def files(self, folder: Path, paths: Sequence[str], originals: Sequence[Path]) -> Sequence[Path]:
        if len(self._form.shape) == 1:
            return ()
        suffix = ".png" if self._form.is_picture else ".npy"
        return files_below(folder, paths, originals, "image" if self._form.is_picture else "array", suffix)

    def without_threshold(self, classes: int, outputs: OutputKind) -> str:
        return "makes arrays"

    def caption(self, label: Any, classes: Sequence[str]) -> str:
        return ""

    def draw(self, axes: Any, label: Any, classes: Sequence[str]) -> None:
        """Draw a target that is an image over the lower right quarter of its input."""
        from kerasrun.report.figures import grey_or_color

        (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
        quarter = ((left + right) / 2, right, bottom, (bottom + top) / 2)
        axes.imshow(grey_or_color(label), cmap="gray", extent=quarter)
        axes.set(xlim=(left, right), ylim=(bottom, top))

    def about(self, classes: int) -> str:
        return f"an array of {classes} {'channel' if classes == 1 else 'channels'} for each"

    def drafted_model(self) -> Sequence[str]:
        return masks.TASK.drafted_model()

    @property
    def _form(self) -> ArrayForm:
        assert self.form is not None, "a task of arrays is made of data before it computes"
        return self.form


TASK = Arrays()


def require_form(form: ArrayForm | None, channels: int) -> None:
    """Raise a ValueError unless arrays of these many channels can have this form."""
    if form is None or not 1 <= len(form.shape) <= 3 or form.shape[-1] != channels:
        raise ValueError("array_form: expected the shape of an array for each example")
    for key in ("scale", "offset"):
        values = getattr(form, key)
        if len(values) not in (1, channels) or not all(map(math.isfinite, values)) or (key == "scale" and 0 in values):
            raise ValueError(f"array_form.{key}: expected a finite number, or one for each of {channels} channels")


def _arrays(split: Split) -> Inputs:
    arrays: Inputs = split.labels  # type: ignore[assignment]  # of arrays it is never in memory as a whole
    return arrays


@dataclass(frozen=True)
class _Stored:
    """An array that is written as NumPy's own file."""

    array: NDArray[np.float32]

    def save(self, file: Path) -> None:
        import numpy as np

        with file.open("wb") as opened:
            np.save(opened, self.array)


def _picture(made: NDArray[np.float64], place: int, question: Question) -> Any:
    """Draw numbers of 0 to 255, in the size of the image that they were made of where they are as large as it was."""
    import numpy as np
    from PIL import Image

    pixels = np.clip(np.rint(made), 0, 255).astype(np.uint8)
    picture = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    form = question.image_format
    if question.sizes and form and picture.size == (form.width, form.height):
        return unfit(picture, form, question.sizes[place], Image.Resampling.BILINEAR)
    return picture


@dataclass(frozen=True)
class ArrayScores(Scores):
    """How far arrays are off, in the units of the data."""

    channels: tuple[TargetScore, ...]
    psnr: float | None
    """Peak signal-to-noise ratio in decibels, of bytes; None for other numbers, and where nothing is off."""
    are_bytes: bool
    drawn: tuple[Reconstruction, ...] = field(default=(), repr=False)

    @property
    def headline(self) -> Mapping[str, float | None]:
        if self.are_bytes:
            return {"psnr": self.psnr}
        known = [one.r2 for one in self.channels if one.r2 is not None]
        rmse = math.sqrt(sum(one.mse for one in self.channels) / len(self.channels))
        return {"rmse": rmse, "r2": sum(known) / len(known) if len(known) == len(self.channels) else None}

    def as_dict(self) -> dict[str, Any]:
        return {**self.headline, "channels": [asdict(one) for one in self.channels]}

    def to_text(self) -> str:
        if len(self.channels) > _MOST_ROWS:
            return f"{len(self.channels)} channels: see the report for each"
        rows = [[one.target, *map(in_own_units, (one.mae, one.mse, one.rmse)), shown(one.r2)] for one in self.channels]
        unit = ["of 255"] if self.are_bytes else []
        return "\n".join([*unit, text_table(["channel", "mae", "mse", "rmse", "r2"], rows)])

    def figures(self) -> Mapping[str, Figure]:
        from kerasrun.report import figures

        return {"arrays": figures.reconstructions(self.drawn)}


class ArrayScorer:
    """Sums errors as outputs come, because the outputs of a whole split would not fit into memory."""

    def __init__(self, split: Split, question: Question, form: ArrayForm) -> None:
        import numpy as np

        self._split, self._question, self._form = split, question, form
        self._sums = np.zeros((4, len(question.classes)))
        """Of |error|, error², the distance from the first example's mean, and its square."""
        self._center: NDArray[np.float64] | None = None
        self._done = 0
        count = min(DRAWN, len(split))
        self._places = set((np.arange(count) * len(split) // count).tolist())
        self._drawn: list[Reconstruction] = []

    def add(self, outputs: NDArray[np.float32]) -> None:
        import numpy as np

        from kerasrun.report.figures import Reconstruction

        indices = np.arange(self._done, self._done + len(outputs))
        true = _arrays(self._split).take(indices).astype(np.float64)
        made = self._form.in_units(label_values(outputs, self._question.outputs))
        if self._center is None:
            self._center = true[0].reshape(-1, true.shape[-1]).mean(axis=0)
        for place, index in enumerate(indices.tolist()):
            # One by one, so that no bit depends on how many come at once.
            error, distance = (
                one.reshape(-1, true.shape[-1]) for one in (made[place] - true[place], true[place] - self._center)
            )
            self._sums += [np.abs(error).sum(0), (error**2).sum(0), distance.sum(0), (distance**2).sum(0)]
            if index in self._places:
                name = self._split.names[index] if self._split.names else str(index)
                given = None if self._form.of_inputs else self._split.inputs.take(np.array([index]))[0]
                limits = (0.0, 255.0) if self._form.are_bytes else None
                self._drawn.append(Reconstruction(name, given, true[place], made[place], limits))
        self._done += len(outputs)

    def scores(self) -> ArrayScores:
        count = self._done * math.prod(self._form.shape[:-1])
        channels = []
        for name, (absolute, squared, distance, far) in zip(self._question.classes, self._sums.T.tolist(), strict=True):
            spread = far - distance**2 / count
            r2 = 1 - squared / spread if spread > 1e-12 * far else None
            mse = squared / count
            channels.append(TargetScore(name, absolute / count, mse, math.sqrt(mse), r2))
        mse = sum(one.mse for one in channels) / len(channels)
        psnr = 10 * math.log10(255**2 / mse) if self._form.are_bytes and mse else None
        return ArrayScores(tuple(channels), psnr, self._form.are_bytes, tuple(self._drawn))


@dataclass(frozen=True)
class MadePrediction(Prediction):
    """What the model made of an example."""

    rmse: float | None
    """How far it is from the example, in the units of the data, where the model makes its own inputs again."""

    @property
    def _error(self) -> dict[str, float]:
        return {} if self.rmse is None else {"rmse": self.rmse}

    @property
    def _error_cell(self) -> dict[str, str]:
        return {} if self.rmse is None else {"rmse": in_own_units(self.rmse)}


@dataclass(frozen=True)
class ArrayPrediction(MadePrediction):
    """An array that was written to a file."""

    file: str

    def as_dict(self) -> dict[str, Any]:
        return {"path": self.path, "file": self.file, **self._error}

    def as_row(self) -> Mapping[str, Any]:
        return self.as_dict()

    def as_cells(self) -> Mapping[str, str]:
        return {"file": self.file, **self._error_cell}


@dataclass(frozen=True)
class RowPrediction(MadePrediction):
    """A row of numbers."""

    values: tuple[tuple[str, float], ...]
    """Every column with its number."""

    def as_dict(self) -> dict[str, Any]:
        return {"path": self.path, **self._error, "values": dict(self.values)}

    def as_row(self) -> Mapping[str, Any]:
        return row_of({"path": self.path, **self._error}, self.values)

    def as_cells(self) -> Mapping[str, str]:
        return self._error_cell | {name: in_own_units(number) for name, number in self.values}
