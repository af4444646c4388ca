"""The bounds of numbers by which Keras repeats work or reserves memory, in experiments and in model files.

Light to import.
"""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Bounds:
    """The values that a number may have."""

    words: str
    least: float = -math.inf
    most: float = math.inf
    is_above: bool = False
    """Whether `least` itself is too small."""
    is_whole: bool = False

    def hold(self, value: float) -> bool:
        is_inside = self.least < value if self.is_above else self.least <= value <= self.most
        return is_inside and (not self.is_whole or float(value).is_integer())


def _up_to(most: int) -> Bounds:
    return Bounds(f"a whole number from 1 to {most:,}", 1, most, is_whole=True)


_AT_MOST = {
    "num_ops": _up_to(10),  # each has all layers of RandAugment, and takes most of a second
    **dict.fromkeys(("power_iterations", "ns_steps"), _up_to(100)),
    "num_mel_bins": _up_to(10_000),
    **dict.fromkeys(("bins", "num_thresholds"), _up_to(100_000)),
}
"""How often Keras writes a part of a graph, and of how much it keeps lists: more takes hours, or all memory."""
_OF_ONE = {
    ("RandomGaussianBlur", "kernel_size"): _up_to(199),
    **{(name, "num_classes"): _up_to(10_000) for name in ("IoU", "MeanIoU", "OneHotIoU", "OneHotMeanIoU")},
}


def bounds_of_work(component: str, parameter: str) -> Bounds | None:
    """Return the bounds of a number that decides how much time or memory a component of Keras takes.

    None for other numbers, and for the sizes of weights and outputs, which are counted when they are made.
    """
    return _OF_ONE.get((component, parameter)) or _AT_MOST.get(parameter)
