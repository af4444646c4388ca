"""`predict`: what a model says of examples that nobody has labelled, from the model file alone."""

from collections.abc import Sequence
from pathlib import Path

from kerasrun import model_file
from kerasrun.errors import ModelFileError, UsageError
from kerasrun.model_file import TrainedModel
from kerasrun.results.examples import Examples, read_examples
from kerasrun.results.model import open_model, pixel_classes
from kerasrun.results.predictions.base import Prediction
from kerasrun.results.predictions.classes import class_predictions
from kerasrun.results.predictions.masks import MaskSize, mask_files, mask_prediction
from kerasrun.results.predictions.multi_label import multi_label_predictions
from kerasrun.results.predictions.numbers import numbers_predictions
from kerasrun.results.predictions.outputs import outputs_predictions
from kerasrun.results.threshold import check_threshold

MASKS = Path("predictions")
"""Where masks go by default."""


def predict(
    examples: Sequence[str | Path],
    *,
    model: Path,
    top: int | None = None,
    every: bool = False,
    threshold: float | None = None,
    masks: Path | None = None,
    mask_size: MaskSize = "original",
    trust: bool = False,
    plugins: Sequence[Path] = (),
) -> list[Prediction]:
    """Predict examples.

    They are read, and batches are padded, exactly as when the model was evaluated: on the same device, with as many
    threads and the same environment variables, the outputs are the same bits.

    Args:
        examples: image files, folders (read with everything below) or globs; text files of rows; or `.npy` files.
        model: a `.keras` file that kerasrun wrote.
        top: how many classes to name for each example, where one class holds; by default one.
        every: name all of them, or the probability of every label.
        threshold: how probable the second of two classes, or a label, must be to be called; by default a half.
        masks: the folder for the files of masks; by default `predictions`.
        mask_size: `original` brings a mask to the size of its image, `input` leaves it as the network made it.
        trust: run code that the model brings.
        plugins: those that the model needs; a model in a run directory finds its own.

    Returns:
        for each example a prediction of the model's kind: a class of `kerasrun.results.predictions`.

    Raises:
        KerasrunError: if an example or the model cannot be read, or an option does not suit the model.
    """
    info = model_file.read_info(model)
    if top is not None and every:
        raise UsageError("--top and --all both say how many classes to name; give one of them")
    if info.label_kind != "classes" and top is not None:
        raise ModelFileError(f"{model} does not choose one of several classes, so there is no --top; leave it out")
    if info.label_kind != "masks" and masks is not None:
        raise ModelFileError(f"{model} does not make masks, so there is nothing for --masks; leave it out")
    check_threshold(info, threshold, model)
    found = read_examples(examples, info, model)
    if info.label_kind == "masks":
        files = mask_files(masks or MASKS, found.paths, found.images)
        trained = open_model(model, deterministic=info.deterministic, plugin_files=plugins, trust=trust)
        return _masks(trained, found, files, threshold, mask_size)
    trained = open_model(model, deterministic=info.deterministic, plugin_files=plugins, trust=trust)
    return _rows(trained, found, len(info.classes) if every else top or 1, every=every, threshold=threshold)


def _rows(
    trained: TrainedModel, found: Examples, top: int, *, every: bool, threshold: float | None
) -> list[Prediction]:
    """Predictions of outputs that are few numbers for each example."""
    from kerasrun.engine.evaluator import Predictor
    from kerasrun.pipeline.batches import padded_batches

    info = trained.info
    batches = padded_batches(found.inputs, batch_size=info.batch_size)
    outputs = Predictor(trained.model, info.batch_size).predict(batches, len(found.paths))
    if info.parts:
        return outputs_predictions(found.paths, outputs, info, every=every)
    if info.label_kind == "numbers":
        return numbers_predictions(found.paths, outputs, info)
    if info.label_kind == "multi_label":
        return multi_label_predictions(found.paths, outputs, info, threshold, every=every)
    return class_predictions(found.paths, outputs, info, top, threshold)


def _masks(
    trained: TrainedModel, found: Examples, files: Sequence[Path], threshold: float | None, size: MaskSize
) -> list[Prediction]:
    """Masks are written as they come: those of many images would not fit into memory."""
    from kerasrun.engine.evaluator import Predictor
    from kerasrun.pipeline.batches import padded_batches

    info = trained.info
    batches = padded_batches(found.inputs, batch_size=info.batch_size)
    predictions: list[Prediction] = []
    for outputs, _ in Predictor(trained.model, info.batch_size).chunks_of(batches, len(found.paths)):
        for numbers in pixel_classes(outputs, info.outputs, threshold):
            place = len(predictions)
            original = found.sizes[place] if size == "original" and found.sizes else None
            predictions.append(mask_prediction(found.paths[place], numbers, info, files[place], original))
    return predictions
