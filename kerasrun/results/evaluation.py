"""`evaluate`: loss and metrics of a run's model on a split, and what else suits its labels."""

import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerasrun import model_file
from kerasrun.engine.errors import network_explained
from kerasrun.errors import DataError, RunDirectoryError, UsageError
from kerasrun.experiment.schema import Experiment
from kerasrun.model_file import ModelInfo, TrainedModel
from kerasrun.reading.data import RowFormat, Split
from kerasrun.report import thresholds
from kerasrun.report.plain import to_json
from kerasrun.report.scores import Scores, shown
from kerasrun.report.thresholds import Rule
from kerasrun.report.values import Threshold
from kerasrun.results.model import check_threshold
from kerasrun.results.recorded import read_recorded
from kerasrun.run_files import RunFile
from kerasrun.runs import atomic
from kerasrun.runs.directory import RunDirectory, model_of, open_run
from kerasrun.runs.lock import lock
from kerasrun.sources.directory import open_folder_with
from kerasrun.stderr import plain
from kerasrun.workers.cluster import ONE_PROCESS, Place

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

logger = logging.getLogger("kerasrun")


@dataclass(frozen=True)
class ChosenThreshold:
    """Where a threshold came from that a rule has chosen."""

    rule: str
    split: str
    examples: int
    threshold: Threshold

    def to_text(self, measured_on: str) -> str:
        where = f"{self.split} too, which flatters the scores" if self.split == measured_on else self.split
        return f"threshold chosen by {self.rule} on {where}: {self.examples} examples"


@dataclass(frozen=True)
class EvaluationReport:
    """How a model does on a split."""

    run: str
    model: str
    epoch: int
    split: str
    examples: int
    metrics: Mapping[str, float]
    """`loss` first, then the experiment's metrics."""
    scores: Scores
    """The scores that suit the labels, as their task has them."""
    chosen: ChosenThreshold | None = None
    """None where no rule has chosen the threshold."""
    kept: bool = False
    """Whether the threshold is now in the model file."""
    pictures: tuple[str, ...] = ()
    """Paths of the pictures; none where the run cannot be written."""

    def as_dict(self) -> dict[str, Any]:
        known = {key: value for key, value in vars(self).items() if key not in ("scores", "chosen", "kept", "pictures")}
        chosen = {"threshold_chosen": vars(self.chosen)} if self.chosen else {}
        kept = {"threshold_kept": True} if self.kept else {}
        return {**known, **self.scores.as_dict(), **chosen, **kept, "pictures": list(self.pictures)}

    def to_json(self) -> str:
        return to_json(self.as_dict())

    def to_text(self) -> str:
        values = {**self.scores.headline, **self.metrics}
        in_order = [*self.metrics, *(name for name in values if name not in self.metrics)]
        return "\n".join(
            [
                f"{self.model} (epoch {self.epoch}) on {self.split}: {self.examples} examples",
                ", ".join(f"{name} {shown(values[name])}" for name in in_order),
                *([self.chosen.to_text(self.split)] if self.chosen else []),
                *([f"the threshold is kept in {self.model}: predict and evaluate decide by it"] if self.kept else []),
                "",
                self.scores.to_text(),
                *(["", f"pictures: {', '.join(self.pictures)}"] if self.pictures else []),
            ]
        )


def evaluate(
    run: RunDirectory | str | Path,
    *,
    split: str | None = None,
    data: str | Path | None = None,
    last: bool = False,
    threshold: float | str | None = None,
    keep_threshold: bool = False,
    overrides: Sequence[str] = (),
    trust: bool = False,
    place: Place = ONE_PROCESS,
) -> EvaluationReport | None:
    """Evaluate a run's model and keep the report in the run directory.

    Args:
        split: `train`, `validation` or `test`; by default `test` where there is one, else `validation`.
        data: a folder of class folders outside the experiment, instead of its data; for a run that was trained on a
            table, or on a table of images, another one, whose columns may be in any order.
        last: take `last.keras`, not `best.keras`.
        threshold: how probable the second of two classes, or a label, must be to be called; by default what the model
            file keeps, else a half. Or the rule by which it is chosen on the validation examples, of each label its
            own: `best-f1`, `youden` (the true positive rate less the false positive rate), or `cost=5:1` (what a missed
            positive and a false alarm cost).
        keep_threshold: write the threshold into the model file.
        overrides: `data.….path=…` where the data have moved.
        trust: run code that the model brings.
        place: which of several processes that share the batches this is.

    Returns:
        the report; None in a process other than rank 0.

    Raises:
        KerasrunError: if the run has no model yet, or the data cannot be used; if another process writes the run whose
            model file is to be changed.
    """
    run = run if isinstance(run, RunDirectory) else open_run(run)
    asked = thresholds.asked(threshold)
    if keep_threshold and asked is None:
        raise UsageError("--keep-threshold keeps what --threshold says or chooses; give both")
    if place.count > 1 and (keep_threshold or isinstance(asked, Rule)):
        raise UsageError("one process chooses or keeps a threshold; leave out --workers")
    # With the lock the file that is changed is the one that was measured.
    with lock(run) if keep_threshold else contextlib.nullcontext():
        report = measured(
            *(run, split, data), last=last, threshold=asked, overrides=overrides, trust=trust, place=place
        )
        if keep_threshold and report:
            _keep_threshold(model_of(run, last=last), report.chosen.threshold if report.chosen else asked)
            report = replace(report, kept=True)
    return report and _kept(run, report)


def _keep_threshold(path: Path, threshold: Any) -> None:
    info = replace(model_file.read_info(path), threshold=threshold)
    with atomic.replacing(path) as private:
        model_file.copy_with(info, path, private)


def measured(
    run: RunDirectory,
    split: str | None,
    data: str | Path | None,
    *,
    last: bool = False,
    threshold: float | Rule | None = None,
    overrides: Sequence[str] = (),
    trust: bool = False,
    place: Place = ONE_PROCESS,
    see: Callable[[Split, ModelInfo, "NDArray[np.float32]"], None] | None = None,
) -> EvaluationReport | None:
    """Evaluate as `evaluate`, and keep nothing.

    Args:
        see: gets the split, what the model file knows, and the outputs of every chunk, (examples, …), in order.
    """
    folder = None if data is None else Path(data)
    path = model_of(run, last=last)
    if folder is not None and split is not None:
        raise UsageError("--data and --split both say what to evaluate on; give one of them")
    info = model_file.read_info(path)
    check_threshold(info, threshold, path)
    recorded = read_recorded(run, overrides, trust=trust)
    rule, number = (threshold, None) if isinstance(threshold, Rule) else (None, threshold)
    opened = recorded.open_data() if folder is None or rule else None
    splits = opened.splits if opened else {}
    validation = chosen(splits, "validation") if rule else None
    examples = _outside(recorded.experiment, info, path, folder) if folder else chosen(splits, split)
    trained = recorded.open_model(path, trust=trust, place=place)
    if opened:
        recorded.compare(opened, info)
        _require_same_columns(opened.row_format, info.row_format)
    split_name = f"data-{folder.stem if folder.is_file() else folder.name}" if folder else examples.name
    found = _chosen(run, recorded.experiment, trained, validation, rule) if rule and validation else None
    decides = found.threshold if found else number
    report = report_on(run, recorded.experiment, trained, examples, split_name, decides, place, see)
    return replace(report, chosen=found) if report and found else report


def _chosen(
    run: RunDirectory, experiment: Experiment, trained: TrainedModel, split: Split, rule: Rule
) -> ChosenThreshold:
    """Choose the threshold of two classes, or of each label, by what the model says of the validation examples."""
    import numpy as np

    outputs: list[NDArray[np.float32]] = []
    report_on(run, experiment, trained, split, split.name, see=lambda _split, _info, chunk: outputs.append(chunk))
    info, labels = trained.info, split.label_array
    values = info.task.values(np.concatenate(outputs), info.outputs)
    threshold: Threshold
    if info.task.together:
        threshold = tuple(map(_chosen_or_half, info.classes, labels.T, values.T, repeat(rule)))
    else:
        threshold = thresholds.chosen(labels == 1, values[:, 1], rule)
    return ChosenThreshold(rule.name, split.name, len(split), threshold)


def _chosen_or_half(label: str, positive: "NDArray[Any]", values: "NDArray[np.float64]", rule: Rule) -> float:
    try:
        return thresholds.chosen(positive, values, rule)
    except DataError as error:
        logger.warning("the label %s stays at the threshold 0.5: %s", plain(label), error)
        return 0.5


def chosen(splits: Mapping[str, Split], name: str | None) -> Split:
    """Return the split of a name, by default the test split, else the one that validates.

    Raises:
        DataError: if there is none.
    """
    if name is None:
        name = next((candidate for candidate in ("test", "validation") if candidate in splits), None)
        if name is None:
            raise DataError(
                "the data has neither a test nor a validation split: evaluate with --split train, "
                "or on other data with --data FOLDER"
            )
    if name not in splits:
        raise DataError(f"the data has no split {name}, only {', '.join(splits)}")
    return splits[name]


def _require_same_columns(now: RowFormat | None, then: RowFormat | None) -> None:
    if now and then and then.columns and not now.reads_as(then):
        raise DataError(
            "the columns of the file for training are not what they were when the model was trained, so its categories "
            "and gaps would be read as others: evaluate a table with --data FILE, which reads it as the model does"
        )


def _outside(experiment: Experiment, info: ModelInfo, path: Path, folder: Path) -> Split:
    split = experiment.data.other(folder, info.image_format, info.row_format, info.classes)
    if split is not None:
        return split
    if info.image_format is None:
        raise DataError(f"{path} was not trained on images, so a folder of images cannot be read for it")
    if info.row_format is not None:
        raise DataError(f"{path} takes columns beside each image; expected a table that lists both, as for training")
    if not info.task.one_class:
        raise DataError(
            f"{path} was not trained on classes, but --data reads class folders; evaluate on a split of the "
            "experiment's data instead (-s data.….path=… if they have moved)"
        )
    return open_folder_with(info.image_format, info.classes, folder)


def report_on(
    run: RunDirectory,
    experiment: Experiment,
    trained: TrainedModel,
    split: Split,
    split_name: str,
    threshold: Threshold | None = None,
    place: Place = ONE_PROCESS,
    see: Callable[[Split, ModelInfo, "NDArray[np.float32]"], None] | None = None,
) -> EvaluationReport | None:
    """Return how an open model does on a split; arguments as for `measured`."""
    from kerasrun.engine.building import compile_model, model_targets
    from kerasrun.engine.evaluator import Evaluator
    from kerasrun.workers.team import Team

    info = trained.info
    with network_explained(trained.path):
        targets = model_targets(trained.model, experiment, len(info.classes), info.task)
        compile_model(trained.model, experiment, targets)
        scorer = info.task.scorer(split, info.question(threshold))
        team = Team(place, place.count, "CPU:0")

        def add(found: "NDArray[np.float32]") -> None:
            scorer.add(found)
            if see:
                see(split, info, found)

        with team.losses_explained():
            metrics = Evaluator(trained.model, split, targets, info.batch_size, team=team).evaluate(see=add)
    if metrics is None:
        return None  # rank 0 has them
    model, examples = f"{run}/{trained.path.name}", len(split)
    return EvaluationReport(str(run), model, info.epoch, split_name, examples, metrics, scorer.scores())


def _kept(run: RunDirectory, report: EvaluationReport) -> EvaluationReport:
    """Put the report and its pictures into the run; what was computed is shown even if they cannot be written."""
    file = run.evaluation(report.split)
    try:
        atomic.write_text(file, report.to_json() + "\n")
        pictures = tuple(f"{run}/{picture.relative_to(run.root)}" for picture in _pictures(run, report))
        kept = replace(report, pictures=pictures)
        atomic.write_text(file, kept.to_json() + "\n")
    except RunDirectoryError as error:
        logger.warning("the report is not kept in the run: %s", error)
        return report
    return kept


def _pictures(run: RunDirectory, report: EvaluationReport) -> Sequence[Path]:
    """Draw the pictures of the scores; one that fails is a warning, since the numbers are there."""
    from kerasrun.results.plots import save

    try:
        figures = report.scores.figures()
        for figure in figures.values():
            figure.suptitle(f"{run.name} on {report.split}: {report.examples:,} examples")
        return [
            save(figure, run.below(RunFile.PLOTS, f"{name}_{report.split}.png")) for name, figure in figures.items()
        ]
    except RunDirectoryError:
        raise
    except Exception as error:
        logger.warning("the pictures could not be drawn: %s: %s", type(error).__name__, error)
        logging.getLogger("kerasrun.bug").exception("the pictures could not be drawn")
        return ()
