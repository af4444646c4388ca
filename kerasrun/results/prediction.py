"""`predict`: classes and probabilities for image files, from a model file alone."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kerasrun.errors import ModelFileError
from kerasrun.results.model import class_values, open_model
from kerasrun.results.text_table import text_table
from kerasrun.sources._files import image_files
from kerasrun.sources._inputs import scan_images


@dataclass(frozen=True)
class Prediction:
    """What the model takes an image for."""

    path: str
    top: tuple[tuple[str, float], ...]
    """The most probable classes with their probabilities, best first."""
    value: str = "probability"
    """`score` where the loss (hinge) makes no probabilities."""

    def as_dict(self) -> dict[str, Any]:
        name, number = self.top[0]
        return {
            "path": self.path,
            "class": name,
            self.value: number,
            "top": [{"class": name, self.value: number} for name, number in self.top],
        }


def predict(images: Sequence[str | Path], *, model: Path, top: int = 1, trust: bool = False) -> list[Prediction]:
    """Predict the classes of image files.

    Images are read, and batches are padded, exactly as when the model was evaluated: on the same device, with as many
    threads, the outputs are the same bits.

    Args:
        images: files, folders (read with everything below) or globs.
        model: a `.keras` file that kerasrun wrote.
        top: how many classes to name for each image.
        trust: run code that the model brings.

    Raises:
        KerasrunError: if an image or the model cannot be read.
    """
    from kerasrun import model_file

    files = image_files(images)
    info = model_file.read_info(model)
    if info.image_format is None:
        raise ModelFileError(f"{model} was not trained on images, so it cannot predict image files")
    scan = scan_images(files, info.image_format, resize=True)
    scan.require_all_readable("Name other files.")
    inputs = scan.inputs(range(len(files)))
    trained = open_model(model, deterministic=info.deterministic, trust=trust)
    from kerasrun.pipeline.batches import padded_batches
    from kerasrun.training.evaluator import Predictor

    batch_size = trained.info.batch_size
    outputs = Predictor(trained.model, batch_size).predict(padded_batches(inputs, batch_size=batch_size), len(files))
    values = class_values(outputs, trained.info.outputs)
    ranked = (-values).argsort(axis=1, kind="stable")[:, :top]
    value = "score" if trained.info.outputs == "scores" else "probability"
    return [
        Prediction(str(path), tuple((trained.info.classes[i], float(row[i])) for i in order), value)
        for path, row, order in zip(files, values, ranked, strict=True)
    ]


def to_text(predictions: Sequence[Prediction]) -> str:
    """A line for each image."""
    return text_table(
        ["image", "class", _value(predictions)],
        [[p.path, ", ".join(n for n, _ in p.top), ", ".join(f"{v:.4f}" for _, v in p.top)] for p in predictions],
    )


def to_json(predictions: Sequence[Prediction]) -> str:
    """One list of objects: `path`, `class`, `probability`, `top`."""
    return json.dumps([prediction.as_dict() for prediction in predictions], indent=2)


def to_csv(predictions: Sequence[Prediction]) -> str:
    """`path,class,probability`, then `class_2,probability_2` and so on for more than one class."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    count, value = len(predictions[0].top) if predictions else 1, _value(predictions)
    more = [f"{column}_{place}" for place in range(2, count + 1) for column in ("class", value)]
    writer.writerow(["path", "class", value, *more])
    writer.writerows([p.path, *(cell for pair in p.top for cell in pair)] for p in predictions)
    return text.getvalue().rstrip("\n")


def _value(predictions: Sequence[Prediction]) -> str:
    return predictions[0].value if predictions else "probability"
