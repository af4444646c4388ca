"""Seconds of a training of many short epochs, from typing the command to its end: kerasrun beside a script with `fit`.

What is trained is configs/linear_regression.yaml: five steps an epoch and a validation of one batch, so that what ends
an epoch counts most. Both save the best model; kerasrun writes its tables, a log and checkpoints as well. Commands are
run one after the other, each once a round. A ratio above 1 says that kerasrun is faster.

Example: python -m benchmarks.epochs --rounds 5
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks._command_line import parser_for, run_alone
from benchmarks._commands import KERASRUN, ROOT, run, with_overrides
from benchmarks._rounds import take_turns
from benchmarks._table import DURATIONS, durations, print_table

EXPERIMENT = ROOT / "configs" / "linear_regression.yaml"
OURS = "kerasrun"
FIT = "fit, ModelCheckpoint"


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print the table."""
    run_alone(argv, arguments, measure)


def measure(given: argparse.Namespace) -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory(prefix="kerasrun-benchmark-") as temporary:
        epochs = str(given.epochs)
        commands = {
            OURS: [
                *(*KERASRUN, "-q", "train", str(EXPERIMENT), "-o", temporary),
                *with_overrides(f"fit.epochs={epochs}"),
            ],
            FIT: [sys.executable, "-m", "benchmarks.peers.fit_line", epochs, str(Path(temporary, "best.keras"))],
        }
        measured = take_turns(list(commands), given.rounds, lambda name: run(commands[name]).seconds)
    print_table(f"{given.epochs:,} epochs of five steps, {given.rounds} rounds", DURATIONS, durations(measured))


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = parser_for(__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="runs of each command; default: 5")
    parser.add_argument("--epochs", type=int, default=1500, help="default: 1500")
    return parser.parse_args(argv)


if __name__ == "__main__":
    main()
