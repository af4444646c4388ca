"""Pictures of splits: how many examples each class has, and examples with what the model says of them."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kerasrun.engine.prepared import prepare
from kerasrun.errors import DataError
from kerasrun.experiment.load import load
from kerasrun.exports.base import model_outputs
from kerasrun.pipeline.selection import spread
from kerasrun.reading.data import Data, Split
from kerasrun.report.figures import NARROW, as_colors, class_bars, grid, histograms, shortened, text_below
from kerasrun.results.evaluation import chosen
from kerasrun.results.plots import Drawing, save
from kerasrun.results.recorded import read_recorded
from kerasrun.run_files import RunFile
from kerasrun.runs.directory import RunDirectory, model_of
from kerasrun.tasks.base import task_named

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_EXAMPLES = 32


def class_counts(data: Data) -> tuple[list[Split], list[tuple[str, list[int]]]]:
    """Return the splits of training, validation and test, and how many examples of each class each has; none of
    labels that are no classes.
    """
    splits = [data.splits[name] for name in ("train", "validation", "test") if name in data.splits]
    task = task_named(data.label_kind)
    if not (task.one_class or task.together):
        return splits, []
    counts = [split.class_counts(len(data.classes)).tolist() for split in splits]
    return splits, list(zip(data.classes, map(list, zip(*counts, strict=True)), strict=True))


def plot_labels_of_run(run: RunDirectory, drawing: Drawing, overrides: Sequence[str], *, trust: bool) -> Path:
    """Draw how many examples of each class a run's splits have, or how its numbers are spread: `plots/labels.png`."""
    figure = _labels(read_recorded(run, overrides, trust=trust).open_data())
    figure.suptitle(run.name)
    return save(figure, run.below(RunFile.PLOTS, f"labels.{drawing.file_format}"))


def plot_labels_of_experiment(file: Path, drawing: Drawing, overrides: Sequence[str], *, trust: bool) -> Path:
    """Draw the same of an experiment that is not trained: `<experiment>-labels.png` here."""
    prepared = prepare(load(file, overrides), trust=trust)
    figure, name = _labels(prepared.data), prepared.experiment.name
    figure.suptitle(name)
    return save(figure, Path(f"{name}-labels.{drawing.file_format}"))


def _labels(data: Data) -> "Figure":
    """Draw the labels of each split.

    Raises:
        DataError: if they are neither classes nor numbers.
    """
    splits, counts = class_counts(data)
    names = [split.name for split in splits]
    if counts:
        return class_bars(names, counts)
    numbers = [split.labels for split in splits if isinstance(split.labels, np.ndarray) and split.labels.ndim == 2]
    if len(numbers) < len(splits):
        raise DataError("the labels are neither classes nor numbers, so there is nothing to count")
    return histograms(names, dict(zip(data.classes, zip(*(one.T for one in numbers), strict=True), strict=True)))


def plot_examples(
    run: RunDirectory, drawing: Drawing, split: str | None, overrides: Sequence[str], *, trust: bool
) -> Path:
    """Draw examples of a split with what the best model says of them: `plots/examples_<split>.png`.

    Args:
        split: `train`, `validation` or `test`; by default `test` where there is one, else `validation`.

    Raises:
        DataError: if they are no pictures.
    """
    path = model_of(run)
    recorded = read_recorded(run, overrides, trust=trust)
    data = recorded.open_data()
    whole = chosen(data.splits, split)
    examples = spread(whole, _EXAMPLES)
    if len(examples.inputs.example_shape) != 3:
        raise DataError(f"the examples of {run} are no pictures; kerasrun report {run.quoted} lists the worst mistakes")
    if not isinstance(examples.labels, np.ndarray):
        raise DataError(
            f"what {run} makes of an example is a picture itself; kerasrun evaluate {run.quoted} draws some"
        )
    trained = recorded.open_model(path, trust=trust)
    info = trained.info
    names = examples.names or [f"{examples.name}[{place}]" for place in range(len(examples))]
    recorded.compare(data, info)
    outputs = model_outputs(trained.model, info.batch_size, examples)
    said = info.task.predicted(outputs, info.question(paths=names))
    figure, panels = grid(len(examples))
    images = as_colors(examples.inputs.take(np.arange(len(examples))))
    for axes, image, label, one, name in zip(panels, images, examples.labels, said, names, strict=False):
        cells, true = list(one.as_cells().values()), info.task.caption(label, info.classes)
        is_wrong = info.task.one_class and cells[0] != true
        axes.imshow(image)
        axes.set_title(shortened(" ".join(cells), NARROW), fontsize=8, color="C3" if is_wrong else "black")
        text_below(axes, f"is {shortened(true, NARROW)}", shortened(name, NARROW, from_end=True))
    figure.suptitle(f"{run.name} on {whole.name}: {len(examples)} of {len(whole):,} examples")
    return save(figure, run.below(RunFile.PLOTS, f"examples_{whole.name}.{drawing.file_format}"))
