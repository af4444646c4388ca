"""`predict`: what a model says of examples that nobody has labelled, from the model file alone."""

import collections
import itertools
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from kerasrun import model_file
from kerasrun.engine.errors import network_explained
from kerasrun.errors import MORE_MEMORY, ModelFileError, UsageError, within_memory
from kerasrun.model_file import ModelInfo, TrainedModel
from kerasrun.report.predictions import Beside, Prediction, Question, Unreadable
from kerasrun.report.scores import in_own_units
from kerasrun.results.examples import Examples, read_examples
from kerasrun.results.model import check_asked, check_explainable, check_threshold, open_model
from kerasrun.results.plots import save
from kerasrun.runs import atomic
from kerasrun.tasks._files import files_below
from kerasrun.tasks.classes import ClassPrediction
from kerasrun.tasks.multi_label import MultiLabelPrediction
from kerasrun.tasks.numbers import NumbersPrediction
from kerasrun.tasks.several_outputs import OutputAnswer, OutputsPrediction
from kerasrun.workers.cluster import ONE_PROCESS, Place

logger = logging.getLogger("kerasrun")

MASKS = Path("predictions")
"""Where masks go by default."""
MaskSize = Literal["original", "input"]


def predict(
    examples: str | Path | Sequence[str | Path],
    *,
    model: str | Path,
    top: int | None = None,
    every: bool = False,
    threshold: float | None = None,
    masks: str | Path | None = None,
    mask_size: MaskSize = "original",
    explain: str | Path | None = None,
    trust: bool = False,
    plugins: str | Path | Sequence[str | Path] = (),
    place: Place = ONE_PROCESS,
) -> list[Prediction]:
    """Predict examples.

    They are read, and batches are padded, exactly as when the model was evaluated: on the same device, with as many
    threads and the same environment variables, the outputs are the same bits.

    Args:
        examples: one or several: image files, folders (read with everything below), globs, or tables that list images
            (`.csv`, `.txt`, …); text files of rows; or `.npy` files.
        model: a `.keras` file that kerasrun wrote.
        top: how many classes to name for each example, where one class holds; by default one.
        every: name all of them, or the probability of every label.
        threshold: how probable the second of two classes, or a label, must be to be called; by default what the model
            file keeps, else a half.
        masks: the folder for the files of masks, or of images; by default `predictions`.
        mask_size: `original` brings one to the size of its image, `input` leaves it as the network made it.
        explain: the folder for a picture of each example that shows why the model says so.
        trust: run code that the model brings.
        plugins: those that the model needs; a model in a run directory finds its own.
        place: which of several processes that share the batches this is; rank 0 alone returns predictions.

    Returns:
        for each example a prediction of the model's task, with `explain` as the `answer` of one that names its picture;
        an `Unreadable` for an image file that cannot be read, where others can.

    Raises:
        KerasrunError: if an example or the model cannot be read, or an option does not suit the model.
    """
    plugin_files = [Path(file) for file in ([plugins] if isinstance(plugins, str | Path) else plugins)]
    asked = ask(examples, Path(model), top, every=every, threshold=threshold, masks=masks, mask_size=mask_size)
    files = [] if explain is None else _explanations(asked, Path(explain), place)
    trained = opened(asked, plugin_files, trust=trust, place=place)
    if files:
        return _explained(asked, trained, files)
    chunks = outputs(asked, trained, place)
    if not place.leads:
        collections.deque(chunks, maxlen=0)
        return []
    return answers(asked, chunks)


@dataclass(frozen=True)
class Asked:
    """Examples that were read as a model wants them, with what is asked of its outputs."""

    model: Path
    info: ModelInfo
    found: Examples
    question: Question


def ask(
    examples: str | Path | Sequence[str | Path],
    model: Path,
    top: int | None,
    *,
    every: bool,
    threshold: float | None,
    masks: str | Path | None,
    mask_size: MaskSize,
) -> Asked:
    """Read examples for a model; arguments and errors as for `predict`."""
    examples = [examples] if isinstance(examples, str | Path) else examples
    check_asked(examples, top)
    info = model_file.read_info(model)
    if top is not None and every:
        raise UsageError("--top and --all both say how many classes to name; give one of them")
    if not info.task.one_class and top is not None:
        raise ModelFileError(f"{model} does not choose one of several classes, so there is no --top; leave it out")
    if not info.task.writes and masks is not None:
        raise ModelFileError(f"{model} does not make masks or images, so there is nothing for --masks; leave it out")
    check_threshold(info, threshold, model)
    found = read_examples(examples, info, model)
    question = info.question(
        threshold,
        paths=found.paths,
        top=len(info.classes) if every else top or 1,
        every=every,
        files=info.task.files(Path(masks or MASKS), found.paths, found.images),
        sizes=found.sizes if mask_size == "original" else (),
        image_format=info.image_format,
        inputs=found.inputs,
        save=save_picture,
    )
    return Asked(model, info, found, question)


def opened(asked: Asked, plugin_files: Sequence[Path] = (), *, trust: bool, place: Place = ONE_PROCESS) -> TrainedModel:
    """Load the model that is asked."""
    deterministic = asked.info.deterministic
    return open_model(asked.model, deterministic=deterministic, plugin_files=plugin_files, trust=trust, place=place)


def outputs(asked: Asked, trained: TrainedModel, place: Place = ONE_PROCESS) -> Iterator[NDArray[np.float32]]:
    """Yield what the model computes of chunk after chunk of the examples, (examples, …)."""
    info, found = asked.info, asked.found
    from kerasrun.engine.evaluator import Predictor
    from kerasrun.workers.team import Team

    team = Team(place, place.count, "CPU:0")
    with network_explained(asked.model), team.losses_explained():
        predictor = Predictor(trained.model, info.batch_size, team)
        batches = predictor.batches(found.inputs, tuple(found.others.values()))
        yield from (outputs for outputs, *_ in predictor.chunks_of(batches, len(found.paths)))


def answers(
    asked: Asked,
    chunks: Iterable[NDArray[np.float32]],
    completed: Callable[[list[Prediction]], list[Prediction]] = list,
) -> list[Prediction]:
    """Return the predictions that outputs stand for, and in their places the examples that cannot be read.

    Args:
        completed: what becomes of the predictions.
    """
    predictions = completed(asked.info.task.predictions(chunks, asked.question))
    for number, error in sorted(asked.found.unreadable.items()):
        predictions.insert(number, Unreadable(str(error.path), error.reason))
    return predictions


def _explanations(asked: Asked, folder: Path, place: Place) -> Sequence[Path]:
    """Return the file for the explanation of each example, as `files_below` names them.

    Raises:
        KerasrunError: if there can be none.
    """
    if place.count > 1:
        raise UsageError("--explain takes one process: leave out --workers")
    check_explainable(asked.info, asked.model)
    return files_below(folder, asked.found.paths, asked.found.images, "explanation", ".png", "--explain")


def _explained(asked: Asked, trained: TrainedModel, files: Sequence[Path]) -> list[Prediction]:
    """Return predictions that name the pictures which show why, and write these."""
    from kerasrun.results.explanations import Explainer, drawn

    with network_explained(asked.model):
        explainer = Explainer(trained)  # before anything is computed that it might refuse

    def completed(predictions: list[Prediction]) -> list[Prediction]:
        found: list[Prediction] = []
        for place, (prediction, file) in enumerate(zip(predictions, files, strict=True)):
            inputs = [one.take(np.array([place])) for one in (asked.found.inputs, *asked.found.others.values())]
            with network_explained(asked.model), within_memory(f"explaining {prediction.path}", MORE_MEMORY):
                explained = [
                    (output, explainer.explain(inputs, number), said)
                    for output, number, said in _said(prediction, asked.info.classes)
                ]
            _make_folder(file.parent)
            save(drawn([(one, said) for _, one, said in explained], inputs[0][0]), file)
            agreements = {
                f"agreement{output}": one.agreement for output, one, _ in explained if one.agreement is not None
            }
            found.append(Beside(prediction.path, prediction, {**agreements, "explanation": str(file)}))
        logger.info("explained by %s", explainer.how)
        return found

    return answers(asked, outputs(asked, trained), completed)


def _said(prediction: Prediction, names: Sequence[str]) -> list[tuple[str, int, str]]:
    """Return what a prediction says first of all, of each output: `.output`, its number, and it in words."""
    match prediction:
        case ClassPrediction(top=((name, number), *_), value=what):
            return [("", names.index(name), f"called {name}, {what} {number:.4f}")]
        case MultiLabelPrediction(values=values, value=what):
            place = _largest(values)
            return [("", place, f"{values[place][0]}, {what} {values[place][1]:.4f}")]
        case NumbersPrediction(values=((name, number), *_)):
            return [("", 0, f"{name} {in_own_units(number)}")]
        case OutputsPrediction(outputs=outputs):
            widths = [0, *(one.part.columns for one in outputs)]
            begins = itertools.accumulate(widths)
            return [_said_by(one, begin) for one, begin in zip(outputs, begins, strict=False)]
    raise TypeError(f"a {type(prediction).__name__} says nothing that is explained")


def _said_by(answer: OutputAnswer, begin: int) -> tuple[str, int, str]:
    place = 0 if answer.part.outputs == "values" else _largest(answer.values)
    name, number = answer.values[place]
    return f".{answer.part.name}", begin + place, f"{answer.part.name}: {name} {in_own_units(number)}"


def _largest(values: Sequence[tuple[str, float]]) -> int:
    return max(range(len(values)), key=lambda place: values[place][1])


def save_picture(picture: Any, file: Path) -> None:
    """Write a picture of Pillow, with the folders that it needs."""
    _make_folder(file.parent)
    with atomic.replacing(file) as private:
        picture.save(private)


def _make_folder(folder: Path) -> None:
    with atomic.explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
