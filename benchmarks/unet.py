"""Seconds of an epoch of a U-Net on cell membranes: kerasrun beside the tutorial's script with two ImageDataGenerators.

25 images of 128×128 train, changed at random with their masks, and 5 validate; both save the best model. Contenders
live in processes of their own; the first epoch of each does not count. A ratio says how many times as long the script
takes.

Example: python -m benchmarks.unet --data FOLDER --rounds 9
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks import _workers
from benchmarks._command_line import existing_folder, parser_for, run_alone
from benchmarks._commands import with_overrides
from benchmarks._optional import is_installed
from benchmarks._table import DURATIONS, durations, print_table

EXPERIMENT = Path(__file__).parent / "experiments" / "unet_membrane.yaml"
OURS = "kerasrun"
SCRIPT = "script: two ImageDataGenerators, fit"


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print the table."""
    run_alone(argv, arguments, measure)


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = parser_for(__doc__)
    parser.add_argument("--data", type=existing_folder, required=True, help="the folder with image/ and label/")
    parser.add_argument("--rounds", type=int, default=5, help="epochs of each contender that count; default: 5")
    return parser.parse_args(argv)


def measure(given: argparse.Namespace) -> None:
    """Print the table."""
    data, epochs = str(given.data.absolute()), given.rounds + 1
    with tempfile.TemporaryDirectory(prefix="kerasrun-benchmark-") as name:
        folder = Path(name)
        told = with_overrides(f"data.image_masks.path={data}", f"fit.epochs={epochs}")
        module = [sys.executable, "-m"]
        commands = {OURS: [*module, "benchmarks._kerasrun_epochs", str(EXPERIMENT), str(folder), *told]}
        if is_installed("scipy"):
            commands[SCRIPT] = [
                *(*module, "benchmarks.peers.unet_membrane", "--data", data, "--epochs", str(epochs)),
                *("--paced", "--save", str(folder / "best.keras")),
            ]
        reports = _workers.measure(commands, given.rounds, folder, lambda report: f"{report['seconds']:.2f} s")
    measured = {name: [report["seconds"] for report in reports[name]] for name in commands}
    print_table(f"U-Net on cell membranes: an epoch, {given.rounds} rounds", DURATIONS, durations(measured))


if __name__ == "__main__":
    main()
