"""`repeat`: an experiment trained with several seeds, on the folds of its data, or both; what its runs say together.

Light to import: everything in the file is checked before TensorFlow is loaded.
"""

import gc
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kerasrun.errors import DamagedFileError, DataError, Interrupted, KerasrunError, UsageError
from kerasrun.experiment.load import Given, load
from kerasrun.experiment.resolved import resolved_yaml
from kerasrun.many import statistics
from kerasrun.many.group import Group, find_or_make
from kerasrun.many.statistics import Spread
from kerasrun.model_file import ModelInfo
from kerasrun.pipeline.selection import places_of
from kerasrun.reading.data import Split
from kerasrun.report import plain
from kerasrun.report.predictions import Beside, Prediction, Question, to_csv
from kerasrun.report.scores import Scores
from kerasrun.report.values import OutputKind
from kerasrun.results.evaluation import report_on
from kerasrun.results.recorded import read_recorded
from kerasrun.runs import atomic
from kerasrun.runs.directory import RunDirectory, model_of
from kerasrun.runs.metrics import Table
from kerasrun.runs.records import best_of
from kerasrun.training.resuming.same_experiment import sections
from kerasrun.workers.cluster import place_here

logger = logging.getLogger("kerasrun")

SUMMARY, OUT_OF_FOLD = "summary.json", "out_of_fold.csv"
_MOST_RUNS = 100_000
_OWN_SECTIONS = ("name", "seed", "fit")
"""Sections that each member has of its own: `fit` has the fold."""


@dataclass(frozen=True)
class Member:
    """A finished run of a group."""

    run: str
    seed: int
    fold: str | None
    """As `fit.validation_fold`."""
    epoch: int
    """The best one."""
    metrics: Mapping[str, float | None]
    """Those of the best epoch, and as `test_…` those of its model on the test split, where there is one."""


@dataclass(frozen=True)
class Summary:
    """What the runs of a group say together."""

    group: Group
    members: tuple[Member, ...]
    failed: Mapping[str, str]
    """Why a run is not finished, by its name."""
    metrics: Mapping[str, Spread]
    out_of_fold: Scores | None
    """The scores of all folds together: each example was predicted by a run that had not trained on it."""
    examples: int
    """How many predictions these are."""

    def to_json(self) -> str:
        """Return the text of `summary.json`."""
        together = self.out_of_fold and {"examples": self.examples, **self.out_of_fold.as_dict()}
        spreads = {name: asdict(one) for name, one in self.metrics.items()}
        members = [asdict(one) for one in self.members]
        return plain.to_json({"members": members, "failed": self.failed, "metrics": spreads, "out_of_fold": together})

    def to_text(self) -> str:
        """Return tables: metrics, the scores of all folds, and which runs failed."""
        lines = [f"{self.group.root.name}: {len(self.members)} runs", "", statistics.to_text(self.metrics)]
        if self.out_of_fold:
            lines += ["", f"all folds: {self.examples} predictions, {OUT_OF_FOLD}", "", self.out_of_fold.to_text()]
        return "\n".join([*lines, *(f"{run} is not finished: {why}" for run, why in self.failed.items())])


def repeat(
    file: Given,
    *,
    seeds: int | Sequence[int] | None = None,
    folds: int | None = None,
    overrides: Sequence[str] = (),
    output: str | Path = Path("runs"),
    trust: bool = False,
) -> Summary:
    """Train an experiment several times, each time as a run of the folder `<output>/<name>-repeat-<n>`.

    The same call goes on where it was, and one with other seeds adds their runs.

    Args:
        seeds: the seeds; or how many, from that of the experiment on. By default only that one.
        folds: how many folds validate in turn, for each seed; in place of what validates in the experiment.
        overrides: `key.path=value`, as after `--set`.
        trust: run code that a model file brings.

    Returns:
        what all finished runs of the folder say; it is in `summary.json`, and predictions of folds in
        `out_of_fold.csv`.

    Raises:
        KerasrunError: as `train`, before the first run. A run that fails is in the summary, and the others go on.
    """
    if place_here().count > 1:
        raise UsageError("repeat trains in one process, but TF_CONFIG names several: leave it out")
    begin = load(file, overrides).experiment.seed
    chosen = [begin] if seeds is None else range(begin, begin + seeds) if isinstance(seeds, int) else seeds
    if len(chosen) * (folds or 1) > _MOST_RUNS:
        raise UsageError(f"repeat: {len(chosen) * (folds or 1):,} runs; expected at most {_MOST_RUNS:,} in a folder")
    members = [member for seed in dict.fromkeys(chosen) for member in _members_of(seed, folds)]
    if not members or (seeds is None and folds is None):
        raise UsageError("repeat needs seeds or folds: --seeds 5, --seeds 1,2,7 or --folds 5")
    first = load(file, [*overrides, *members[0][2]]).experiment
    # The others have another seed, or the next folds; what tracks them may change.
    alike = first.model_copy(update={"seed": 1, "track": (), "report": False})
    of_all = {name: sha256 for name, sha256 in sections(first).items() if name not in _OWN_SECTIONS}
    group = find_or_make(Path(output), "repeat", alike.name, resolved_yaml(alike), of_all)
    failed: dict[str, str] = {}
    finished = group.finished()
    for number, (name, of_run, own) in enumerate(members, start=1):
        run = group.member(name, of_run)
        if run in finished:
            continue
        logger.info("%s, run %d of %d", run.name, number, len(members))
        try:
            group.train(file, name, of_run, overrides=[*overrides, *own], trust=trust)
        except (Interrupted, UsageError):
            raise
        except KerasrunError as error:
            if not run.root.exists():  # nothing of it is this run's alone
                raise
            logger.error("%s failed: %s", run.name, error)
            failed[run.name] = str(error)
        else:
            record = run.read_run()
            if record["status"] == "paused":
                failed[run.name] = str(record["reason"])
                break
            if not run.best_model.exists():
                failed[run.name] = "it has no best model"
        gc.collect()
    return _summary(group, failed, folds, trust=trust)


def _members_of(seed: int, folds: int | None) -> list[tuple[str, int, list[str]]]:
    """Return the name, the number and the overrides of each run of a seed."""
    if folds is None:
        return [("seed", seed, [f"seed={seed}"])]
    instead = ["fit.validation_split=null", "fit.validation_data=null"]
    return [
        (f"seed-{seed}-fold", fold, [f"seed={seed}", *instead, f"fit.validation_fold={fold}/{folds}"])
        for fold in range(1, folds + 1)
    ]


class Seen:
    """The outputs of a model on a split, as they are computed."""

    split: Split
    info: ModelInfo

    def __init__(self) -> None:
        self._chunks: list[NDArray[np.float32]] = []

    def __call__(self, split: Split, info: ModelInfo, found: NDArray[np.float32]) -> None:
        self.split, self.info = split, info
        self._chunks.append(found)

    @property
    def outputs(self) -> NDArray[np.float32]:
        """All of them, (examples, …)."""
        return np.concatenate(self._chunks)


def _summary(group: Group, failed: Mapping[str, str], folds: int | None, *, trust: bool) -> Summary:
    """Read every run of the group that is finished, and write what they say."""
    members, seen, predictions = [], [], list[Prediction]()
    for run in group.finished():
        member, of_fold = _read(run, trust=trust)
        members.append(member)
        if of_fold is not None:
            seen.append(of_fold)
            predictions += _told(of_fold, member)
        gc.collect()
    summary = Summary(
        *(group, tuple(members), failed),
        metrics=statistics.spreads([member.metrics for member in members], folds),
        out_of_fold=_together(seen) if seen else None,
        examples=len(predictions),
    )
    if predictions:
        atomic.write_text(group.root / OUT_OF_FOLD, to_csv(predictions) + "\n")
    atomic.write_text(group.root / SUMMARY, summary.to_json() + "\n")
    return summary


def _read(run: RunDirectory, *, trust: bool) -> tuple[Member, Seen | None]:
    """Return what a run measured, and of one of a fold what it predicts of that, unless the labels are pictures."""
    recorded = read_recorded(run, trust=trust)
    experiment, (best, row) = recorded.experiment, _best(run)
    metrics: dict[str, Any] = {name: value for name, value in row.items() if name not in ("epoch", "learning_rate")}
    data = recorded.open_data()
    labels = data.splits["train"].labels
    seen = Seen() if experiment.fit.fold and isinstance(labels, np.ndarray) else None
    if "test" in data.splits or seen:
        trained = recorded.open_model(model_of(run), trust=trust)
        recorded.compare(data, trained.info)
        if test := data.splits.get("test"):
            report = report_on(run, experiment, trained, test, "test")
            assert report is not None, "there is one process"
            metrics |= {f"test_{name}": value for name, value in {**report.scores.headline, **report.metrics}.items()}
        if seen:
            report_on(run, experiment, trained, data.splits["validation"], "validation", see=seen)
    return Member(run.name, experiment.seed, experiment.fit.validation_fold, best, metrics), seen


def _best(run: RunDirectory) -> tuple[int, Mapping[str, float | None]]:
    """Return the best epoch of a finished run, and its row in `metrics.csv`.

    Raises:
        DamagedFileError: if they are not there.
    """
    best = best_of(run.read_run(), run.run_file)
    if best["epoch"] is None:
        raise DamagedFileError(f"{run.run_file} is damaged: it does not say which epoch was the best")
    _, row = Table(run.metrics_file).of_epoch(best["epoch"])
    if row.get("epoch") != best["epoch"]:
        raise DamagedFileError(
            f"{run.metrics_file} is damaged: it has no row of the best epoch, {best['epoch']}; kerasrun resume "
            f"{run.quoted} puts it back from a checkpoint"
        )
    return best["epoch"], row


def _told(seen: Seen, member: Member) -> list[Prediction]:
    """Return the predictions of a fold, as `predict --all` has them, with the true labels beside them."""
    split, info = seen.split, seen.info
    names = split.names or [str(place) for place in places_of(split)]
    question = Question(info.classes, info.outputs, paths=names, top=len(info.classes), every=True)
    return [
        Beside(answer.path, answer, {**_true(label, info), "seed": member.seed, "fold": member.fold})
        for answer, label in zip(info.task.predicted(seen.outputs, question), split.label_array, strict=True)
    ]


def _true(label: Any, info: ModelInfo) -> dict[str, Any]:
    if info.task.one_class:
        return {"label": info.classes[int(label)]}
    return {f"label_{name}": value.item() for name, value in zip(info.classes, label, strict=True)}


def _together(seen: Sequence[Seen]) -> Scores:
    """Return the scores of all folds, as if one model had predicted them."""
    info = seen[0].info
    require_alike([(one.info, one.info.outputs, one.outputs.shape[1:]) for one in seen])
    split = replace(seen[0].split, labels=np.concatenate([one.split.label_array for one in seen]))
    scorer = info.task.scorer(split, Question(info.classes, info.outputs))
    scorer.add(np.concatenate([one.outputs for one in seen]))
    return scorer.scores()


def require_alike(runs: Sequence[tuple[ModelInfo, OutputKind, tuple[int, ...]]]) -> None:
    """Check that the outputs of runs mean the same: the same classes or labels, in outputs of one kind and shape.

    Raises:
        DataError: if they do not, as after a search of the loss or of the size of images.
    """
    forms = [(one.classes, one.label_kind, one.parts, one.array_form, *rest) for one, *rest in runs]
    if any(form != forms[0] for form in forms):
        raise DataError(
            f"the runs do not have the same {runs[0][0].task.counted}, in outputs of one kind and shape, so their "
            "outputs cannot be taken together; name one of the runs"
        )
