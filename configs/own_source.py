"""Two digits side by side, to be added up."""

from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from kerasrun.sources import Source


class DigitPairs(Source):
    """Pairs that are put together when they are asked for: there are more of them than memory should hold."""

    digits: Path
    pairs: Annotated[int, Field(ge=1)] = 20000
    seed: int = 1
    labels: Literal["numbers"] = "numbers"

    def arrays(self, split):
        if split == "validation":
            return None
        with np.load(self.digits) as file:
            images, values = file[f"x_{split}"], file[f"y_{split}"]
        count = self.pairs if split == "train" else self.pairs // 10
        numbers = np.random.default_rng(self.seed).choice(len(images) ** 2, count, replace=False)
        chosen = np.column_stack(np.divmod(numbers, len(images)))
        return Pairs(images, chosen), values[chosen].sum(axis=1)


class Pairs:
    def __init__(self, images, chosen):
        self.images, self.chosen = images, chosen
        self.shape = (len(chosen), images.shape[1], 2 * images.shape[2])
        self.dtype = images.dtype

    def __getitem__(self, number):
        return np.hstack(self.images[self.chosen[number]])
