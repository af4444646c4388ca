"""`evaluate`: loss and metrics of a run's model on a split, and what it takes each class for."""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kerasrun.errors import DataError, RunDirectoryError, UsageError
from kerasrun.experiment.load import parse
from kerasrun.experiment.schema import Experiment
from kerasrun.pipeline.selection import training_and_validation
from kerasrun.results.classification import ClassScore, class_scores, confusion_matrix
from kerasrun.results.model import TrainedModel, class_values, open_model
from kerasrun.results.text_table import text_table
from kerasrun.runs import atomic, recovery
from kerasrun.runs.directory import RunDirectory, open_run
from kerasrun.sources._contract import Split
from kerasrun.sources.directory import open_folder_with
from kerasrun.training.changes import check_changes
from kerasrun.training.kept_models import model_of

logger = logging.getLogger("kerasrun")


@dataclass(frozen=True)
class EvaluationReport:
    """What a model does on a split."""

    run: str
    model: str
    epoch: int
    split: str
    examples: int
    metrics: Mapping[str, float]
    """`loss` first, then the experiment's metrics."""
    accuracy: float
    classes: tuple[ClassScore, ...]
    confusion_matrix: NDArray[np.int64]
    """Rows are true classes, columns predicted ones."""
    picture: str | None
    """The path of the matrix as a picture; None where the run cannot be written."""

    def as_dict(self) -> dict[str, Any]:
        return {
            "run": self.run,
            "model": self.model,
            "epoch": self.epoch,
            "split": self.split,
            "examples": self.examples,
            "metrics": dict(self.metrics),
            "accuracy": self.accuracy,
            "classes": [score.as_dict() for score in self.classes],
            "confusion_matrix": self.confusion_matrix.tolist(),
            "picture": self.picture,
        }

    def to_json(self) -> str:
        return json.dumps(self.as_dict(), indent=2)

    def to_text(self) -> str:
        names = [score.name for score in self.classes]
        metrics = dict(self.metrics)
        metrics.setdefault("accuracy", self.accuracy)
        return "\n".join(
            [
                f"{self.model} (epoch {self.epoch}) on {self.split}: {self.examples} examples",
                ", ".join(f"{name} {value:.4f}" for name, value in metrics.items()),
                "",
                text_table(
                    ["class", "precision", "recall", "f1", "support"],
                    [[s.name, f"{s.precision:.4f}", f"{s.recall:.4f}", f"{s.f1:.4f}", s.support] for s in self.classes],
                ),
                "",
                "confusion matrix: rows are true classes, columns predicted ones",
                text_table(["", *names], [[n, *row] for n, row in zip(names, self.confusion_matrix, strict=True)]),
                *(["", f"picture: {self.picture}"] if self.picture else []),
            ]
        )


def evaluate(
    run: RunDirectory | str | Path,
    *,
    split: str | None = None,
    data: Path | None = None,
    last: bool = False,
    overrides: Sequence[str] = (),
    trust: bool = False,
) -> EvaluationReport:
    """Evaluate a run's model and keep the report in the run directory.

    Args:
        split: `train`, `validation` or `test`; by default `test` where there is one, else `validation`.
        data: a folder of class folders outside the experiment, instead of its data.
        last: take `last.keras`, not `best.keras`.
        overrides: `data.….path=…` where the data have moved.
        trust: run code that the model brings.

    Raises:
        KerasrunError: if the run has no model yet, or the data cannot be used.
    """
    run = run if isinstance(run, RunDirectory) else open_run(run)
    path = model_of(run, last=last)
    if data is not None and split is not None:
        raise UsageError("--data and --split both say what to evaluate on; give one of them")
    recorded = recovery.read(run)
    for note in recorded.notes:
        logger.warning("%s; kerasrun resume %s puts it back", note, run)
    experiment = parse(recorded.resolved, run.resolved_file, overrides).experiment
    if overrides:
        check_changes(parse(recorded.resolved, run.resolved_file).experiment, experiment)
    examples = None if data else _split(experiment, split, recorded.content["data_fingerprint"])
    threads = recorded.content["device"]["threads"]
    trained = open_model(path, experiment.device, threads, experiment.deterministic, trust=trust)
    if examples is None:
        examples = _outside(trained, Path(str(data)))
    return _report(run, experiment, trained, examples, split_name=f"data-{data.name}" if data else examples.name)


def _split(experiment: Experiment, name: str | None, fingerprint: str) -> Split:
    opened = experiment.data.open()
    if opened.fingerprint != fingerprint:
        logger.warning(
            "the data are not those of training: their fingerprint is %s, it was %s",
            *(opened.fingerprint[:12], fingerprint[:12]),
        )
    fit = experiment.fit
    train, validation = training_and_validation(
        opened.splits,
        validation_split=fit.validation_split,
        validation_data=fit.validation_data,
        seed=experiment.seed,
    )
    splits = {**opened.splits, "train": train} | ({"validation": validation} if validation else {})
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


def _outside(trained: TrainedModel, folder: Path) -> Split:
    if trained.info.image_format is None:
        raise DataError(f"{trained.path} was not trained on images, so a folder of images cannot be read for it")
    return open_folder_with(trained.info.image_format, trained.info.classes, folder)


def _report(
    run: RunDirectory, experiment: Experiment, trained: TrainedModel, split: Split, split_name: str
) -> EvaluationReport:
    from kerasrun.results.plots import plot_confusion_matrix
    from kerasrun.training.building import compile_model
    from kerasrun.training.evaluator import Evaluator
    from kerasrun.training.targets import targets_for

    classes = trained.info.classes
    targets = targets_for(trained.model, len(classes), experiment.compile.loss, trained.info.label_kind)
    compile_model(trained.model, experiment, targets)
    outputs: list[NDArray[np.float32]] = []
    metrics = Evaluator(trained.model, split, targets, trained.info.batch_size).evaluate(see=outputs.append)
    if metrics is None:
        raise AssertionError("nothing asked to stop")
    predicted = class_values(np.concatenate(outputs), trained.info.outputs).argmax(axis=1)
    labels = split.label_array
    confusions = confusion_matrix(labels, predicted, len(classes))
    picture = run.plots / f"confusion_{split_name}.png"
    report = EvaluationReport(
        run=str(run),
        model=f"{run}/{trained.path.name}",
        epoch=trained.info.epoch,
        split=split_name,
        examples=len(split),
        metrics=metrics,
        accuracy=float(np.mean(predicted == labels)),
        classes=class_scores(confusions, classes),
        confusion_matrix=confusions,
        picture=f"{run}/{picture.relative_to(run.root)}",
    )
    try:
        plot_confusion_matrix(confusions, classes, picture)
        atomic.write_json(run.evaluation(split_name), report.as_dict())
    except RunDirectoryError as error:
        logger.warning("the report is not kept in the run: %s", error)  # it was computed, and is shown all the same
        return replace(report, picture=None)
    return report
