"""The columns of a table in the model: gaps are filled, and categories become numbers, by Keras layers.

What they are filled with is measured on the examples that train, and travels in the model as a layer's configuration.
"""

import re
from itertools import repeat
from typing import Any

import keras
import numpy as np

from kerasrun.engine.standardization import chunks
from kerasrun.errors import ModelError
from kerasrun.models.base import free_name
from kerasrun.reading.data import Feature, Inputs, RowFormat

_MOST_ONE_HOT = 32
"""How many categories become a column each; more become a few numbers that are learned."""
_MOST_DIMENSIONS = 16


class Columns:
    """The parts of a row as symbolic tensors."""

    def __init__(self, row_format: RowFormat, inputs: Any, train: Inputs) -> None:
        columns = list(zip(row_format.features, row_format.columns, strict=True))
        of_numbers = [one for _, one in columns if one.kind != "category"]
        categories = [(name, len(one.categories)) for name, one in columns if one.kind == "category"]
        width = sum(one.width for one in of_numbers)
        ends = [end for end in range(width, width + len(categories)) if end]
        parts = list(keras.ops.split(inputs, ends, axis=-1)) if ends else [inputs]
        self.numbers = parts.pop(0) if width else None
        """The numbers, of which none is missing; None where there are only categories."""
        self.others: list[Any] = []
        if any(one.gaps or one.kind == "date" for one in of_numbers):
            missing = keras.ops.isnan(self.numbers)
            self.numbers = keras.ops.where(missing, _means(train, width), self.numbers)
            places = np.cumsum([0, *(one.width for one in of_numbers)])
            if said := [int(place) for place, one in zip(places, of_numbers, strict=False) if one.gaps]:
                self.others.append(keras.ops.cast(keras.ops.take(missing, said, axis=-1), "float32"))
        taken: set[str] = set()
        for part, (column, count) in zip(parts, categories, strict=True):
            name = free_name("category_" + re.sub(r"[^A-Za-z0-9_]", "_", column), taken)
            taken.add(name)
            self.others.append(_of_category(keras.ops.cast(part, "int32"), count, name))

    def joined(self, numbers: Any) -> Any:
        """Return the network's input: numbers, after preprocessing, with everything else behind them.

        Raises:
            ModelError: if the preprocessing makes no row of numbers of them.
        """
        if numbers is not None and len(numbers.shape) != 2:
            raise ModelError(
                f"preprocessing gives the shape {tuple(numbers.shape[1:])} for the numbers of a row, beside which go "
                "categories and gaps: expected a row of numbers"
            )
        parts = [*([] if numbers is None else [numbers]), *self.others]
        return keras.layers.Concatenate(name="columns")(parts) if len(parts) > 1 else parts[0]


def owners(row_format: RowFormat) -> list[str]:
    """Return the column that each number of a row is of, as the network takes it: see `Columns.joined`."""
    columns = list(zip(row_format.features, row_format.columns or repeat(Feature()), strict=False))
    found = [name for name, one in columns if one.kind != "category" for _ in range(one.width)]
    found += [name for name, one in columns if one.kind != "category" and one.gaps]
    for name, one in columns:
        found += [name] * (_width(len(one.categories)) if one.kind == "category" else 0)
    return found


def _width(categories: int) -> int:
    """Return how many numbers stand for a category."""
    return categories if categories <= _MOST_ONE_HOT else min(_MOST_DIMENSIONS, round(categories**0.5))


def _of_category(index: Any, count: int, name: str) -> Any:
    """Turn numbers of categories, 0 for an unknown one, into columns; an unknown one becomes zeros."""
    layers = keras.layers
    if count <= _MOST_ONE_HOT:
        return layers.CategoryEncoding(count + 1, output_mode="one_hot", name=name)(index)[:, 1:]
    size = _width(count)
    vectors = layers.Embedding(count + 1, size, embeddings_initializer="zeros", name=name)(index)
    return layers.Reshape((size,), name=f"{name}_row")(vectors)


def _means(train: Inputs, width: int) -> Any:
    """Return the mean of each number over the examples that have it."""
    total, count = np.zeros(width), np.zeros(width)
    for examples in chunks(train):
        total += np.nansum(examples[:, :width], axis=0)
        count += np.isfinite(examples[:, :width]).sum(axis=0)
    return (total / np.maximum(count, 1)).astype(np.float32)
