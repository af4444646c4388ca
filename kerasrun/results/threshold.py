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
    if why := info.task.without_threshold(len(info.classes), info.outputs):
        raise ModelFileError(f"{path} {why}, so there is nothing for --threshold to decide; leave it out")
