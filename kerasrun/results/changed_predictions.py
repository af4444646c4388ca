"""What two runs predict of the same examples: which became right or wrong, and whether that may be chance."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kerasrun import model_file
from kerasrun.engine.errors import network_explained
from kerasrun.errors import DataError, UsageError
from kerasrun.inspection.examples import digests_of
from kerasrun.model_file import ModelInfo
from kerasrun.reading.data import Split
from kerasrun.report.values import called_classes, class_values
from kerasrun.results.evaluation import chosen
from kerasrun.results.recorded import read_recorded
from kerasrun.runs.directory import RunDirectory, model_of
from kerasrun.stderr import plain

_SAMPLES = 2000
"""How many samples the bootstrap draws."""
_SEED = 0
"""The same runs give the same interval."""
_MOST_NAMED = 20
"""How many examples a text names."""


@dataclass(frozen=True)
class ChangedExample:
    """An example that one of two runs is right about."""

    example: str
    true: str
    predicted: tuple[str, str]
    """The class that each run predicts."""


@dataclass(frozen=True)
class ChangedClasses:
    """How two runs differ in the classes that they predict."""

    split: str
    examples: int
    right: tuple[int, int]
    """How many examples each run is right about."""
    became_right: tuple[ChangedExample, ...]
    became_wrong: tuple[ChangedExample, ...]
    p: float
    """Of McNemar's exact test: how probable so uneven changes, or more uneven ones, are if neither run is better."""

    def as_dict(self) -> dict[str, Any]:
        changed = {name: [vars(one) for one in getattr(self, name)] for name in ("became_right", "became_wrong")}
        return {**vars(self), **changed}

    def to_text(self) -> str:
        both = f"{self.right[0]} and {self.right[1]} of {self.examples} examples right"
        changes = f"{len(self.became_right)} became right, {len(self.became_wrong)} wrong"
        lines = [f"{self.split}: {both}; {changes} (McNemar's exact test: p = {self.p:.3g})"]
        for word, changed in (("right", self.became_right), ("wrong", self.became_wrong)):
            for one in changed[:_MOST_NAMED]:
                lines.append(plain(f"{word} now: {one.example}, {one.true}: {' → '.join(one.predicted)}"))
            if len(changed) > _MOST_NAMED:
                lines.append(f"{word} now: {len(changed) - _MOST_NAMED} more (--json has all)")
        return "\n".join(lines)


@dataclass(frozen=True)
class ChangedNumber:
    """How two runs differ in the errors of one target, in its own unit."""

    target: str
    mae: tuple[float, float]
    """The mean absolute error of each run."""
    difference: float
    """Of the second run minus that of the first."""
    interval: tuple[float, float]
    """In which 95 % of the differences are that samples of the examples give."""


@dataclass(frozen=True)
class ChangedNumbers:
    """How two runs differ in the numbers that they predict."""

    split: str
    examples: int
    targets: tuple[ChangedNumber, ...]

    def as_dict(self) -> dict[str, Any]:
        return {**vars(self), "targets": [vars(one) for one in self.targets]}

    def to_text(self) -> str:
        return "\n".join(
            f"{self.split}: mean absolute error of {plain(one.target)}, {self.examples} examples: {one.mae[0]:.5g} → "
            f"{one.mae[1]:.5g}, {one.difference:+.4g} (95 % interval {one.interval[0]:+.4g} to {one.interval[1]:+.4g})"
            for one in self.targets
        )


@dataclass(frozen=True)
class _Answers:
    """What a run predicts of a split."""

    run: RunDirectory
    info: ModelInfo
    split: Split
    outputs: NDArray[np.float32]


def changed_predictions(
    first: RunDirectory, second: RunDirectory, split: str | None = None, *, trust: bool = False
) -> ChangedClasses | ChangedNumbers:
    """Have the best models of two runs predict the examples of a split, and compare what they say.

    Args:
        split: `train`, `validation` or `test`; by default `test` where the first has one, else `validation`.
        trust: run code that the models or the runs bring.

    Raises:
        UsageError: if the runs predict neither classes nor numbers, or not the same ones.
        DataError: if the split is not in both, or has other examples.
    """
    before = _answers(first, split, trust=trust)
    after = _answers(second, before.split.name, trust=trust)
    if (before.info.label_kind, before.info.classes) != (after.info.label_kind, after.info.classes):
        raise UsageError(f"{first} and {second} do not predict the same classes or numbers, so nothing can be compared")
    _require_same_examples(before, after)
    return _classes(before, after) if before.info.task.one_class else _numbers(before, after)


def mcnemar(became_right: int, became_wrong: int) -> float:
    """Return the p-value of McNemar's exact test, two-sided: twice the smaller tail of a binomial with one half."""
    changed, fewer = became_right + became_wrong, min(became_right, became_wrong)
    # The tail's largest term is C(changed, fewer) / 2**changed, as a logarithm; the others follow by their ratios.
    up = np.arange(1, fewer + 1)
    largest = math.fsum(np.log((changed - fewer + up) / up)) - changed * math.log(2)
    down = up[::-1]
    return min(1.0, 2 * math.exp(largest) * (1 + float(np.cumprod(down / (changed - down + 1)).sum())))


def interval_of_mean(differences: NDArray[np.float64]) -> tuple[float, float]:
    """Return the 2.5 and 97.5 percentiles of the means of bootstrap samples of differences, (examples,)."""
    draw = np.random.default_rng(_SEED)
    means = [draw.choice(differences, len(differences)).mean() for _ in range(_SAMPLES)]
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


def _answers(run: RunDirectory, split: str | None, *, trust: bool) -> _Answers:
    path = model_of(run)
    info = model_file.read_info(path)
    if info.parts or info.label_kind not in ("classes", "numbers"):
        about = info.task.about(len(info.classes))
        raise UsageError(f"{run} has {about}; --predictions compares one class, or numbers, of each example")
    recorded = read_recorded(run, trust=trust)
    data = recorded.open_data()
    examples = chosen(data.splits, split)
    trained = recorded.open_model(path, trust=trust)
    recorded.compare(data, info)
    from kerasrun.engine.evaluator import Predictor

    with network_explained(path):
        predictor = Predictor(trained.model, info.batch_size)
        batches = predictor.batches(examples.inputs, tuple(examples.others.values()))
        outputs = predictor.predict(batches, len(examples))
    return _Answers(run, info, examples, outputs)


def _require_same_examples(before: _Answers, after: _Answers) -> None:
    one, other = before.split, after.split
    same = np.array_equal(one.label_array, other.label_array) and np.array_equal(
        digests_of(one.inputs), digests_of(other.inputs)
    )
    if not same:
        raise DataError(
            f"{before.run} and {after.run} do not have the same examples for {one.name}, as after another seed or with "
            "other data; name another one with --split"
        )


def _classes(before: _Answers, after: _Answers) -> ChangedClasses:
    split, names = before.split, before.info.classes
    true = split.label_array
    predicted = [
        called_classes(class_values(one.outputs, one.info.outputs), one.info.question().only_threshold)
        for one in (before, after)
    ]
    right = [one == true for one in predicted]

    def changed(which: NDArray[np.bool_]) -> tuple[ChangedExample, ...]:
        return tuple(
            ChangedExample(
                split.names[place] if split.names else f"{split.name}[{place}]",
                names[true[place]],
                (names[predicted[0][place]], names[predicted[1][place]]),
            )
            for place in np.flatnonzero(which)
        )

    became_right, became_wrong = changed(~right[0] & right[1]), changed(right[0] & ~right[1])
    p = mcnemar(len(became_right), len(became_wrong))
    counts = int(right[0].sum()), int(right[1].sum())
    return ChangedClasses(split.name, len(split), counts, became_right, became_wrong, p)


def _numbers(before: _Answers, after: _Answers) -> ChangedNumbers:
    true = before.split.label_array.astype(np.float64)
    errors = [np.abs(one.outputs.astype(np.float64) - true) for one in (before, after)]
    columns = zip(before.info.classes, *(of_run.T for of_run in errors), strict=True)
    return ChangedNumbers(before.split.name, len(true), tuple(_target(*column) for column in columns))


def _target(name: str, before: NDArray[np.float64], after: NDArray[np.float64]) -> ChangedNumber:
    means = float(before.mean()), float(after.mean())
    return ChangedNumber(name, means, means[1] - means[0], interval_of_mean(after - before))
