"""Pictures of a search: its history, which parameters matter, and all trials at once. Nothing opens a window."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from matplotlib import colormaps
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.trial import FrozenTrial, TrialState

from kerasrun.many.study import Study, short_names
from kerasrun.report.figures import empty
from kerasrun.report.plain import curve_label
from kerasrun.results.plots import save

_MOST_CHARACTERS = 24
"""Of a value or a key in a picture: the end of a longer one is shown."""
_STATES = {TrialState.COMPLETE: ("finished", "o", "C0"), TrialState.PRUNED: ("pruned", "x", "0.6")}


def draw(study: Study, monitor: str, folder: Path) -> list[Path]:
    """Draw what can be drawn of a search into a folder, and return the files.

    Args:
        monitor: the name of the value.
    """
    trials = [one for one in study.trials() if one.state in _STATES and one.value is not None and one.params]
    finished = [one for one in trials if one.state == TrialState.COMPLETE]
    figures = {}
    if trials:
        figures["history"] = _history(trials, study, monitor)
    if len(finished) > 1:
        figures["parallel_coordinates"] = _parallel_coordinates(finished, study, monitor)
    if shares := _importances(study):
        figures["importances"] = _importances_drawn(shares, monitor)
    return [save(figure, folder / f"{name}.png") for name, figure in figures.items()]


def _history(trials: Sequence[FrozenTrial], study: Study, monitor: str) -> Figure:
    """Draw the value of each trial, and the best so far as a line."""
    figure = empty(8, 4)
    axes: Any = figure.subplots()
    for state, (label, marker, color) in _STATES.items():
        of_state = [one for one in trials if one.state == state]
        if of_state:
            points = [one.number for one in of_state]
            axes.scatter(points, _values(of_state), marker=marker, color=color, s=24, label=label, zorder=2)
    finished = [one for one in trials if one.state == TrialState.COMPLETE]
    better = np.maximum if study.is_maximized else np.minimum
    best = better.accumulate(_values(finished))
    axes.step([one.number for one in finished], best, where="post", color="C1", label="best so far")
    axes.set(xlabel="trial", ylabel=curve_label(monitor), title="history")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(alpha=0.3)
    axes.legend()
    return figure


def _importances(study: Study) -> Mapping[str, float]:
    """Return the share that each parameter has in what tells the best trials from the others; they add up to 1.

    By PED-ANOVA (Watanabe, Bansal and Hutter, 2023), which needs no other package. Empty where trials are too few, or
    all alike.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        warnings.simplefilter("error", UserWarning)  # that there are too few
        try:
            shares = optuna.importance.get_param_importances(
                study.study, evaluator=optuna.importance.PedAnovaImportanceEvaluator()
            )
        except (ValueError, RuntimeError, UserWarning):
            return {}
    return shares if sum(shares.values()) > 0 else {}


def _importances_drawn(shares: Mapping[str, float], monitor: str) -> Figure:
    figure = empty(8, 1.2 + 0.4 * len(shares))
    axes: Any = figure.subplots()
    names = map(_shown, short_names(shares).values())
    bars = axes.barh([*names], [*shares.values()], color="C0")
    axes.invert_yaxis()
    axes.bar_label(bars, fmt="%.2f", padding=3)
    axes.set(xlabel=f"share of what decides {monitor}", title="importance of the parameters", xlim=(0, 1.1))
    axes.grid(axis="x", alpha=0.3)
    return figure


def _parallel_coordinates(trials: Sequence[FrozenTrial], study: Study, monitor: str) -> Figure:
    """Draw each finished trial as a line through its values; the darker, the better, and the best one red."""
    values = _values(trials)
    # The best last, above the others; of equal ones the first, which is the winner.
    order = np.argsort((values if study.is_maximized else -values)[::-1], kind="stable")
    order = len(trials) - 1 - order
    heights = [_scaled(values, values.min(), values.max())]
    ticks: list[list[tuple[float, str]]] = [
        [(height, f"{value:.4g}") for height, value in zip((0, 1), (values.min(), values.max()), strict=True)]
    ]
    for key, place in study.space.items():
        scale = _Scale(place)
        heights.append(np.array([scale(one.params[key]) for one in trials]))
        ticks.append([*scale.ticks()])
    figure = empty(2.4 * len(heights) + 1, 5)
    axes: Any = figure.subplots()
    lines = np.stack(heights, axis=1)
    colors = colormaps["Blues"](np.linspace(0.25, 1, len(trials)))
    for rank, trial in enumerate(order):
        is_best = rank == len(trials) - 1
        axes.plot(lines[trial], color="C3" if is_best else colors[rank], linewidth=2.5 if is_best else 1)
    box = {"color": "white", "alpha": 0.7, "pad": 1}
    for column, marks in enumerate(ticks):
        axes.axvline(column, color="0.3", linewidth=1)
        for height, text in marks:
            axes.plot([column - 0.02, column + 0.02], [height, height], color="0.3", linewidth=1)
            axes.text(column + 0.04, height, text, va="center", fontsize=8, bbox=box)
    axes.set_xticks(range(len(ticks)), [curve_label(monitor), *map(_shown, short_names(study.space).values())])
    axes.set(title="all finished trials", yticks=[], xlim=(-0.1, len(ticks) - 0.5), ylim=(-0.05, 1.05))
    axes.spines[:].set_visible(False)
    return figure


class _Scale:
    """Where the values of a parameter are, from 0 to 1."""

    def __init__(self, place: BaseDistribution) -> None:
        self._place: Any = place
        self._log = getattr(place, "log", False)
        self._choices = place.choices if isinstance(place, CategoricalDistribution) else None

    def __call__(self, value: Any) -> float:
        if self._choices is not None:
            return self._choices.index(value) / max(1, len(self._choices) - 1)
        change = np.log10 if self._log else float
        return float(_scaled(change(value), change(self._place.low), change(self._place.high)))

    def ticks(self) -> Iterator[tuple[float, str]]:
        """Yield heights and what is there."""
        if self._choices is not None:
            yield from ((self(one), str(one)[-_MOST_CHARACTERS:]) for one in self._choices)
            return
        low, high = self._place.low, self._place.high
        locator = LogLocator() if self._log else MaxNLocator(5, integer=isinstance(low, int))
        inner = [value for value in locator.tick_values(low, high) if low < value < high]
        edge = [value for value in (low, high) if all(abs(self(value) - self(one)) > 0.05 for one in inner)]
        yield from ((self(value), f"{value:.4g}") for value in (*edge, *inner))


def _values(trials: Sequence[FrozenTrial]) -> NDArray[np.float64]:
    return np.array([one.value for one in trials], np.float64)


def _scaled(value: Any, low: float, high: float) -> Any:
    return (value - low) / (high - low) if high > low else value * 0 + 0.5


def _shown(name: str) -> str:
    return curve_label(name[-_MOST_CHARACTERS:])
