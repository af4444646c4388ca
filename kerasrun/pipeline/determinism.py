"""What TensorFlow refuses while its operations are deterministic, in the user's terms."""

from collections.abc import Iterator
from contextlib import contextmanager

import tensorflow as tf

from kerasrun.errors import DeviceError


@contextmanager
def missing_kernels_explained() -> Iterator[None]:
    """
    Raises:
        DeviceError: if an operation of the block has no deterministic kernel on its device.
    """
    try:
        yield
    except tf.errors.UnimplementedError as error:
        reason = " ".join((error.message or "").split())
        if "determinis" not in reason.lower():
            raise
        raise DeviceError(
            f"TensorFlow cannot compute this deterministically here: {reason} Set deterministic: false to do without "
            "(a resumed run may then end with other bits), or use other layers"
        ) from error
