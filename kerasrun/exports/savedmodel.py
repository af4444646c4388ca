"""TensorFlow's own format."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kerasrun.exports.base import Export, batches
from kerasrun.model_file import TrainedModel
from kerasrun.reading.data import Split


class SavedModel(Export):
    """A folder in TensorFlow's SavedModel format, for TensorFlow Serving and others, with the endpoint `serve`."""

    suffix = ""
    tolerance = 1e-5
    mark = "saved_model.pb"

    def write(self, trained: TrainedModel, path: Path) -> None:
        trained.model.export(str(path), format="tf_saved_model", verbose=False)

    def outputs(self, path: Path, trained: TrainedModel, examples: Split) -> NDArray[np.float32]:
        import tensorflow as tf

        loaded = tf.saved_model.load(str(path))
        several = len(trained.model.inputs) > 1
        given = batches(examples, trained.info.batch_size)
        return np.concatenate([loaded.serve(x if several else x[0]).numpy() for x in given])
