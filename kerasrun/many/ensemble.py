"""`evaluate` and `predict` with a group: the mean of what its finished runs compute, and how far they are apart."""

import gc
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kerasrun.errors import ModelFileError, UsageError
from kerasrun.many import statistics
from kerasrun.many.group import Group, open_group
from kerasrun.many.repeat import OUT_OF_FOLD, Seen, require_alike
from kerasrun.many.statistics import Spread
from kerasrun.model_file import ModelInfo
from kerasrun.pipeline.selection import places_of
from kerasrun.report import plain
from kerasrun.report.predictions import Beside, Prediction, Question, Unreadable
from kerasrun.report.scores import Scores, shown
from kerasrun.report.thresholds import Rule
from kerasrun.report.thresholds import asked as asked_threshold
from kerasrun.report.values import OutputKind, class_values, label_values
from kerasrun.results.evaluation import EvaluationReport, measured
from kerasrun.results.prediction import MaskSize, answers, ask, opened, outputs
from kerasrun.results.recorded import read_recorded
from kerasrun.runs.directory import RunDirectory, model_of
from kerasrun.workers.cluster import place_here


@dataclass(frozen=True)
class GroupReport:
    """How the models of a group do on the same examples: their mean, and each alone."""

    group: str
    members: tuple[EvaluationReport, ...]
    metrics: Mapping[str, Spread]
    """The spread of the members' own metrics."""
    scores: Scores
    """The scores of the mean of their outputs."""

    def to_json(self) -> str:
        members = [{"run": one.run, "epoch": one.epoch, "metrics": _metrics(one)} for one in self.members]
        spreads = {name: asdict(one) for name, one in self.metrics.items()}
        first = {"group": self.group, "split": self.members[0].split, "examples": self.members[0].examples}
        return plain.to_json({**first, "ensemble": self.scores.as_dict(), "metrics": spreads, "members": members})

    def to_text(self) -> str:
        one = self.members[0]
        headline = ", ".join(f"{name} {shown(value)}" for name, value in self.scores.headline.items())
        lines = [
            f"{self.group} on {one.split}: {one.examples} examples, the mean of {len(self.members)} runs",
            *(headline, "", self.scores.to_text(), "", "each run alone", statistics.to_text(self.metrics)),
        ]
        return "\n".join(lines)


def _metrics(report: EvaluationReport) -> dict[str, float | None]:
    return {**report.scores.headline, **report.metrics}


def evaluate_group(
    group: Group | str | Path,
    *,
    split: str | None = None,
    data: str | Path | None = None,
    last: bool = False,
    threshold: float | str | None = None,
    overrides: Sequence[str] = (),
    trust: bool = False,
) -> GroupReport:
    """Evaluate the mean of the outputs of a group's models; arguments as for `evaluate`, the threshold a number.

    Raises:
        KerasrunError: as `evaluate`; if the split has other examples in one run than in another, some of which another
            run has trained on.
    """
    number = asked_threshold(threshold)
    if isinstance(number, Rule):
        raise UsageError(f"--threshold {number.name} chooses for one model, not for the mean of a group; give a number")
    reports, means, names = [], _Mean(), None
    for run in _finished(group):
        seen = Seen()
        report = measured(*(run, split, data), last=last, threshold=number, overrides=overrides, trust=trust, see=seen)
        assert report is not None, "there is one process"
        here = seen.split.names or places_of(seen.split)
        if names is not None and here != names:
            raise UsageError(
                f"the {report.split} examples of {run} are not those of {reports[0].run}, so a run may have trained on "
                f"what another one is measured on: take other data with --data; of folds, see {OUT_OF_FOLD}"
            )
        names = here
        reports.append(report)
        means.add(seen.outputs, seen.info)
        gc.collect()
    scorer = seen.info.task.scorer(seen.split, Question(seen.info.classes, means.kind, number))
    scorer.add(means.outputs)
    fold = read_recorded(run, trust=trust).experiment.fit.fold
    metrics = statistics.spreads([_metrics(report) for report in reports], fold and fold[1])
    return GroupReport(str(Path(reports[0].run).parent), tuple(reports), metrics, scorer.scores())


def predict_group(
    examples: str | Path | Sequence[str | Path],
    group: Group | str | Path,
    *,
    top: int | None = None,
    every: bool = False,
    threshold: float | None = None,
    masks: str | Path | None = None,
    mask_size: MaskSize = "original",
    last: bool = False,
    trust: bool = False,
) -> list[Prediction]:
    """Predict with the mean of the outputs of a group's models; arguments and errors as for `predict`.

    Returns:
        predictions with a further column, `spread`: the standard deviation over the models of the probability that the
        named class has, and as `spread_…` of each label or number.
    """
    means = _Mean()
    for run in _finished(group):
        asked = ask(
            examples, model_of(run, last=last), top, every=every, threshold=threshold, masks=masks, mask_size=mask_size
        )
        means.add(np.concatenate(list(outputs(asked, opened(asked, trust=trust)))), asked.info)
        gc.collect()
    # What one model keeps as its threshold is not that of the mean.
    question = replace(asked.question, outputs=means.kind, threshold=threshold)
    predictions = answers(replace(asked, question=question), [means.outputs])
    if means.count == 1 or asked.info.task.writes:
        return predictions
    spreads = iter(means.spread)
    return [
        one if isinstance(one, Unreadable) else Beside(one.path, one, _named(one, next(spreads), asked.info))
        for one in predictions
    ]


def _finished(group: Group | str | Path) -> list[RunDirectory]:
    group = group if isinstance(group, Group) else open_group(Path(group))
    if place_here().count > 1:
        raise UsageError(
            f"{group.root} is a group of runs, which one process takes: leave out --workers, or name a run"
        )
    runs = group.finished()
    if not runs:
        raise ModelFileError(f"no run in {group.root} is finished; the command that made the group goes on with them")
    return runs


def _named(prediction: Prediction, spread: NDArray[np.float64], info: ModelInfo) -> dict[str, Any]:
    if info.task.one_class:
        return {"spread": float(spread[info.classes.index(prediction.as_row()["class"])])}
    return {f"spread_{name}": float(value) for name, value in zip(info.classes, spread, strict=True)}


class _Mean:
    """The mean of the outputs of several models, and their standard deviation."""

    kind: OutputKind
    """Of the mean: probabilities, where the models compute logits."""
    _info: ModelInfo

    def __init__(self) -> None:
        self._each: list[NDArray[np.float32]] = []

    def add(self, found: NDArray[np.float32], info: ModelInfo) -> None:
        """Take the outputs of the next model, (examples, …)."""
        is_logits = info.outputs.endswith("logits")
        values = class_values if info.outputs == "softmax logits" else label_values
        kind: OutputKind = "probabilities" if is_logits else info.outputs
        one = values(found, info.outputs).astype(np.float32) if is_logits else found
        if self._each:
            require_alike([(self._info, self.kind, self._each[0].shape), (info, kind, one.shape)])
        self._info, self.kind = info, kind
        self._each.append(one)

    @property
    def count(self) -> int:
        return len(self._each)

    @property
    def outputs(self) -> NDArray[np.float32]:
        """The mean, (examples, …)."""
        mean: NDArray[np.float32] = np.stack(self._each).mean(axis=0, dtype=np.float64).astype(np.float32)
        return mean

    @property
    def spread(self) -> NDArray[np.float64]:
        """The standard deviation of each class's probability, or of each label or number, (examples, classes)."""
        deviations: NDArray[np.float64] = np.std(
            [self._info.task.values(one, self.kind) for one in self._each], axis=0, ddof=1
        )
        return deviations
