"""The format that most other libraries read."""

import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kerasrun.exports.base import Export, batches, in_order
from kerasrun.model_file import TrainedModel
from kerasrun.reading.data import Split


class Onnx(Export):
    """`.onnx`: for ONNX Runtime and other programs that read ONNX."""

    suffix = ".onnx"
    tolerance = 1e-4
    packages = ("tf2onnx", "onnx", "onnxruntime")
    only_float32 = True

    def write(self, trained: TrainedModel, path: Path) -> None:
        import keras

        for layer in trained.model._flatten_layers():
            if isinstance(layer, keras.layers.Normalization):
                # tf2onnx makes inputs of tensors that are neither weights nor constants.
                layer.mean, layer.variance = np.asarray(layer.mean), np.asarray(layer.variance)
        with warnings.catch_warnings():
            # Keras looks for `numpy.object`, which tf2onnx uses and NumPy 2 lacks.
            warnings.filterwarnings("ignore", "In the future `np.object`", FutureWarning)
            trained.model.export(str(path), format="onnx", verbose=False)

    def outputs(self, path: Path, trained: TrainedModel, examples: Split) -> NDArray[np.float32]:
        import onnxruntime

        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        names = [one.name for one in session.get_inputs()]
        places = in_order(names, trained)
        found = []
        for x in batches(examples, trained.info.batch_size):
            found += session.run(None, {name: x[place] for name, place in zip(names, places, strict=True)})
        return np.concatenate(found)
