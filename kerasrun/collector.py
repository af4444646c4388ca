"""The garbage collector, and what it need not look through."""

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Keep the garbage collector from all that is made within, which is meant to stay.

    An import of TensorFlow makes objects by the hundred thousand: to look through them again and again takes a third
    of its time. Of reading an experiment it is a tenth.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.freeze()
