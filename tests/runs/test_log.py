import errno
import logging
import os
import re

import pytest

from kerasrun.errors import RunDirectoryError
from kerasrun.runs.log import attach

LOGGER = logging.getLogger("kerasrun")


def test_what_is_logged_while_attached_is_kept_with_the_time(run):
    LOGGER.info("before")
    with attach(run):
        LOGGER.info("epoch %d", 1)
        logging.getLogger("kerasrun.training").warning("größer")
    LOGGER.info("after")
    with attach(run):
        LOGGER.info("again")
    stamp = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4}"
    expected = f"{stamp} INFO epoch 1\n{stamp} WARNING größer\n{stamp} INFO again\n"
    assert re.fullmatch(expected, run.log_file.read_text(encoding="utf-8"))


def test_the_logger_is_left_as_it_was(run):
    before = (LOGGER.level, list(LOGGER.handlers))
    with pytest.raises(KeyError), attach(run):
        raise KeyError
    assert (LOGGER.level, LOGGER.handlers) == before


def test_a_failing_disk_is_reported_once_and_ends_nothing(run, monkeypatch, caplog):
    real = os.write
    with attach(run):
        monkeypatch.setattr(
            os, "write", lambda *_: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space left on device"))
        )
        LOGGER.info("lost")
        LOGGER.info("lost too")
        monkeypatch.setattr(os, "write", real)
        LOGGER.info("kept")
    messages = [record.getMessage() for record in caplog.records]
    assert [message for message in messages if "cannot be written" in message] == [
        f"{run.log_file} cannot be written: No space left on device; the run goes on without it"
    ]
    assert run.log_file.read_text().endswith(" INFO kept\n")
    assert "lost" not in run.log_file.read_text()


def test_a_log_that_cannot_be_opened_is_an_error(run):
    run.log_file.mkdir()
    with pytest.raises(RunDirectoryError, match=r"log.txt cannot be written: Is a directory"), attach(run):
        pass


def test_a_pipe_in_its_place_is_not_waited_for(run):
    os.mkfifo(run.log_file)
    with pytest.raises(RunDirectoryError, match=r"log\.txt cannot be written"), attach(run):
        pass
