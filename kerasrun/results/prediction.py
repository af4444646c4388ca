"""`predict`: what a model says of examples that nobody has labelled, from the model file alone."""

import collections
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from kerasrun import model_file
from kerasrun.engine.errors import network_explained
from kerasrun.errors import ModelFileError, UsageError
from kerasrun.report.predictions import Prediction, Question, Unreadable
from kerasrun.results.examples import read_examples
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
        threshold: how probable the second of two classes, or a label, must be to be called; by default a half.
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
    model = Path(model)
    examples = [examples] if isinstance(examples, str | Path) else examples
    plugin_files = [Path(file) for file in ([plugins] if isinstance(plugins, str | Path) else plugins)]
    info = model_file.read_info(model)
    if top is not None and every:
        raise UsageError("--top and --all both say how many classes to name; give one of them")
    if not info.task.one_class and top is not None:
        raise ModelFileError(f"{model} does not choose one of several classes, so there is no --top; leave it out")
    if not info.task.writes and masks is not None:
        raise ModelFileError(f"{model} does not make masks or images, so there is nothing for --masks; leave it out")
    check_threshold(info, threshold, model)
    found = read_examples(examples, info, model)
    question = Question(
        info.classes,
        info.outputs,
        threshold,
        found.paths,
        top=len(info.classes) if every else top or 1,
        every=every,
        files=info.task.files(Path(masks or MASKS), found.paths, found.images),
        sizes=found.sizes if mask_size == "original" else (),
        image_format=info.image_format,
        inputs=found.inputs,
        save=save_picture,
    )
    trained = open_model(model, deterministic=info.deterministic, plugin_files=plugin_files, trust=trust, place=place)
    from kerasrun.engine.evaluator import Predictor
    from kerasrun.workers.team import Team

    team = Team(place, place.count, "CPU:0")
    with network_explained(model), team.losses_explained():
        predictor = Predictor(trained.model, info.batch_size, team)
        batches = predictor.batches(found.inputs, tuple(found.others.values()))
        outputs = (outputs for outputs, *_ in predictor.chunks_of(batches, len(found.paths)))
        if not team.leads:
            collections.deque(outputs, maxlen=0)
            return []
        predictions = info.task.predictions(outputs, question)
    for number, error in sorted(found.unreadable.items()):
        predictions.insert(number, Unreadable(str(error.path), error.reason))
    return predictions


def save_picture(picture: Any, file: Path) -> None:
    """Write a picture of Pillow, with the folders that it needs."""
    with atomic.explained(file.parent):
        file.parent.mkdir(parents=True, exist_ok=True)
    with atomic.replacing(file) as private:
        picture.save(private)
