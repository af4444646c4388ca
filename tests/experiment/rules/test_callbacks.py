"""Callbacks that could not serve, told at their place in the text."""

import pytest

from kerasrun.errors import ExperimentError
from kerasrun.experiment.load import parse

EXPERIMENT = "data: {folder: {path: x}}\nmodel: Small\n"


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("[{CSVLogger: {filename: ../a.csv}}]", "3:36: callbacks.0.CSVLogger.filename", "in the run directory"),
        ("[{TensorBoard: {log_dir: /logs}}]", "3:37: callbacks.0.TensorBoard.log_dir", "a relative one"),
        ("[{CSVLogger: {filename: plots/../metrics.csv}}]", "3:36: callbacks.0", "kerasrun writes this itself"),
        ("[TensorBoard, {CSVLogger: {filename: ./tensorboard}}]", "3:49: callbacks.1", "two of them write tensorb"),
        ("[SwapEMAWeights]", "3:13: callbacks.0", "expected use_ema: true among the optimizer's arguments"),
    ],
)
def test_a_callback_that_cannot_serve_is_told(text, place, words):
    with pytest.raises(ExperimentError, match=rf"^e\.yaml:{place}.*{words}"):
        parse(f"{EXPERIMENT}callbacks: {text}", "e.yaml")


def test_an_average_may_be_that_of_an_inner_optimizer():
    optimizer = "{LossScaleOptimizer: {inner_optimizer: {Adam: {use_ema: true}}}}"
    assert parse(f"{EXPERIMENT}compile: {{optimizer: {optimizer}}}\ncallbacks: [SwapEMAWeights]", "e.yaml")
