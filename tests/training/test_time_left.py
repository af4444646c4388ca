"""The time that training will take, by arithmetic."""

import pytest

from kerasrun.engine.chunks import ChunkSize
from kerasrun.training.time_left import TimeLeft


@pytest.fixture
def chunks():
    """Ten steps a second; the first call took 3 s."""
    measured = ChunkSize()
    measured.seconds_per_step, measured.first_seconds = 0.1, 3.0
    return measured


def test_nothing_is_known_before_a_step_was_measured():
    left = TimeLeft(100, ChunkSize())
    left.begin_epoch(0, 4, 0.0)
    assert left.seconds(1.0) is None


def test_at_first_only_steps_count(chunks):
    left = TimeLeft(100, chunks)
    left.begin_epoch(0, 4, 0.0)
    left.steps_done(40, 7.0)
    assert left.seconds(7.0) == pytest.approx(60 * 0.1 + 4 * 10)
    assert left.seconds(9.0) == pytest.approx(60 * 0.1 - 2 + 4 * 10)


def test_validation_and_checkpoints_count_once_an_epoch_has_shown_them(chunks):
    left = TimeLeft(100, chunks)
    left.begin_epoch(0, 4, 0.0)
    left.begin_epoch(0, 3, 28.0)  # tracing 3 s, steps 10 s, what follows them 15 s
    assert left.seconds(28.0) == pytest.approx(4 * 25)
    left.steps_done(100, 38.0)
    assert left.seconds(38.0) == pytest.approx(15 + 3 * 25)
    assert left.seconds(44.0) == pytest.approx(15 - 6 + 3 * 25)


def test_later_epochs_correct_the_first(chunks):
    left = TimeLeft(100, chunks)
    for epoch, now in enumerate((0.0, 100.0, 120.0, 150.0)):
        left.begin_epoch(0, 4 - epoch, now)
    assert left.seconds(150.0) == pytest.approx(2 * (20 + 30) / 2)


def test_an_epoch_that_goes_on_in_its_middle_is_no_measure(chunks):
    left = TimeLeft(100, chunks)
    left.begin_epoch(99, 3, 0.0)
    left.begin_epoch(0, 2, 1.0)
    assert left.seconds(1.0) == pytest.approx(3 * 10)


def test_another_stage_is_measured_again(chunks):
    left = TimeLeft(100, chunks)
    left.begin_epoch(0, 2, 0.0)
    left.begin_epoch(0, 1, 60.0)
    left.begin_stage()
    left.begin_epoch(0, 0, 200.0)
    assert left.seconds(200.0) == pytest.approx(10)
