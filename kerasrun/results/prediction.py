"""`predict`: what a model says of examples that nobody has labelled, from the model file alone."""

import collections
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from kerasrun import model_file
from kerasrun.engine.errors import network_explained
from kerasrun.errors import ModelFileError, UsageError
from kerasrun.model_file import ModelInfo
from kerasrun.report.predictions import Prediction, Question, Unreadable
from kerasrun.results.examples import Examples, read_examples
from kerasrun.results.model import check_threshold, open_model
from kerasrun.runs import atomic
from kerasrun.workers.cluster import ONE_PROCESS, Place

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
        trust: run code that the model brings.
        plugins: those that the model needs; a model in a run directory finds its own.
        place: which of several processes that share the batches this is; rank 0 alone returns predictions.

    Returns:
        for each example a prediction of the model's task; an `Unreadable` for an image file that cannot be read, where
        others can.

    Raises:
        KerasrunError: if an example or the model cannot be read, or an option does not suit the model.
    """
    plugin_files = [Path(file) for file in ([plugins] if isinstance(plugins, str | Path) else plugins)]
    asked = ask(examples, Path(model), top, every=every, threshold=threshold, masks=masks, mask_size=mask_size)
    chunks = outputs(asked, plugin_files, trust=trust, place=place)
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


def outputs(
    asked: Asked, plugin_files: Sequence[Path] = (), *, trust: bool, place: Place = ONE_PROCESS
) -> Iterator[NDArray[np.float32]]:
    """Yield what the model computes of chunk after chunk of the examples, (examples, …)."""
    model, info, found = asked.model, asked.info, asked.found
    trained = open_model(model, deterministic=info.deterministic, plugin_files=plugin_files, trust=trust, place=place)
    from kerasrun.engine.evaluator import Predictor
    from kerasrun.workers.team import Team

    team = Team(place, place.count, "CPU:0")
    with network_explained(model), team.losses_explained():
        predictor = Predictor(trained.model, info.batch_size, team)
        batches = predictor.batches(found.inputs, tuple(found.others.values()))
        yield from (outputs for outputs, *_ in predictor.chunks_of(batches, len(found.paths)))


def answers(asked: Asked, chunks: Iterable[NDArray[np.float32]]) -> list[Prediction]:
    """Return the predictions that outputs stand for, and in their places the examples that cannot be read."""
    predictions = asked.info.task.predictions(chunks, asked.question)
    for number, error in sorted(asked.found.unreadable.items()):
        predictions.insert(number, Unreadable(str(error.path), error.reason))
    return predictions


def save_picture(picture: Any, file: Path) -> None:
    """Write a picture of Pillow, with the folders that it needs."""
    with atomic.explained(file.parent):
        file.parent.mkdir(parents=True, exist_ok=True)
    with atomic.replacing(file) as private:
        picture.save(private)
