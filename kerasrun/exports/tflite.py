"""The format for phones and small devices."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kerasrun.exports.base import Export, batches, in_order
from kerasrun.model_file import TrainedModel
from kerasrun.reading.data import Split


class Tflite(Export):
    """`.tflite`: for LiteRT, formerly TensorFlow Lite; float32, not quantized."""

    suffix = ".tflite"
    tolerance = 1e-4
    packages = ("ai_edge_litert",)
    only_float32 = True

    def write(self, trained: TrainedModel, path: Path) -> None:
        trained.model.export(str(path), format="litert", verbose=False)

    def outputs(self, path: Path, trained: TrainedModel, examples: Split) -> NDArray[np.float32]:
        from ai_edge_litert.interpreter import Interpreter

        interpreter = Interpreter(model_path=str(path))
        taken, (given,) = interpreter.get_input_details(), interpreter.get_output_details()
        places = in_order([one["name"] for one in taken], trained)
        found = []
        for x in batches(examples, trained.info.batch_size):
            for one, place in zip(taken, places, strict=True):
                interpreter.resize_tensor_input(one["index"], x[place].shape)
            interpreter.allocate_tensors()
            for one, place in zip(taken, places, strict=True):
                interpreter.set_tensor(one["index"], x[place])
            interpreter.invoke()
            found.append(interpreter.get_tensor(given["index"]))
        return np.concatenate(found)
