"""Say where columns or targets have scales on which training does not get on, and what evens them out.

Light to import: TensorFlow is not needed.
"""

import logging
import warnings
from collections.abc import Sequence

import numpy as np

from kerasrun.experiment.image_data_generator import ImageDataGenerator
from kerasrun.experiment.schema import Experiment
from kerasrun.pipeline.selection import spread
from kerasrun.reading.data import Data, Feature, Split
from kerasrun.tasks.base import task_named

logger = logging.getLogger("kerasrun")

_APART = 10
"""How many times one scale may be another, and how far from 0 targets may be."""
_LOOKED_AT = 10_000


def note_scales(experiment: Experiment, data: Data, train: Split) -> None:
    """Say so of the columns of a table, and of numbers to be predicted."""
    if data.row_format and not _evens_out(experiment):
        columns = zip(data.row_format.features, data.row_format.columns, strict=True)
        _note_columns(list(columns), train)
    if task_named(data.label_kind).has_units and not experiment.fit.scale_targets:
        _note_targets(data, train)


def _evens_out(experiment: Experiment) -> bool:
    layers = [entry.component.name for entry in getattr(experiment.model, "layers", ())]
    names = [*(layer.name for layer in experiment.preprocessing_layers), *layers]
    generated = isinstance(experiment.augmentation, ImageDataGenerator) and experiment.augmentation.standardizes
    return generated or experiment.model.kind == "saved" or any("ormalization" in name for name in names)


def _note_columns(columns: Sequence[tuple[str, Feature]], train: Split) -> None:
    names = [name for name, one in columns if one.kind == "number"]
    some = spread(train, _LOOKED_AT)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of a column of which every value here is missing
        deviations = np.nanstd(some.rows.take(np.arange(len(some)))[:, : len(names)].astype(np.float64), axis=0)
    known = [(float(one), name) for one, name in zip(deviations, names, strict=True) if one > 0]
    if known and max(known)[0] > _APART * min(known)[0]:
        (large, largest), (small, smallest) = max(known), min(known)
        logger.info(
            "the numbers of %s spread %s times as far as those of %s, and nothing evens them out: "
            "`preprocessing: [Normalization]` does",
            *(largest, f"{large / small:,.0f}", smallest),
        )


def _note_targets(data: Data, train: Split) -> None:
    for name, numbers in zip(data.classes, train.label_array.astype(np.float64).T, strict=True):
        mean, deviation = float(numbers.mean()), float(numbers.std())
        if max(abs(mean), deviation) > _APART or 0 < deviation < 1 / _APART**2:
            logger.info(
                "the target %s is around %s, give or take %s, and a network begins around 0: "
                "`fit: {scale_targets: true}` brings it there for training",
                *(name, _rounded(mean), _rounded(deviation)),
            )
            return


def _rounded(number: float) -> str:
    return f"{number:,.0f}" if abs(number) >= 1000 else f"{number:.4g}"
