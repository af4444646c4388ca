"""What every test may use."""

import gc
import sys

import pytest

from kerasrun.training import devices

# What tests compute in their own process is compared with what kerasrun computed in others, after `devices.start`.
devices._compute_with_onednn()


@pytest.fixture(autouse=True, scope="module")
def leave_tensorflow_out_of_the_garbage():
    """Keras looks for garbage before each training, and TensorFlow's objects are by far the most to look through."""
    yield
    if "tensorflow" in sys.modules and not gc.get_freeze_count():
        gc.collect()
        gc.freeze()
