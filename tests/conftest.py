"""What every test may use."""

import gc
import os
import platform
import sys

import pytest

# As `devices.start` has it: what tests compute in their own process is compared with what kerasrun computed in others.
if platform.machine() in ("x86_64", "AMD64"):
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")


@pytest.fixture(autouse=True, scope="module")
def leave_tensorflow_out_of_the_garbage():
    """Keras looks for garbage before each training, and TensorFlow's objects are by far the most to look through."""
    yield
    if "tensorflow" in sys.modules and not gc.get_freeze_count():
        gc.collect()
        gc.freeze()
