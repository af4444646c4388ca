"""How much training shows, and where."""

import io
import logging
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import time
from fcntl import ioctl
from pathlib import Path

import pytest
from rich.console import Console

from kerasrun import cli, stderr
from kerasrun.engine.chunks import ChunkSize
from kerasrun.experiment.schema import Fit
from kerasrun.runs.directory import create
from kerasrun.runs.log import attach
from kerasrun.training.progress import TrainingProgress, number

ROOT = Path(__file__).parents[2]
WIDTHS = (60, 80, 120, 200)
COLUMNS = ("loss", "accuracy", "auc", "val_loss", "val_accuracy", "val_auc", "learning_rate")
LOGS = [
    {"loss": 1.0, "accuracy": 0.5, "auc": 0.61234, "learning_rate": 0.001},
    dict(zip(COLUMNS, (0.0108512, 1, 0.5, 12345.6, 0.25, 1e-9, 1.5e-05), strict=True)),
    dict.fromkeys(COLUMNS, -0.0123456),
]


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
    stderr.show()
    monkeypatch.setattr(logger, "propagate", False)
    return monkeypatch


def training(*, epochs=3, verbose="auto", columns=("loss",)):
    """What shows a training whose steps were measured."""
    chunks = ChunkSize()
    chunks.seconds_per_step, chunks.measured_seconds = 0.125, 0.5
    return TrainingProgress(Fit(epochs=epochs, batch_size=32, verbose=verbose), 50000, columns, chunks)


def shown(terminal, verbose):
    """Whether a terminal shows a bar, and whether a line for the epoch."""
    stderr = Terminal()
    terminal.setattr(sys, "stderr", stderr)
    progress = training(verbose=verbose)
    with progress.shown():
        progress.begin_epoch(0, 0, 3)
        progress.end_epoch(0, {"loss": 0.5}, 1.0, best=False)
    text = stderr.getvalue()
    return "━" in text, "epoch 1/3: loss 0.5       1.0 s" in text


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
    assert "epoch 1/3: loss 0.5       1.0 s" in run.log_file.read_text()


@pytest.mark.parametrize("validates", [False, True])
@pytest.mark.parametrize("width", WIDTHS)
def test_the_time_left_is_shown_at_every_width(width, validates):
    progress = training(epochs=100, columns=COLUMNS)
    progress.begin_epoch(8, 0, 100)
    progress.steps_done(43210, LOGS[2])
    if validates:
        progress.validating(10000)
        progress.validated(320)
    console = Console(file=io.StringIO(), width=width)
    console.print(progress._live_line(width))
    (line,) = console.file.getvalue().splitlines()
    assert len(line) <= width
    assert line.startswith("epoch   9/100 validating" if validates else "epoch   9/100")
    assert ("320/10000" if validates else "43210/50000") in line
    # 91 epochs and 6,790 of 50,000 steps of 0.125 s, and a moment: 158 h 12 min
    assert re.search(r"158 h 1\d min left", line)
    assert width == 120 or ("auc -0.0123" in line) == (width == 200)


@pytest.mark.parametrize("epochs", [5, 50, 500])
@pytest.mark.parametrize("width", [*WIDTHS, 20])
def test_the_lines_of_epochs_fit_and_are_aligned(terminal, width, epochs):
    terminal.setenv("COLUMNS", str(width))
    terminal.setattr(sys, "stderr", Terminal())
    progress = training(epochs=epochs, columns=COLUMNS)
    for epoch, (logs, seconds) in enumerate(zip(LOGS, (0.04, 59.2, 200), strict=True)):
        progress.end_epoch(epoch, logs, seconds, best=True)
    lines = sys.stderr.getvalue().splitlines()
    assert len(lines) == len(LOGS)
    assert all(len(line) <= width for line in lines)
    names = [name for name in COLUMNS if f" {name} " in lines[2]]
    assert names == {
        20: [],
        60: ["loss", "val_loss"],
        80: ["loss", "val_loss", "val_auc" if epochs == 500 else "val_accuracy"],
        120: ["loss", "accuracy", "val_loss", "val_accuracy", "val_auc"],
        200: list(COLUMNS),
    }.get(width)
    for name in names:
        at = lines[2].index(f" {name} ")
        assert all(line[at:].startswith(f" {name} ") or line[at:].startswith(" " * len(name)) for line in lines)
    if width > 20:
        took = ("0.0 s", "59 s", "3 min 20 s")
        assert all(line.endswith(f" {time} best") for line, time in zip(lines, took, strict=True))


def test_a_file_gets_every_value_at_any_width(terminal):
    terminal.setenv("COLUMNS", "60")
    terminal.setattr(sys, "stderr", io.StringIO())
    training(columns=COLUMNS).end_epoch(0, LOGS[1], 1.0, best=True)
    assert all(f" {name} " in sys.stderr.getvalue() for name in COLUMNS)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *((0.65074, "0.6507"), (1, "1"), (0.001, "0.001"), (0.00108512, "0.00109"), (4.785e-05, "4.8e-05")),
        *((12345.6, "12346"), (1234567.8, "1234568"), (12345678.9, "1.2e+07"), (-0.0123456, "-0.0123")),
        *((float("nan"), "nan"), (float("-inf"), "-inf"), (-1e-100, "-1e-100")),
    ],
)
def test_a_number_has_as_many_digits_as_fit(value, text):
    assert number(value) == text.ljust(7)


def test_an_estimate_that_was_wrong_is_corrected_once(caplog, monkeypatch):
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    chunks = ChunkSize()
    chunks.seconds_per_step, chunks.measured_seconds = 0.1, 2.0
    progress = TrainingProgress(Fit(epochs=11, batch_size=32), 100, ("loss",), chunks)
    with caplog.at_level(logging.INFO, "kerasrun"):
        progress.begin_epoch(0, 0, 11)
        progress.steps_done(20, {})  # 80 steps and 10 epochs of 10 s
        for epoch in range(1, 4):
            now += 40  # 30 s of validation and checkpoints in each
            progress.begin_epoch(epoch, 0, 11)
            progress.steps_done(20, {})
    assert [record.message.partition(" to go")[0] for record in caplog.records] == [
        *("about 1 min 48 s", "about 6 min 40 s"),
    ]


def in_terminal(arguments, folder, columns):
    """What a command prints in a terminal so wide, without colours, and when its first words came."""
    master, slave = pty.openpty()
    ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    environment |= {"TERM": "xterm", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "kerasrun", *arguments]
    with subprocess.Popen(
        command, stdin=slave, stdout=subprocess.PIPE, stderr=slave, cwd=folder, env=environment
    ) as process:
        os.close(slave)
        text = b""
        try:
            while part := os.read(master, 65536):
                text += part
        except OSError:  # Linux's way to say that the other end is closed
            pass
        stdout = process.stdout.read().decode()
    os.close(master)
    assert process.returncode == 0
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text.decode()), stdout


@pytest.mark.long
@pytest.mark.tensorflow
def test_a_terminal_is_told_what_is_trained_and_what_to_do_next(tmp_path):
    stderr, stdout = in_terminal(["train", str(ROOT / "configs/cnn_small.yaml"), "--epochs", "2"], tmp_path, 60)
    assert stdout == "runs/cnn_small-1\n"
    lines = stderr.replace("\r\n", "\n").replace("\r", "\n").splitlines()
    assert lines[0].startswith("reading ")
    assert "loading TensorFlow" in lines[1:4]
    assert all(len(line) <= 60 for line in lines if "epoch" in line)
    assert any(re.match(r"epoch 2/2: loss \S+ +val_loss \S+ +\d\.\d s( best)?$", line) for line in lines)
    said = [re.sub(" +", " ", line) for line in lines]
    # 16 filters of 3×3 and their biases; 15·15·16 → 128; 128 → 10
    block = said.index("examples train validation test")
    assert said[block + 11].strip() == "all 1,295 143 359"
    assert sum(int(row.split()[1]) for row in said[block + 1 : block + 11]) == 1295
    assert said[block + 12 : block + 16] == [
        "image size 32×32, grayscale",
        f"parameters {(n := 16 * 10 + (15 * 15 * 16 + 1) * 128 + 129 * 10):,} ({n:,} trainable)",
        said[block + 14],
        "written to runs/cnn_small-1",
    ]
    assert said[block + 14].startswith("device CPU, ")
    assert [line.strip() for line in said if "kerasrun " in line] == [
        "next: kerasrun evaluate runs/cnn_small-1",
        "kerasrun predict runs/cnn_small-1 EXAMPLE",
        "kerasrun plot runs/cnn_small-1",
    ]
