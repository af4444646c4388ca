"""A model that stays loaded, for programs and notebooks that predict again and again."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kerasrun.engine.errors import network_explained
from kerasrun.errors import DataError, ModelFileError
from kerasrun.model_file import read_input_shape
from kerasrun.reading.images import in_format
from kerasrun.report.predictions import Prediction
from kerasrun.results.examples import checked_array, read_examples
from kerasrun.results.model import check_asked, check_threshold, open_model
from kerasrun.runs.directory import RunDirectory, model_of, open_run

Example = str | Path | Image.Image | NDArray[Any]


class Model:
    """A trained model that is loaded once: `kerasrun.Model(run).predict(image)`."""

    def __init__(
        self,
        source: RunDirectory | str | Path,
        *,
        last: bool = False,
        plugins: Sequence[str | Path] = (),
        trust: bool = False,
    ) -> None:
        """Load the best model of a run, or a `.keras` file.

        Args:
            last: take `last.keras` of the run.
            plugins: those that a file outside its run needs.
            trust: run code that the model brings.

        Raises:
            ModelFileError: if the file cannot be used; if the network takes several inputs, or makes masks or images.
        """
        is_file = not isinstance(source, RunDirectory) and Path(source).suffix == ".keras"
        if is_file:
            self.path = Path(source)  # type: ignore[arg-type]  # no run
        else:
            self.path = model_of(source if isinstance(source, RunDirectory) else open_run(source), last=last)
        self._trained = open_model(self.path, plugin_files=[Path(file) for file in plugins], trust=trust)
        self.info = self._trained.info
        if len(self._trained.model.inputs) > 1 or self.info.task.writes:
            raise ModelFileError(f"{self.path} takes several inputs or makes pictures; use kerasrun.predict")
        self._shape = read_input_shape(self.path)
        self._graph: Any = None

    def __repr__(self) -> str:
        return f"<Model {self.path}: {self.info.task.about(len(self.info.classes))}>"

    def predict(
        self, examples: Example | Sequence[Example], *, top: int = 1, threshold: float | None = None
    ) -> list[Prediction]:
        """Predict one example or several; the batch has as many as are given.

        In another batch than that of `kerasrun.predict` and `evaluate` the last bits of an output may be others.

        Args:
            examples: files, as for `kerasrun.predict`; images of Pillow; or arrays of one example or of several,
                (…) or (examples, …), pixels of 0 to 255 for a model of images.
            top: how many classes to name, where one class holds.
            threshold: how probable the second of two classes, or a label, must be to be called.

        Raises:
            KerasrunError: if an example cannot be used.
        """
        check_threshold(self.info, threshold, self.path)
        several = [examples] if isinstance(examples, str | Path | Image.Image | np.ndarray) else list(examples)
        check_asked(several, top)
        names, arrays = zip(*(self._read(number, one) for number, one in enumerate(several)), strict=True)
        paths = [name for of_one in names for name in of_one]
        question = self.info.question(threshold, paths=paths, top=top)
        return self.info.task.predicted(self._outputs(np.concatenate(arrays)), question)

    def _read(self, number: int, example: Example) -> tuple[Sequence[str], NDArray[Any]]:
        """Return the names of examples, and what the network takes of them, (examples, …)."""
        image_format, name = self.info.image_format, f"example[{number}]"
        if isinstance(example, str | Path):
            found = read_examples([example], self.info, self.path)
            for error in found.unreadable.values():
                raise error
            return found.paths, found.inputs.take(np.arange(len(found.paths)))
        if isinstance(example, Image.Image):
            if image_format is None:
                raise DataError(f"{name} is an image, which {self.path} was not trained on")
            try:
                return [name], in_format(example, image_format)[np.newaxis]
            except MemoryError:
                raise
            except Exception as error:  # Pillow reads the file of an image when its pixels are asked for
                raise DataError(f"{name}: its pixels cannot be read: {error}") from error
        array = checked_array(name, np.asarray(example), self._shape, image_format)
        return [name] if len(array) == 1 else [f"{name}[{place}]" for place in range(len(array))], array

    def _outputs(self, batch: NDArray[Any]) -> NDArray[np.float32]:
        import tensorflow as tf

        if self._graph is None:
            model = self._trained.model

            def outputs(x: Any) -> Any:
                return tf.cast(model(tf.cast(x, tf.float32), training=False), tf.float32)

            self._graph = tf.function(outputs, input_signature=[tf.TensorSpec([None, *self._shape], tf.float32)])
        with network_explained(self.path):
            found: NDArray[np.float32] = self._graph(tf.constant(batch, tf.float32)).numpy()
        return found
