import pytest

from kerasrun.callbacks import build_callbacks
from kerasrun.components import Component

SAMPLE = {}


@pytest.mark.tensorflow
def test_it_does_not_keep_steps_from_being_fused(tmp_path):
    (adapter,) = build_callbacks([Component("TerminateOnNaN")], tmp_path)
    assert not adapter.needs_every_step()
