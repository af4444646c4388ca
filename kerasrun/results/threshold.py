"""Whether a threshold suits a model; known before it is loaded."""

from pathlib import Path

from kerasrun.errors import ModelFileError, UsageError
from kerasrun.model_file import ModelInfo


def check_threshold(info: ModelInfo, threshold: float | None, path: Path) -> None:
    """Refuse a threshold for a model whose answer is not a yes or a no.

    Raises:
        UsageError: if it is no probability.
        ModelFileError: if the model compares several classes, or makes no probabilities.
    """
    if threshold is None:
        return
    if not 0 <= threshold <= 1:
        raise UsageError(f"--threshold {threshold:g} is no probability: expected a number from 0 to 1")
    without = f"{path} %s, so there is nothing for --threshold to decide; leave it out"
    if info.parts:
        raise ModelFileError(without % "has several outputs")
    if info.label_kind == "numbers":
        raise ModelFileError(without % "predicts numbers")
    if info.label_kind != "multi_label" and len(info.classes) != 2:
        raise ModelFileError(without % f"takes the largest of {len(info.classes)} classes")
    if info.outputs == "scores":
        raise ModelFileError(without % "makes scores, not probabilities (its loss is a hinge loss)")
