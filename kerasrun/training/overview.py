"""Say what is about to be trained: the data, the network, the device and the run. Light to import."""

from collections.abc import Iterator, Sequence

import numpy as np

from kerasrun.engine.job import Job
from kerasrun.reading.data import Split
from kerasrun.report.plain import text_table
from kerasrun.runs.directory import RunDirectory
from kerasrun.stderr import plain
from kerasrun.tasks.base import task_named

MOST_CLASSES = 20
"""With more of them, the smallest and the largest class stand for all."""
NAME_WIDTH = 24


def overview(run: RunDirectory, job: Job, weights: str | None) -> str:
    """Return a table of the examples in each split, and lines for what trains on them.

    Args:
        weights: what the network begins with, if not as the experiment says.
    """
    given = {split.name: split for split in (*job.data.splits.values(), *job.splits)}
    splits = [given[name] for name in ("train", "validation", "test") if name in given]
    shape, image = job.train.inputs.example_shape, job.data.image_format
    sides = "×".join(map(str, shape))
    if len(shape) == 3:
        form = ("image size", f"{shape[0]}×{shape[1]}, {image.color_mode if image else f'{shape[2]} channels'}")
    else:
        form = ("features", sides)
    beside = [("beside it", f"{one.example_shape[0]} {name}") for name, one in job.train.others.items()]
    trainable = sum(int(np.prod(weight.shape)) for weight in job.model.trainable_weights)
    lines = [
        form,
        *beside,
        ("parameters", f"{job.model.count_params():,} ({trainable:,} trainable)"),
        *([("begins with", weights)] if weights else []),
        ("device", job.device.description),
        ("written to", str(run)),
    ]
    table = text_table(["examples", *(split.name for split in splits)], list(_rows(job, splits)))
    width = max(len(name) for name, _ in lines)
    return "\n".join([table, *(f"{name.ljust(width)}  {value}" for name, value in lines)])


def _rows(job: Job, splits: Sequence[Split]) -> Iterator[list[str]]:
    task, names = task_named(job.data.label_kind), job.data.classes
    if task.one_class or task.together:
        counts = [split.class_counts(len(names)) for split in splits]
        if len(names) > MOST_CLASSES:
            spans = (f"{count.min():,}–{count.max():,}" for count in counts)
            yield [f"  each of {len(names)} {task.counted}", *spans]
        else:
            for number, name in enumerate(names):
                yield [f"  {_shortened(plain(name))}", *(f"{int(count[number]):,}" for count in counts)]
    yield ["  all", *(f"{len(split):,}" for split in splits)]


def _shortened(name: str) -> str:
    return name if len(name) <= NAME_WIDTH else f"{name[: NAME_WIDTH - 1]}…"
