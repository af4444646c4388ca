import time

import pytest

from kerasrun.engine import chunks
from kerasrun.runs import checkpoints

pytestmark = pytest.mark.tensorflow
SECONDS = 30
"""Never waited for in full, unless training waits for the disk."""


@pytest.fixture
def slow_disk(monkeypatch):
    """The first checkpoint after the start is not written before two more steps were taken; whether they were."""
    from kerasrun.engine.steps import FusedSteps

    taken, met, save, take_steps = [], [], checkpoints.save, FusedSteps.__call__

    def save_late(run, step, *arguments):
        if step and not met:
            deadline = time.monotonic() + SECONDS
            while len(taken) < step + 2 and time.monotonic() < deadline:
                time.sleep(0.01)
            met.append(len(taken) >= step + 2)
        save(run, step, *arguments)

    def take_one(*arguments):
        taken.append(take_steps(*arguments))
        return taken[-1]

    monkeypatch.setattr(chunks, "TARGET_SECONDS", 0)  # one step at a time
    monkeypatch.setattr(checkpoints, "save", save_late)
    monkeypatch.setattr(FusedSteps, "__call__", take_one)
    return met


def test_training_goes_on_while_a_checkpoint_is_written(train, slow_disk):
    run = train("fit: {epochs: 2}")
    assert slow_disk == [True]
    assert checkpoints.newest(run).progress["epoch"] == 2
    assert run.read_run()["status"] == "finished"


def test_a_checkpoint_that_is_due_while_another_is_written_makes_training_wait_for_nothing(train, slow_disk):
    train("fit: {batch_size: 20, epochs: 1}\ncheckpoint: {seconds: 1e-6}")
    assert slow_disk == [True]


def test_no_step_is_taken_before_the_first_checkpoint_is_in_place(train, monkeypatch):
    from kerasrun.engine import steps

    saved, real = [], checkpoints.save
    monkeypatch.setattr(checkpoints, "save", lambda run, step, *rest: saved.append(real(run, step, *rest)))
    before, take_steps = [], steps.FusedSteps.__call__
    monkeypatch.setattr(
        steps.FusedSteps, "__call__", lambda *arguments: before.append(len(saved)) or take_steps(*arguments)
    )
    train()
    assert before[0] == 1
