"""`preview`: the first training examples, changed as training changes them, as the network sees them."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kerasrun.engine.errors import explained
from kerasrun.engine.prepared import Prepared, prepare, start_device
from kerasrun.errors import DataError, UsageError
from kerasrun.experiment.load import load
from kerasrun.pipeline.order import epoch_order
from kerasrun.report.figures import NARROW, as_colors, grid, shortened, text_below
from kerasrun.report.plain import draw
from kerasrun.runs import atomic
from kerasrun.tasks.base import ClassNumbers, Masks, task_named

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Of a mixed example, in the room above a small image.
_LINES = 2
_LINE = 20


def preview(
    file: str | Path,
    *,
    overrides: Sequence[str] = (),
    output: str | Path | None = None,
    count: int = 16,
    trust: bool = False,
) -> Path:
    """Draw the first examples of the first epoch, augmented and preprocessed, with their labels.

    Args:
        overrides: `key.path=value`, as after `--set`.
        output: the PNG file; by default `<experiment>-preview.png` in the working folder.
        count: how many examples, if there are that many.
        trust: run code that a model file brings.

    Returns:
        the path of the picture.

    Raises:
        KerasrunError: as `train`, up to the first batch; if the examples are not images.
    """
    loaded = load(file, overrides)
    path = Path(output or f"{loaded.experiment.name}-preview.png")
    if path.suffix.lower() != ".png":
        raise UsageError(f"{path}: the picture is a PNG file; expected a name that ends in .png")
    prepared = prepare(loaded, trust=trust)
    shape = prepared.train.inputs.example_shape
    if len(shape) != 3:
        raise DataError(f"preview shows images, but an example has the shape {tuple(shape)}")
    start_device(prepared.experiment)
    with explained(prepared):
        images, labels = _first_examples(prepared, min(count, len(prepared.train)))
    figure = _grid(prepared, images, labels)
    with atomic.replacing(path) as private:
        draw(figure, private, dpi=120, format="png")
    return path


def _first_examples(prepared: Prepared, count: int) -> tuple[NDArray[np.float32], NDArray[Any]]:
    """Return the inputs of the network, (count, height, width, channels), and the labels as in `Split.labels`.

    Where examples are mixed, a label is a row of shares.
    """
    import tensorflow as tf

    from kerasrun.engine.building import preprocessing_model
    from kerasrun.pipeline.augmentation import augmentation_of
    from kerasrun.pipeline.batches import training_batches

    experiment, train = prepared.experiment, prepared.train
    labels = train.labels if isinstance(train.labels, np.ndarray) else Masks(train.labels, lambda masks: masks)
    mixed = _to_be_mixed(train.label_array, len(prepared.data.classes)) if experiment.mixing else None
    preprocess = preprocessing_model(experiment, train.inputs)
    blends = task_named(prepared.data.label_kind).blends
    augmentation = augmentation_of(experiment, train, blends=blends)
    batches = training_batches(
        train.inputs,
        labels if mixed is None else mixed,
        batch_size=experiment.fit.batch_size,
        seed=experiment.seed,
        first_step=0,
        epochs=1,
        augmentation=augmentation,
    )
    first = batches.take(math.ceil(count / experiment.fit.batch_size))
    seen, known = zip(*((preprocess(tf.cast(x, tf.float32), training=False), y) for x, y in first), strict=True)
    return np.concatenate(seen)[:count].astype(np.float32), np.concatenate(known)[:count]


def _to_be_mixed(labels: NDArray[Any], classes: int) -> NDArray[np.float32] | ClassNumbers:
    """Return a row of shares for each example: one-hot for a class."""
    import tensorflow as tf

    if labels.ndim > 1:
        return labels.astype(np.float32)
    return ClassNumbers(labels, lambda numbers: tf.one_hot(numbers, classes))


def _title(shares: NDArray[np.float32], classes: Sequence[str]) -> str:
    """Return the largest shares of a mixed example, a line for each."""
    largest = [place for place in np.argsort(-shares, kind="stable")[:_LINES] if shares[place] >= 0.005]
    return "\n".join(shortened(f"{shares[place]:.0%} {classes[place]}", _LINE) for place in largest)


def _grid(prepared: Prepared, images: NDArray[np.float32], labels: NDArray[Any]) -> "Figure":
    train, data = prepared.train, prepared.data
    figure, panels = grid(len(images))
    order, task = epoch_order(prepared.experiment.seed, 0, len(train)), task_named(data.label_kind)
    for axes, image, label, place in zip(panels, as_colors(images), labels, order, strict=False):
        axes.imshow(image)
        if prepared.experiment.mixing:
            axes.set_title(_title(label, data.classes), fontsize=7)
        else:
            task.draw(axes, label, data.classes)
        if train.names:
            text_below(axes, shortened(train.names[place], NARROW, from_end=True))
    task.explain(figure, data.classes)
    title = f"{prepared.experiment.name}: {len(images)} of {len(train):,} training examples as the network sees them"
    figure.suptitle(f"{title}, values from {images.min():.3g} to {images.max():.3g}", fontsize=8)
    return figure
