"""How much training shows, and where."""

import io
import logging
import sys

import pytest

from kerasrun import cli
from kerasrun.experiment.schema import Fit
from kerasrun.runs.directory import create
from kerasrun.runs.log import attach
from kerasrun.training.progress import TrainingProgress


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def terminal(monkeypatch):
    """The command line's logger as it is when a command begins; nothing of it is left."""
    monkeypatch.setenv("TERM", "xterm")
    logger = logging.getLogger("kerasrun")
    for name, value in (("handlers", []), ("propagate", True), ("level", logging.INFO)):
        monkeypatch.setattr(logger, name, value)
    cli._log_to_stderr()
    return monkeypatch


def shown(terminal, verbose):
    """Whether a terminal shows a bar, and whether a line for the epoch."""
    stderr = Terminal()
    terminal.setattr(sys, "stderr", stderr)
    progress = TrainingProgress(Fit(epochs=3, batch_size=32, verbose=verbose), 5)
    with progress.shown():
        progress.begin_epoch(0, 0)
        progress.end_epoch(0, {"loss": 0.5}, 1.0, best=False)
    text = stderr.getvalue()
    return "━" in text, "epoch 1/3: loss 0.5, in 1.0 s" in text


@pytest.mark.parametrize(
    ("verbose", "bar", "lines"), [("auto", True, True), (1, True, True), (2, False, True), (0, False, False)]
)
def test_verbose_says_how_much_is_shown(terminal, verbose, bar, lines):
    assert shown(terminal, verbose) == (bar, lines)


def test_quiet_goes_further(terminal):
    cli.kerasrun(quiet=True)
    assert shown(terminal, 1) == (False, False)


def test_what_is_not_shown_is_logged_all_the_same(terminal, tmp_path):
    run = create(tmp_path, "run")
    with attach(run):
        shown(terminal, 0)
    assert "epoch 1/3: loss 0.5, in 1.0 s" in run.log_file.read_text()
