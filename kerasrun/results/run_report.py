"""`report`: one page with all about a run. What cannot be had, such as data that are gone, is named on it."""

import itertools
import logging
import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray
from PIL import Image

from kerasrun.errors import CheckpointError, DataError, Interrupted, KerasrunError
from kerasrun.experiment.load import parse
from kerasrun.experiment.resolved import chosen_yaml
from kerasrun.experiment.units import duration
from kerasrun.model_file import ModelInfo, TrainedModel
from kerasrun.reading.data import Data, Split
from kerasrun.reading.inputs import within_limit
from kerasrun.report import pages
from kerasrun.report.confusions import Confused, confused
from kerasrun.report.figures import READABLE_CLASSES, heated, pixels
from kerasrun.report.mistakes import Judge, Judged, Mistakes
from kerasrun.report.predictions import Question
from kerasrun.report.scores import in_own_units, shown
from kerasrun.results.evaluation import EvaluationReport, chosen, report_on
from kerasrun.results.importance import REPEATS, permutation_importance
from kerasrun.results.intervals import intervals
from kerasrun.results.mistakes import seen
from kerasrun.results.network_drawing import network_drawing
from kerasrun.results.plots import curves, curves_together, first_metrics
from kerasrun.results.recorded import Recorded, read_recorded
from kerasrun.results.run_diff import diff
from kerasrun.results.split_pictures import class_counts
from kerasrun.run_files import RunFile
from kerasrun.runs import atomic, checkpoints, recovery
from kerasrun.runs.directory import RunDirectory, model_of, open_run
from kerasrun.runs.listing import RunSummary, summary_of
from kerasrun.runs.metrics import Table
from kerasrun.runs.records import RunRecord
from kerasrun.tasks.classes import ClassificationScores

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from kerasrun.results.explanations import Explanation

_MOST_EXPLAINED = 12
_MOST_REASONS = 3
"""How many columns of a row are named."""
_SECONDS_OF_EXPLAINING = 4
_MOST_SHUFFLED = 200_000
"""How many rows are predicted for what each column is worth."""
_FEWEST_ROWS = 50
"""Of fewer rows the worth of a column says nothing."""
_MOST_PAIRS = 10
_MOST_IN_MATRIX = 100
"""Of more classes, the pairs that are confused say more than a matrix."""
_ALTERNATIVES = {
    "confusion": "Matrix of true and predicted classes",
    "roc": "ROC curves: the true positive rate over the false positive rate",
    "precision_recall": "Curves of precision over recall",
    "calibration": "Reliability curve: the share that came true over the predicted probability",
    "predicted": "Predicted over true numbers",
    "residuals": "Residuals, predicted minus true, over predicted numbers",
    "overlays": "Examples with their true and their predicted masks",
    "arrays": "Examples with what was made of them",
}

Part = TypeVar("Part")


@dataclass
class _Parts:
    """What a report is made of; a part that cannot be had is a sentence instead."""

    missing: list[str] = field(default_factory=list)

    def get(self, what: str, make: Callable[[], Part]) -> Part | None:
        try:
            return make()
        except Interrupted:
            raise
        except KerasrunError as error:
            self.missing.append(f"{what}: {error}")
        except Exception as error:  # as of Matplotlib: the rest of the page is worth having
            self.missing.append(f"{what}: {type(error).__name__}: {error}")
            logging.getLogger("kerasrun.bug").exception("%s of a report", what)
        return None


@dataclass(frozen=True)
class _Measured:
    """How good a model is on a split."""

    report: EvaluationReport
    split: Split
    model: TrainedModel
    seed: int
    """The experiment's."""
    outputs: Sequence[NDArray[np.float32]]
    """Of every chunk, where they are kept: those of masks and arrays would fill the memory."""
    judge: Judge | None
    """Has seen them; None where nobody says which are the worst."""

    @property
    def info(self) -> ModelInfo:
        return self.model.info

    @property
    def question(self) -> Question:
        return self.info.question()


def write_report(
    run: RunDirectory | str | Path, *, split: str | None = None, overrides: Sequence[str] = (), trust: bool = False
) -> Path:
    """Write `report.html` into a run, and return its path.

    Args:
        split: `train`, `validation` or `test`; by default `test` where there is one, else `validation`.
        overrides: `data.….path=…` where the data have moved.
        trust: run code that the model brings.

    Raises:
        RunDirectoryError: if what the run records of itself cannot be read, or the page cannot be written.
        KerasrunError: if a split or an override is asked for that cannot be had.
    """
    run = run if isinstance(run, RunDirectory) else open_run(run)
    record, parts = recovery.read(run), _Parts()
    parts.missing += record.notes
    summary = summary_of(run)
    data, model, measured = _measure(run, parts, split, overrides, trust=trust)
    page = pages.rendered(
        "kerasrun.results",
        "report.html",
        run=run,
        summary=summary,
        facts=list(_facts(record.content, summary)),
        experiment=parts.get("The experiment", partial(_experiment, record.resolved, run)),
        counts=_counts(record.content, data),
        curves=parts.get("The curves", partial(_curves, run, summary, parts)),
        **(_of_model(parts, run, model) if model else {}),
        **(_of_scores(parts, measured) if measured else {}),
        missing=parts.missing,
        number=_number,
        percent=_percent,
        readable=READABLE_CLASSES,
    )
    atomic.write_text(run.report_file, page)
    return run.report_file


def _of_model(parts: _Parts, run: RunDirectory, model: TrainedModel) -> dict[str, Any]:
    return {
        "about": model.info.task.about(len(model.info.classes)),
        "network": parts.get("The network", partial(network_drawing, model.model)),
        "counted": model.info.task.counted,
        "usage": _usage(run, model.info),
    }


def _of_scores(parts: _Parts, measured: _Measured) -> dict[str, Any]:
    return {
        "measured": measured,
        "headline": _headline(measured.report),
        "intervals": parts.get("The intervals", partial(_intervals, measured)) or {},
        "tables": _tables(measured.report.scores.as_dict()),
        "pictures": parts.get("The pictures of the scores", partial(_pictures, measured)) or [],
        "mistakes": _explained(parts, measured, parts.get("The mistakes", partial(_mistakes, measured)) or []),
        "matrix": _matrix(measured),
        "importance": parts.get("What each column is worth", partial(_importance, measured)),
    }


def write_comparison(runs: Sequence[RunDirectory | str | Path]) -> Path:
    """Write `report.html` beside the first of several runs: what differs, what came of it, and their curves.

    Raises:
        UsageError: if there are not two different ones.
        RunDirectoryError: if what a run records cannot be read, or the page cannot be written.
    """
    found = [run if isinstance(run, RunDirectory) else open_run(run) for run in runs]
    tables = {run: rows for run in found if (rows := Table(run.metrics_file).rows())}
    metrics, others = first_metrics([row for rows in tables.values() for row in rows])
    page = pages.rendered(
        *("kerasrun.results", "runs.html"),
        compared=diff(*found),
        curves=[
            _drawn(partial(curves_together, tables, columns), f"Curves of {name} of {len(tables)} runs")
            for name, columns in metrics
        ],
        others=others,
        number=_number,
    )
    file = found[0].root.parent / RunFile.REPORT
    atomic.write_text(file, page)
    return file


def _measure(
    run: RunDirectory, parts: _Parts, split: str | None, overrides: Sequence[str], *, trust: bool
) -> tuple[Data | None, TrainedModel | None, _Measured | None]:
    """Return the data, the best model and how good it is, as far as they can be had."""
    if overrides:
        recorded: Recorded | None = read_recorded(run, overrides, trust=trust)  # a wrong one is the user's mistake
    else:
        recorded = parts.get("The data and the model", lambda: read_recorded(run, trust=trust))
    if recorded is None:
        return None, None, None
    data = parts.get("The data", recorded.open_data)
    examples = chosen(data.splits, split) if data and split is not None else None
    model = parts.get("The model", lambda: recorded.open_model(model_of(run), trust=trust))
    if data is None or model is None:
        return data, model, None

    def measure() -> _Measured:
        found, outputs = examples or chosen(data.splits, None), []
        judge = model.info.task.judge(found, model.info.question())
        recorded.compare(data, model.info)
        if data.fingerprint != recorded.fingerprint:
            parts.missing.append("The data as they were: these are not those of training")

        def see(_split: Split, _info: ModelInfo, chunk: NDArray[np.float32]) -> None:
            if chunk.ndim == 2:
                outputs.append(chunk)
            if judge:
                judge.add(chunk)

        report = report_on(run, recorded.experiment, model, found, found.name, see=see)
        assert report is not None, "there is one process"
        return _Measured(report, found, model, recorded.experiment.seed, outputs, judge)

    return data, model, parts.get("The scores", measure)


def _experiment(resolved: str, run: RunDirectory) -> list[str]:
    return chosen_yaml(parse(resolved, run.resolved_file, alone=True).experiment).splitlines()


def _facts(content: RunRecord, summary: RunSummary) -> Iterator[tuple[str, str]]:
    """Yield what a run was, in words, as far as it was recorded."""
    stopped = content["reason"] and summary.epochs_done != summary.epochs
    reason = f" ({content['reason']})" if stopped else ""
    yield "status", f"{summary.status}, {summary.epochs_done or 0} of {summary.epochs or '?'} epochs{reason}"
    if summary.best_epoch:
        yield "best epoch", f"{summary.best_epoch}, {summary.best_name} {_number(summary.best_value)}"
    yield "began", datetime.fromisoformat(content["started"]).astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
    if summary.seconds is not None:
        resumes = content.get("resumes", 0)
        often = f"resumed {resumes} {'time' if resumes == 1 else 'times'}" if resumes else "never resumed"
        yield "trained for", f"{duration(summary.seconds)}, {often}"
    if "seed" in content:
        yield "seed", str(content["seed"])
    if "device" in content:
        device = content["device"]
        yield "device", ", ".join(device["models"] or device["names"]) or device["kind"]
    yield "processor", str(content.get("processor", {}).get("model") or "not recorded")
    yield "system", content.get("platform", "not recorded")
    versions = {name: version for name, version in content.get("versions", {}).items() if version}
    yield "versions", ", ".join(f"{name} {version}" for name, version in versions.items())
    if git := content.get("git"):
        yield "git", f"{str(git.get('commit'))[:12]}{', with changes' if git.get('dirty') else ''}"
    if content.get("data_fingerprint"):
        yield "data", f"sha256 {str(content['data_fingerprint'])[:12]}…"
    yield "command", content.get("command", "not recorded")


def _counts(content: RunRecord, data: Data | None) -> tuple[list[str], list[tuple[str, list[int]]]]:
    """Return the names of the splits, and how many examples each has: of each class, and in all."""
    if data is None:
        known = content.get("examples")
        of_splits = {"train": known["train"], "validation": known["validation"]} if known else {}
        return list(of_splits), [("all", list(of_splits.values()))] if known else []
    splits, rows = class_counts(data)
    return [split.name for split in splits], [*rows, ("all", [len(split) for split in splits])]


def _curves(run: RunDirectory, summary: RunSummary, parts: _Parts) -> list[Markup]:
    """Draw each metric over the epochs, training and validation together."""
    rows = Table(run.metrics_file).rows()
    ends = [end for end in _stage_ends(run) if end < len(rows)]
    metrics, others = first_metrics(rows)
    if others:
        parts.missing.append(f"The curves of {others:,} more metrics of {run.metrics_file.name}")
    return [
        _drawn(
            partial(curves, run.metrics_file, rows, columns, best=summary.best_epoch, stage_ends=ends),
            f"Curve of {name} over {len(rows)} epochs",
        )
        for name, columns in metrics
    ]


def _drawn(make: Callable[[], "Figure"], alternative: str) -> Markup:
    with pages.style():
        figure = make()
    return pages.drawing(figure, alternative)


def _stage_ends(run: RunDirectory) -> Sequence[int]:
    try:
        return checkpoints.newest(run).progress["stage_ends"]
    except CheckpointError:  # which were removed: nothing else needs them any more
        return ()


def _headline(report: EvaluationReport) -> dict[str, float | None]:
    """Return loss, metrics and what else suits the labels, by name."""
    return {
        **report.metrics,
        **{name: value for name, value in report.scores.headline.items() if name not in report.metrics},
    }


def _intervals(measured: _Measured) -> dict[str, tuple[float, float]]:
    if not measured.outputs or not isinstance(measured.split.labels, np.ndarray):
        return {}
    return intervals(measured.info.task, measured.split.labels, np.concatenate(measured.outputs), measured.question)


def _tables(scores: Mapping[str, Any], of: str = "") -> dict[str, list[dict[str, Any]]]:
    """Return the lists of scores, such as those of each class, by what they are of."""
    found: dict[str, list[dict[str, Any]]] = {}
    for name, value in scores.items():
        title = f"{of} {name}".strip()
        if isinstance(value, Mapping):
            found |= _tables(value, "" if name == "outputs" else title)
        elif isinstance(value, list) and value and isinstance(value[0], Mapping):
            found[title] = value
    return found


def _pictures(measured: _Measured) -> list[Markup]:
    with pages.style():
        made = dict(measured.report.scores.figures())
    if not READABLE_CLASSES < len(measured.info.classes) <= _MOST_IN_MATRIX:
        made.pop("confusion", None)  # the page has a table, or the pairs alone
    made.pop("overlays", None)  # it has larger ones
    where = f"on {measured.report.split}"
    return [pages.drawing(figure, f"{_ALTERNATIVES.get(name, name)} {where}") for name, figure in made.items()]


def _mistakes(measured: _Measured) -> list[Mistakes]:
    """Return what the model gets wrong, of each output."""
    found = measured.judge.mistakes() if measured.judge else []
    return [seen(one, measured.split, measured.info.row_format) for one in found]


def _matrix(measured: _Measured) -> tuple[NDArray[np.int64], list[Confused]] | None:
    """Return how often each class is called what, and the pairs that are confused most often."""
    scores = measured.report.scores
    if not isinstance(scores, ClassificationScores):
        return None
    return scores.confusion_matrix, confused(scores.confusion_matrix, measured.info.classes, _MOST_PAIRS)


def _explained(parts: _Parts, measured: _Measured, mistakes: Sequence[Mistakes]) -> list[Mistakes]:
    """Add to the first mistakes of each output why the model says so, as many as there is time for."""
    if measured.info.task.per_pixel:
        return list(mistakes)  # a mask shows itself what the model sees where
    first = [one.worst[: _MOST_EXPLAINED // len(mistakes)] for one in mistakes]
    flat = list(itertools.chain.from_iterable(first))
    explained = parts.get("Why the model says so", partial(_with_reasons, measured, flat)) if flat else None
    if explained is None:
        return list(mistakes)
    if len(explained) < len(flat):
        parts.missing.append(
            f"Why the model says so, of {len(flat) - len(explained)} of the {len(flat)} worst mistakes: it takes too "
            "long here; kerasrun predict EXAMPLE --explain FOLDER takes its time"
        )
    all_first = iter([*explained, *flat[len(explained) :]])
    return [
        replace(one, worst=[*itertools.islice(all_first, len(few)), *one.worst[len(few) :]])
        for one, few in zip(mistakes, first, strict=True)
    ]


def _with_reasons(measured: _Measured, mistakes: Sequence[Judged]) -> list[Judged]:
    from kerasrun.results.explanations import Explainer

    begin, found = time.monotonic(), []
    explainer = Explainer(measured.model)
    for one in mistakes:
        if time.monotonic() - begin > _SECONDS_OF_EXPLAINING:
            break
        where, split = np.array([one.place]), measured.split
        inputs = [each.take(where) for each in (split.inputs, *split.others.values())]
        explanation = explainer.explain(inputs, one.said, check=False)
        found.append(replace(one, why=_reason(explanation, inputs[0][0])))
    return found


def _reason(explanation: "Explanation", example: NDArray[Any]) -> str:
    if not explanation.names:
        return pages.address_of(Image.fromarray(heated(pixels(example), explanation.relevance)), pages.SIDE)
    first = np.argsort(-np.abs(explanation.relevance), kind="stable")[:_MOST_REASONS]
    return ", ".join(f"{explanation.names[place]} {_signed(explanation.relevance[place])}" for place in first)


def _signed(value: float) -> str:
    return f"{value:+.2g}" if abs(value) < 100 else f"{value:+,.0f}"


def _importance(measured: _Measured) -> dict[str, Any] | None:
    """Return what each column of a table is worth to the first score, the most first."""
    split, info, headline = measured.split, measured.info, measured.report.scores.headline
    if info.row_format is None or info.image_format or info.parts or not isinstance(split.labels, np.ndarray):
        return None
    from kerasrun.results.explanations import computed

    names = info.row_format.features
    rows = within_limit(split.labels, _MOST_SHUFFLED // (REPEATS * len(names)))
    if len(rows) < min(_FEWEST_ROWS, len(split)):
        raise DataError(f"there are {len(names)} columns, too many to shuffle one by one")
    name = "r2" if "r2" in headline else next(iter(headline))
    labels, compute = split.labels[rows], computed(measured.model.model)

    def score(shuffled: NDArray[np.float32]) -> float:
        value = info.task.scores(labels, compute(shuffled), measured.question).headline[name]
        return np.nan if value is None else value

    widths = [one.width for one in info.row_format.columns] or [1] * len(names)
    columns = [slice(begin, end) for begin, end in itertools.pairwise(np.cumsum([0, *widths]).tolist())]
    found = permutation_importance(score, split.inputs.take(rows), columns, measured.seed)
    order = np.argsort(-found.mean(axis=1), kind="stable")[:READABLE_CLASSES]
    worth = [(names[place], float(found[place].mean()), float(found[place].std())) for place in order]
    return {"score": name, "worth": worth, "columns": len(names), "examples": len(rows), "repeats": REPEATS}


def _usage(run: RunDirectory, info: ModelInfo) -> dict[str, Any]:
    """Return how to use the model: commands with what they do, and a program."""
    example = "rows.csv" if info.row_format else "photo.jpg" if info.image_format else "examples.npy"
    model, name = f"{run}/{run.best_model.name}", run.quoted
    return {
        "commands": [
            (f"kerasrun predict {example} --model {shlex.quote(model)}", "what the model says of new examples"),
            (f"kerasrun evaluate {name}", "these scores again"),
            (f"kerasrun export {name} --format onnx", "the model for other programs"),
        ],
        "program": [
            "import kerasrun",
            "",
            f"for prediction in kerasrun.predict([{example!r}], model={model!r}):",
            "    print(prediction.as_dict())",
        ],
    }


def _number(value: Any) -> str:
    """Return a value of a table."""
    if isinstance(value, float):
        return shown(value) if abs(value) < 100 else in_own_units(value)
    return "–" if value is None else f"{value:,}" if isinstance(value, int) else str(value)


def _percent(share: float) -> str:
    return f"{share:.1%}" if 0 < share < 0.0995 or 0.9 < share < 1 else f"{share:.0%}"
