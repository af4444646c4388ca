"""The boundary at which what Keras, TensorFlow, a plugin or a file raises becomes an error in the user's terms.

Light to import: TensorFlow has been started where something is computed.
"""

import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kerasrun import plugins
from kerasrun.engine.prepared import Prepared
from kerasrun.errors import DataError, KerasrunError, ModelError, ModelFileError, NotFiniteError, within_memory
from kerasrun.models.base import sentence

_KERASRUN = Path(__file__).parents[1]


@contextmanager
def explained(prepared: Prepared) -> Iterator[None]:
    """Explain whatever goes wrong while something is built, trained or looked at; TensorFlow must have been started.

    | what goes wrong                          | what is raised                              |
    | ---------------------------------------- | ------------------------------------------- |
    | an operation has no deterministic kernel | advice                                      |
    | the memory is full                       | advice                                      |
    | a step does not take what the data hold  | an error with the layer and the value       |
    | Keras refuses what an experiment says    | Keras's sentence, with the section          |
    | a file goes bad while it is read         | its own error, not TensorFlow's wrapping    |
    | an image file cannot be used             | one error that names every such file        |
    | code of a plugin raises something        | an error with the line of the plugin's file |
    """
    batch_size = prepared.experiment.fit.batch_size
    advice = (
        f"try -s fit.batch_size={max(1, batch_size // 2)}, a smaller image_size, or on a GPU precision: mixed_float16; "
        "checkpoints are kept"
    )
    from kerasrun.pipeline.augmentation import missing_kernels_explained
    from kerasrun.pipeline.batches import read_errors_as_they_were

    with (
        plugins.errors_explained(),
        _refusals_explained(),
        prepared.data.every_bad_file_told(),
        within_memory(f"a batch of {batch_size}", advice),
        _values_explained(),
        read_errors_as_they_were(),
        missing_kernels_explained(),
    ):
        yield


@contextmanager
def _refusals_explained() -> Iterator[None]:
    """
    Raises:
        ModelError: if an object of Keras that the experiment describes fails in Keras's own code, as where a step is
            traced: what its constructor took, Keras cannot compute with.
    """
    import tensorflow as tf

    try:
        yield
    except (KerasrunError, OSError, MemoryError, tf.errors.OpError):
        raise
    except Exception as error:
        parts = [Path(frame.filename).parts for frame in traceback.extract_tb(error.__traceback__)]
        families = [family for path in parts if "keras" in path for family in _SECTIONS if family in path]
        if not families or not {"keras", "tensorflow"} & set(parts[-1]):
            raise
        section, key = _SECTIONS[families[-1]]
        raise ModelError(
            f"Keras cannot compute with what {section}.{key} says: {' '.join(str(error).split())[:300]}", (section, key)
        ) from error


_SECTIONS = {
    **{"optimizers": ("compile", "optimizer"), "losses": ("compile", "loss"), "metrics": ("compile", "metrics")},
    **dict.fromkeys(("layers", "initializers", "regularizers", "constraints", "activations"), ("model", "layers")),
}
"""The families of Keras, as its folders are called, with the place in an experiment."""


@contextmanager
def network_explained(path: Path) -> Iterator[None]:
    """Explain what Keras and TensorFlow raise of the network in a model file, which may be somebody else's.

    Raises:
        ModelFileError: in place of what was raised outside of kerasrun; a full memory stays what it is.
    """
    import tensorflow as tf

    try:
        yield
    except (KerasrunError, MemoryError, OSError, tf.errors.ResourceExhaustedError):
        raise
    except Exception as error:
        if Path(traceback.extract_tb(error.__traceback__)[-1].filename).is_relative_to(_KERASRUN):
            raise
        raise ModelFileError(f"{path}: its network fails: {sentence(error)}") from error


_LONGEST_SEARCHED = 2000
"""How many characters are searched for a layer's name: the time grows with their square."""


@contextmanager
def _values_explained() -> Iterator[None]:
    """
    Raises:
        DataError: if an operation refuses a value of the data, such as an id that an `Embedding` does not have.
    """
    import tensorflow as tf

    try:
        yield
    except tf.errors.InvalidArgumentError as error:
        said = str(error)
        node = re.search(r"node [\w./-]*?([A-Za-z]\w*)/(?:[A-Z]\w*|embedding_lookup)", said[:_LONGEST_SEARCHED])
        layer = f"the layer '{node[1]}'" if node else "a layer"
        if found := re.search(r"indices\[[\d,]*\] = (-?\d+) is not in \[0, (\d+)\)", said):
            raise DataError(
                f"{layer} takes whole numbers from 0 to {int(found[2]) - 1}, but the data hold {found[1]}: set its "
                f"input_dim above the largest number, or look at the data"
            ) from error
        raise DataError(f"{layer} does not take what the data hold: {' '.join(said.split())[:300]}") from error


def not_finite(step: int, epoch: int, learning_rate: float) -> NotFiniteError:
    """Return the error for a loss that is not finite; `step` and `epoch` count from zero."""
    return NotFiniteError(
        f"the loss is not finite at step {step + 1} of epoch {epoch + 1}, at a learning rate of {learning_rate:.4g}; "
        "the checkpoints before it are kept. Try a smaller learning rate, clipnorm: 1.0 in the optimizer, and look at "
        "the data for extreme values"
    )
