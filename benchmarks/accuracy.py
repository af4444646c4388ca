"""Accuracy on MNIST's test images: kerasrun beside a hand-written Keras script, for several seeds.

Both train the same network with the same optimizer, batch size and epochs on all training images; the draws that
follow from a seed are not the same in both. Differences are in points of a hundred.

Example: python -m benchmarks.accuracy --data FOLDER --seeds 1 2 3
"""

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks._command_line import existing_folder, parser_for
from benchmarks._commands import KERASRUN, only_run, run, with_overrides
from benchmarks._table import print_machine, print_table

EXPERIMENTS = Path(__file__).parent / "experiments"
BATCH_SIZES = {"lenet": 32, "mlp": 256}
HEADER = ["", "last.keras", "best.keras", "Keras script", "last − script"]


def main(argv: Sequence[str] | None = None) -> None:
    """Train everything and print a table for each network."""
    given = _arguments(argv)
    print_machine()
    for network in given.networks:
        rows = [_accuracies(network, seed, given.data.absolute(), given.epochs) for seed in given.seeds]
        print_table(
            f"{network} on MNIST, batch {BATCH_SIZES[network]}, {given.epochs} epochs: test accuracy",
            HEADER,
            table_rows(given.seeds, rows),
        )


def table_rows(seeds: Sequence[int], accuracies: Sequence[Sequence[float]]) -> list[list[str]]:
    """A row for each seed and one of medians.

    Args:
        accuracies: for each seed those of `last.keras`, of `best.keras` and of the script.
    """
    medians = [statistics.median(column) for column in zip(*accuracies, strict=True)]
    names = [*(f"seed {seed}" for seed in seeds), "median"]
    return [
        [name, *(f"{value:.4f}" for value in row), f"{100 * (row[0] - row[2]):+.2f}"]
        for name, row in zip(names, [*accuracies, medians], strict=True)
    ]


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = parser_for(__doc__)
    parser.add_argument("--data", type=existing_folder, required=True, help="the folder with MNIST's four IDX files")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], help="default: 1 2 3")
    parser.add_argument("--epochs", type=int, default=5, help="default: 5")
    parser.add_argument("--networks", nargs="+", choices=list(BATCH_SIZES), default=list(BATCH_SIZES))
    return parser.parse_args(argv)


def _accuracies(network: str, seed: int, data: Path, epochs: int) -> list[float]:
    """Of `last.keras`, of `best.keras` and of the script."""
    with tempfile.TemporaryDirectory(prefix="kerasrun-benchmark-") as folder:
        file = EXPERIMENTS / f"{network}_mnist.yaml"
        overrides = (
            *(f"seed={seed}", f"fit.epochs={epochs}", f"fit.batch_size={BATCH_SIZES[network]}"),
            f"data.idx.path={data}",
        )
        run([*KERASRUN, "train", str(file), *with_overrides(*overrides), "-o", folder])
        trained = str(only_run(Path(folder)))
        last = _json(*KERASRUN, "evaluate", trained, "--last", "--json")["metrics"]["accuracy"]
        best = _json(*KERASRUN, "evaluate", trained, "--json")["metrics"]["accuracy"]
    script = _json(
        *(sys.executable, "-m", "benchmarks.peers.mnist_accuracy", "--network", network, "--data", str(data)),
        *("--batch-size", str(BATCH_SIZES[network]), "--epochs", str(epochs), "--seed", str(seed)),
    )["accuracy"]
    print(f"{network}, seed {seed}: {last:.4f} {best:.4f} {script:.4f}", file=sys.stderr, flush=True)
    return [last, best, script]


def _json(*command: str) -> Any:
    return json.loads(run(command).output)


if __name__ == "__main__":
    main()
