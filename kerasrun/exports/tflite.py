"""The format for phones and small devices."""

import statistics
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from kerasrun.exports.base import Export, batches, in_order
from kerasrun.model_file import TrainedModel
from kerasrun.reading.data import Split

Quantize = Literal["int8", "float16", "dynamic"]
_TIMED = 30


class Tflite(Export):
    """`.tflite`: for LiteRT, formerly TensorFlow Lite; float32, or smaller with `--quantize`."""

    suffix = ".tflite"
    tolerance = 1e-4
    packages = ("ai_edge_litert",)
    only_float32 = True

    def write(self, trained: TrainedModel, path: Path) -> None:
        _write(trained, path)

    def outputs(self, path: Path, trained: TrainedModel, examples: Split) -> NDArray[np.float32]:
        return np.concatenate(list(chunks(path, trained, examples)))


def write_quantized(trained: TrainedModel, path: Path, quantize: Quantize, calibration: Split) -> None:
    """Write a model with smaller numbers; what it takes and gives stays float32.

    Args:
        quantize: `float16` halves the weights; `dynamic` makes them int8; `int8` makes what is between the layers int8
            as well, in ranges that are measured.
        calibration: the examples that ranges are measured on.
    """
    import tensorflow as tf

    options: dict[str, Any] = {"optimizations": [tf.lite.Optimize.DEFAULT]}
    if quantize == "float16":
        options["target_spec"] = {"supported_types": [tf.float16]}
    if quantize == "int8":
        options["representative_dataset"] = lambda: _sorted_inputs(trained, calibration)
    _write(trained, path, **options)


def _sorted_inputs(trained: TrainedModel, examples: Split) -> Iterator[list[NDArray[np.float32]]]:
    """Yield examples one by one, each input in the order in which TensorFlow converts them: that of their names."""
    names = [one.name for one in trained.model.inputs]
    order = sorted(range(len(names)), key=names.__getitem__)
    for batch in batches(examples, 1):
        yield [batch[place] for place in order]


def _write(trained: TrainedModel, path: Path, **options: Any) -> None:
    trained.model.export(str(path), format="litert", verbose=False, **options)


def chunks(path: Path, trained: TrainedModel, examples: Split) -> Iterator[NDArray[np.float32]]:
    """Yield what a written model computes with its runtime, (batch, …)."""
    interpreter = _interpreter(path)
    (given,) = interpreter.get_output_details()
    for batch in batches(examples, trained.info.batch_size):
        _invoke(interpreter, batch, trained)
        yield interpreter.get_tensor(given["index"])


def times_faster(path: Path, other: Path, trained: TrainedModel, examples: Split) -> float:
    """Return how many times as fast a written model computes one example as another: medians of turns, here."""
    one = next(batches(examples, 1))
    interpreters = [_interpreter(path), _interpreter(other)]
    seconds: Sequence[list[float]] = ([], [])
    for _ in range(_TIMED + 1):
        for interpreter, measured in zip(interpreters, seconds, strict=True):
            begin = time.perf_counter()
            _invoke(interpreter, one, trained)
            measured.append(time.perf_counter() - begin)
    own, others = (statistics.median(measured[1:]) for measured in seconds)
    return others / own


def _interpreter(path: Path) -> Any:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path))
    interpreter.allocate_tensors()
    return interpreter


def _invoke(interpreter: Any, batch: Sequence[NDArray[np.float32]], trained: TrainedModel) -> None:
    taken = interpreter.get_input_details()
    places = in_order([one["name"] for one in taken], trained)
    given = [batch[place] for place in places]
    if any(tuple(one["shape"]) != x.shape for one, x in zip(taken, given, strict=True)):
        for one, x in zip(taken, given, strict=True):
            interpreter.resize_tensor_input(one["index"], x.shape)
        interpreter.allocate_tensors()
    for one, x in zip(taken, given, strict=True):
        interpreter.set_tensor(one["index"], x)
    interpreter.invoke()
