import threading

import pytest

from kerasrun.errors import Interrupted, RunDirectoryError
from kerasrun.runs.background import BackgroundWriter


def fails():
    raise RunDirectoryError("no space")


def test_jobs_are_done_in_order_and_all_before_the_block_is_left():
    begin, done = threading.Event(), []
    with BackgroundWriter() as writer:
        writer.submit(begin.wait)
        for number in range(5):
            writer.submit(lambda number=number: done.append(number))
        assert writer.is_busy()
        assert done == []
        begin.set()
    assert done == [0, 1, 2, 3, 4]
    assert not writer.is_busy()


def write_and(then):
    """A block in which a job fails, and then `then` happens."""
    with BackgroundWriter() as writer:
        writer.submit(fails).result()
        then(writer)


@pytest.mark.parametrize(
    "ask",
    [BackgroundWriter.finish, BackgroundWriter.check, lambda writer: writer.submit(list)],
    ids=["finish", "check", "submit"],
)
def test_a_failure_is_raised_where_training_next_asks(ask):
    reached = []
    with pytest.raises(RunDirectoryError, match="no space"):
        write_and(lambda writer: reached.append(ask(writer)))
    assert reached == []


def test_after_a_failure_nothing_more_is_written():
    begin, done = threading.Event(), []

    def two_jobs():
        with BackgroundWriter() as writer:
            writer.submit(begin.wait)
            writer.submit(fails)
            writer.submit(lambda: done.append("written"), otherwise=lambda: done.append("discarded"))
            begin.set()

    with pytest.raises(RunDirectoryError, match="no space"):
        two_jobs()
    assert done == ["discarded"]


def test_a_failure_that_nobody_asked_for_is_raised_at_the_end_of_the_block():
    with pytest.raises(RunDirectoryError, match="no space"):
        write_and(lambda writer: None)


def ended_by(error):
    def end(writer):
        raise error

    return end


def test_an_interruption_does_not_say_that_all_is_saved_when_it_is_not():
    with pytest.raises(RunDirectoryError, match="no space"):
        write_and(ended_by(Interrupted("everything is saved", 130)))


def test_why_training_ended_is_not_hidden_by_a_failure(caplog):
    with pytest.raises(ZeroDivisionError):
        write_and(ended_by(ZeroDivisionError()))
    assert "no space" in caplog.text
