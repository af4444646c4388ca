import threading

import pytest

from kerasrun.runs import checkpoints

pytestmark = pytest.mark.tensorflow
SECONDS = 60
"""Never waited for in full, unless training waits for the disk."""


@pytest.fixture
def slow_disk(monkeypatch):
    """The first checkpoint is not written before training came twice to steps; whether it did, by the step."""
    from kerasrun.training.steps import FusedSteps

    twice, calls, met, save, take_steps = threading.Event(), [], {}, checkpoints.save, FusedSteps.__call__

    def save_late(run, step, *arguments):
        met[step] = twice.wait(SECONDS)
        save(run, step, *arguments)

    def call(*arguments):
        calls.append(take_steps(*arguments))
        if len(calls) == 2:
            twice.set()
        return calls[-1]

    monkeypatch.setattr(checkpoints, "save", save_late)
    monkeypatch.setattr(FusedSteps, "__call__", call)
    return met


def test_training_goes_on_while_a_checkpoint_is_written(train, slow_disk):
    run = train("fit: {epochs: 2}")
    assert slow_disk[0]
    assert checkpoints.newest(run).progress["epoch"] == 2
    assert run.read_run()["status"] == "finished"


def test_a_checkpoint_that_is_due_while_another_is_written_makes_training_wait_for_nothing(train, slow_disk):
    train("fit: {batch_size: 20, epochs: 1}\ncheckpoint: {seconds: 1e-6}")
    assert slow_disk[0]
