"""How values of several runs spread: mean, standard deviation, and an interval for the mean."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kerasrun.report.plain import text_table
from kerasrun.report.scores import in_own_units


@dataclass(frozen=True)
class Spread:
    """The spread of a metric; all but the mean is None where a single run has it."""

    mean: float
    std: float | None
    """The standard deviation, of n - 1."""
    interval: tuple[float, float] | None
    """The 95 % interval of the mean, by Student's t."""
    runs: int


def spread_of(values: Iterable[float], folds: int | None = None) -> Spread:
    """Return the spread of a metric.

    Args:
        folds: how many folds each seed has. Runs of a cross-validation share most of what they train on, so their mean
            is less sure than that of as many independent ones: its variance is (1/n + 1/(folds - 1)) times theirs
            (Nadeau and Bengio, Inference for the Generalization Error, 2003), not 1/n.
    """
    found = [float(value) for value in values]
    mean = float(np.mean(found))
    if len(found) == 1:
        return Spread(mean, None, None, 1)
    std = float(np.std(found, ddof=1))
    half = student_95(len(found) - 1) * std * math.sqrt(1 / len(found) + (1 / (folds - 1) if folds else 0))
    return Spread(mean, std, (mean - half, mean + half), len(found))


def spreads(runs: Sequence[Mapping[str, float | None]], folds: int | None = None) -> dict[str, Spread]:
    """Return the spread of each metric over the runs in which it is defined."""
    names = dict.fromkeys(name for run in runs for name in run)
    known = {name: [value for run in runs if (value := run.get(name)) is not None] for name in names}
    return {name: spread_of(values, folds) for name, values in known.items() if values}


def to_text(found: Mapping[str, Spread]) -> str:
    """Return a line for each metric."""
    rows = [
        [name, in_own_units(one.mean), *map(_shown, (one.std, *(one.interval or (None, None)))), one.runs]
        for name, one in found.items()
    ]
    return text_table(["metric", "mean", "std", "95 % from", "to", "runs"], rows)


def _shown(value: float | None) -> str:
    return "-" if value is None else in_own_units(value)


def student_95(freedom: int) -> float:
    """Return the value that Student's t stays within, on both sides, with a probability of 95 %.

    By bisection of the finite series for whole degrees of freedom (Abramowitz and Stegun, 26.7.3 and 26.7.4).
    """
    low, high = 0.0, math.pi / 2
    while low < (middle := (low + high) / 2) < high:
        low, high = (middle, high) if _within(middle, freedom) < 0.95 else (low, middle)
    return math.tan(low) * math.sqrt(freedom)


def _within(angle: float, freedom: int) -> float:
    """Return the probability that t is nearer to 0 than tan(angle) * sqrt(freedom)."""
    sine, cosine, odd = math.sin(angle), math.cos(angle), freedom % 2
    term, total = (cosine, 0.0) if odd else (1.0, 0.0)
    for power in range(odd, freedom - 1, 2):
        total += term
        term *= cosine**2 * (power + 1) / (power + 2)
    return (angle + sine * total) * 2 / math.pi if odd else sine * total
