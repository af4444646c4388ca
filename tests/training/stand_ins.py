"""A job without a model, for tests of what `train` and `resume` do around their loop."""

from contextlib import nullcontext
from types import SimpleNamespace

ALONE = SimpleNamespace(workers=1, shards=1, led=nullcontext, losses_explained=nullcontext)
"""What is asked of the team of a process that trains alone, without TensorFlow."""


def job_of(prepared, **more):
    """A prepared experiment with what `build` adds, as far as it is given."""
    return SimpleNamespace(**vars(prepared), team=ALONE, **more)
