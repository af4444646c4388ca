import time

import pytest

from kerasrun import model_file
from kerasrun.engine import chunks
from kerasrun.runs import checkpoints
from kerasrun.runs.directory import open_run
from kerasrun.training.best import Best
from kerasrun.training.writer import RunWriter
from tests.grids import rest_is_long
from tests.training.exactness import variables_digest

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


@pytest.mark.long
def test_training_goes_on_while_a_checkpoint_is_written(train, slow_disk):
    run = train("fit: {epochs: 2}\ncheckpoint: {seconds_between: 0}")
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


FOUR_EPOCHS = "compile: {optimizer: Adam}\nfit: {epochs: 4, validation_data: test}\ncheckpoint: {monitor: loss}"


@pytest.fixture
def best_of_two(monkeypatch):
    """The second epoch is the best one, and the first was until then."""

    def improves(best, epoch, value):
        if epoch < 2:
            best.epoch, best.value = epoch, value
        return epoch < 2

    monkeypatch.setattr(Best, "improves", improves)


@pytest.mark.long
def test_when_checkpoints_and_the_best_model_are_written_changes_no_bit(train, monkeypatch, best_of_two):
    steps, save, runs = [], checkpoints.save, []
    monkeypatch.setattr(checkpoints, "save", lambda run, step, *rest: steps.append(step) or save(run, step, *rest))
    for seconds in (0, 0.05, 1000):
        runs.append(train(FOUR_EPOCHS, f"checkpoint.seconds_between={seconds}"))
    often, now_and_then, seldom = ([run.metrics_file.read_bytes(), *map(variables_digest, models(run))] for run in runs)
    assert often == now_and_then == seldom
    assert [model_file.read_info(file).epoch for file in models(runs[2])] == [2, 4]
    assert (steps[:5], steps[-2:]) == ([0, 7, 14, 21, 28], [0, 28])  # 200 examples in batches of 32


def models(run):
    return run.best_model, run.last_model


@pytest.mark.parametrize("seconds", rest_is_long([0, 1000]))
def test_the_best_model_is_there_when_training_fails(train, tmp_path, monkeypatch, best_of_two, seconds):
    append = RunWriter.append_epoch

    def fail(writer, epoch, *rest):
        append(writer, epoch, *rest)
        if epoch == 3:
            raise ZeroDivisionError

    monkeypatch.setattr(RunWriter, "append_epoch", fail)
    with pytest.raises(ZeroDivisionError):
        train(FOUR_EPOCHS, f"checkpoint.seconds_between={seconds}")
    assert model_file.read_info(open_run(tmp_path / "runs" / "small-1").best_model).epoch == 2
