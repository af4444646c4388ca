"""Seconds from typing a command to its end: kerasrun beside a bare `import keras` and the shortest scripts.

Training ends with its first step.

Commands are run one after the other, each once a round, after a round that does not count; all read the same files.
A ratio below 1 says that kerasrun is faster.

Example: python -m benchmarks.startup --rounds 9
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks._command_line import parser_for, run_alone
from benchmarks._commands import KERASRUN, ROOT, run
from benchmarks._rounds import ratio, spread, take_turns
from benchmarks._table import print_table, with_spread

PEERS = Path(__file__).parent / "peers"
LENET = ROOT / "configs" / "lenet_idx.yaml"
IMPORT_KERAS = 'python -c "import keras"'
HELP = "kerasrun --help"
VALIDATE = "kerasrun validate CONFIG"
PREDICT = "kerasrun predict one.png"
SCRIPT = "script: load_model, load_img, model.predict(x)"
SCRIPT_CALL = "script: load_model, load_img, model(x)"
TRAIN = "kerasrun train lenet_idx.yaml, first step"
SCRIPT_FIT = "script: the same digits, LeNet, fit, first step"
COMPARED = {
    HELP: [IMPORT_KERAS],
    VALIDATE: [IMPORT_KERAS],
    PREDICT: [IMPORT_KERAS, SCRIPT, SCRIPT_CALL],
    TRAIN: [IMPORT_KERAS, SCRIPT_FIT],
}


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print both tables."""
    run_alone(argv, arguments, measure)


def measure(given: argparse.Namespace) -> None:
    """Print both tables."""
    with tempfile.TemporaryDirectory(prefix="kerasrun-benchmark-") as folder:
        model = given.model or _train_a_model(Path(folder))
        commands = _commands(given.config, model, given.image, Path(folder))
        for command in commands.values():
            run(command)
        measured = take_turns(list(commands), given.rounds, lambda name: run(commands[name]).seconds)
    print_table(
        f"Start-up, {given.rounds} rounds",
        ["", "seconds", "least–most"],
        [[name, *with_spread(spread(seconds))] for name, seconds in measured.items()],
    )
    print_table(
        "Start-up compared",
        ["", "ratio", "in single rounds"],
        [
            [f"{ours} / {theirs}", *with_spread(ratio(measured[ours], measured[theirs]))]
            for ours, peers in COMPARED.items()
            for theirs in peers
        ],
    )


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    digits = ROOT / "data" / "digits" / "png" / "test" / "7"
    parser = parser_for(__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="runs of each command that count; default: 5")
    parser.add_argument(
        "--config",
        type=Path,
        default=ROOT / "configs" / "unet_masks.yaml",
        help="the experiment to validate; default: configs/unet_masks.yaml, the largest",
    )
    parser.add_argument(
        "--model", type=Path, help="a .keras file of a run; default: LeNet, trained for an epoch on the shipped digits"
    )
    parser.add_argument(
        "--image", type=Path, default=digits / "0000.png", help="the image to predict; default: a shipped digit"
    )
    return parser.parse_args(argv)


def _train_a_model(folder: Path) -> Path:
    print("training a model to predict with", file=sys.stderr)
    file = ROOT / "configs" / "lenet_directory.yaml"
    run([*KERASRUN, "train", str(file), "-s", "fit.epochs=1", "-o", str(folder)])
    return next(folder.glob("*/best.keras"))


def _commands(config: Path, model: Path, image: Path, folder: Path) -> dict[str, list[str]]:
    script = [sys.executable, str(PEERS / "predict_script.py"), str(model), str(image)]
    first_step = [sys.executable, "-m", "benchmarks._kerasrun_first_step"]
    return {
        IMPORT_KERAS: [sys.executable, "-c", "import keras"],
        HELP: [*KERASRUN, "--help"],
        VALIDATE: [*KERASRUN, "validate", str(config)],
        PREDICT: [*KERASRUN, "predict", str(image), "--model", str(model)],
        SCRIPT: script,
        SCRIPT_CALL: [*script, "call"],
        TRAIN: [*first_step, str(LENET), str(folder / "runs")],
        SCRIPT_FIT: [sys.executable, str(PEERS / "fit_first_step.py")],
    }


if __name__ == "__main__":
    main()
