"""Evaluation and prediction: kerasrun beside `model.evaluate` and `model.predict` in the shortest scripts.

`evaluate` on MNIST's 10,000 test images: images a second where everything is loaded and traced, and seconds of the
whole command. `predict` on a folder of image files: seconds of the whole command. All use one LeNet, trained for a few
steps. Each contender is measured once a round, after a round that does not count.

Example: python -m benchmarks.evaluation --data FOLDER --rounds 7
"""

import argparse
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks import _workers
from benchmarks._command_line import existing_folder, parser_for, run_alone
from benchmarks._commands import KERASRUN, only_run, run, with_overrides
from benchmarks._mnist import read_mnist, write_png
from benchmarks._rounds import take_turns
from benchmarks._table import DURATIONS, SPEEDS, durations, print_table, speeds

EXPERIMENT = Path(__file__).parent / "experiments" / "lenet_mnist.yaml"
EVALUATE, PREDICT = "kerasrun evaluate RUN", "kerasrun predict FOLDER"
EVALUATING = {"script: model.evaluate on arrays": "evaluate_script"}
EVALUATING_AGAIN = "evaluate_arrays"
PREDICTING = {
    "script: load_img, model.predict": "predict_files",
    "script: image_dataset_from_directory": "predict_dataset",
}


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print the tables."""
    run_alone(argv, arguments, measure)


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = parser_for(__doc__)
    parser.add_argument("--data", type=existing_folder, required=True, help="the folder with MNIST's four IDX files")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each command that count; default: 5")
    parser.add_argument("--files", type=int, default=1000, help="how many images are predicted; default: 1000")
    return parser.parse_args(argv)


def measure(given: argparse.Namespace) -> None:
    """Print two tables of `evaluate` and one of `predict`."""
    data = given.data.absolute()
    with tempfile.TemporaryDirectory(prefix="kerasrun-benchmark-") as name:
        folder = Path(name)
        trained = _train(data, folder / "runs")
        model = str(trained / "best.keras")
        _evaluating(trained, model, data, given.rounds, folder)
        commands = {EVALUATE: [*KERASRUN, "evaluate", str(trained)], **_scripts(EVALUATING, model, data)}
        _compare("Evaluation of MNIST's 10,000 test images, the whole command", commands, given.rounds)
        images, labels = (array[: given.files] for array in read_mnist(data, "test"))
        files = write_png(folder / "files", images, labels)
        commands = {PREDICT: [*KERASRUN, "predict", str(files), "--model", model], **_scripts(PREDICTING, model, files)}
        _compare(f"Prediction of {len(images):,} image files", commands, given.rounds)


def _train(data: Path, output: Path) -> Path:
    """A run of a few steps: accuracy does not matter here."""
    told = with_overrides(f"data.idx.path={data}", "fit.epochs=1", "fit.steps_per_epoch=10")
    run([*KERASRUN, "train", str(EXPERIMENT), *told, "-o", str(output)])
    return only_run(output)


def _evaluating(trained: Path, model: str, data: Path, rounds: int, folder: Path) -> None:
    """The evaluation alone, in processes that stay alive."""
    module, times = [sys.executable, "-m"], str(rounds + 1)
    commands = {
        "kerasrun": [*module, "benchmarks._kerasrun_evaluations", str(trained), times],
        "model.evaluate on arrays": [*module, f"benchmarks.peers.{EVALUATING_AGAIN}", model, str(data), times],
    }
    reports = _workers.measure(commands, rounds, folder, _workers.speed_told)
    measured = {name: [_workers.images_per_second(report) for report in reports[name]] for name in commands}
    print_table(
        f"Evaluation of MNIST's 10,000 test images, without start-up, {rounds} rounds", SPEEDS, speeds(measured)
    )


def _scripts(peers: Mapping[str, str], model: str, data: Path) -> dict[str, list[str]]:
    return {name: [sys.executable, "-m", f"benchmarks.peers.{peer}", model, str(data)] for name, peer in peers.items()}


def _compare(title: str, commands: Mapping[str, Sequence[str]], rounds: int) -> None:
    def seconds(name: str) -> float:
        took = run(commands[name]).seconds
        print(f"{name}: {took:.2f} s", file=sys.stderr, flush=True)
        return took

    for name in commands:
        seconds(name)
    print_table(f"{title}, {rounds} rounds", DURATIONS, durations(take_turns(list(commands), rounds, seconds)))


if __name__ == "__main__":
    main()
