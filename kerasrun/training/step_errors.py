"""What goes wrong in a step or a validation, in the user's terms."""

from collections.abc import Iterator
from contextlib import contextmanager

import tensorflow as tf

from kerasrun.errors import NotFiniteError, OutOfMemoryError
from kerasrun.pipeline.batches import read_errors_as_they_were
from kerasrun.pipeline.determinism import missing_kernels_explained


@contextmanager
def explained(batch_size: int) -> Iterator[None]:
    """Turn what TensorFlow lacks (memory, a kernel) into advice, and a file that went bad into its own error."""
    try:
        with read_errors_as_they_were(), missing_kernels_explained():
            yield
    except tf.errors.ResourceExhaustedError as error:
        raise OutOfMemoryError(
            f"the device has no memory left for a batch of {batch_size}: try "
            f"-s fit.batch_size={max(1, batch_size // 2)}, "
            "a smaller image_size, or on a GPU precision: mixed_float16; the last checkpoint is kept"
        ) from error


def not_finite(step: int, epoch: int, learning_rate: float) -> NotFiniteError:
    """Of a loss; `step` and `epoch` count from zero."""
    return NotFiniteError(
        f"the loss is not finite at step {step + 1} of epoch {epoch + 1}, at a learning rate of {learning_rate:.4g}; "
        "the checkpoints before it are kept. Try a smaller learning rate, clipnorm: 1.0 in the optimizer, and look at "
        "the data for extreme values"
    )
