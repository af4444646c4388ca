"""What it costs to share a batch: milliseconds and bytes of a step, for one process, several, and several shards.

All processes are on one machine and share its cores, so that more of them are no faster here: what is to be seen is
what it costs to gather outputs and to add up gradients. The images are noise in MNIST's format.

Example: python -m benchmarks.workers --rounds 5
"""

import argparse
import csv
import math
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks._command_line import parser_for, run_alone
from benchmarks._commands import KERASRUN, run, with_overrides
from benchmarks._mnist import write_mnist
from benchmarks._rounds import ratio, spread, take_turns
from benchmarks._table import print_table, with_spread

EXPERIMENTS = Path(__file__).parent / "experiments"
EPOCHS = 4
CONTENDERS = {
    "one process": (),
    "1 process, 4 shards": ("--shards", "4"),
    "2 workers": ("--workers", "2"),
    "2 workers, 4 shards": ("--workers", "2", "--shards", "4"),
    "4 workers": ("--workers", "4"),
}
LOOPBACK = Path("/proc/net/dev")


@dataclass(frozen=True)
class Step:
    """What a step took."""

    milliseconds: float
    kilobytes: float
    """Sent over the loopback device, by whoever: what starts and ends a run is in it."""


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print a table for each network."""
    run_alone(argv, arguments, measure)


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = parser_for(__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each contender; default: 5")
    parser.add_argument("--images", type=int, default=12_800, help="default: 12800")
    parser.add_argument("--batch-size", type=int, default=128, help="of all processes together; default: 128")
    parser.add_argument("--network", nargs="+", choices=("lenet", "mlp"), default=("lenet", "mlp"))
    return parser.parse_args(argv)


def measure(given: argparse.Namespace) -> None:
    """Print a table of each network."""
    steps = math.ceil(given.images / given.batch_size)
    with tempfile.TemporaryDirectory(prefix="kerasrun-benchmark-") as name:
        folder = Path(name)
        images = np.random.default_rng(1).integers(0, 256, (given.images, 28, 28), dtype=np.uint8)
        data = write_mnist(folder / "data", images, (np.arange(given.images) % 10).astype(np.uint8))
        told = with_overrides(f"data.idx.path={data}", f"fit.batch_size={given.batch_size}", f"fit.epochs={EPOCHS}")
        for network in given.network:
            command = [*KERASRUN, "-q", "train", str(EXPERIMENTS / f"{network}_mnist.yaml"), *told]

            def step(name: str, command: Sequence[str] = command) -> Step:
                found = _measured([*command, *CONTENDERS[name]], folder / "runs", steps)
                print(f"{name}: {found.milliseconds:.1f} ms a step", file=sys.stderr, flush=True)
                return found

            measured = take_turns(list(CONTENDERS), given.rounds, step)
            first = [one.milliseconds for one in measured["one process"]]
            rows = []
            for name, found in measured.items():
                times = [one.milliseconds for one in found]
                kilobytes = statistics.median(one.kilobytes for one in found)
                rows.append(
                    [name, *with_spread(spread(times), ".1f"), *with_spread(ratio(times, first)), f"{kilobytes:,.0f}"]
                )
            print_table(
                f"{network}, batch {given.batch_size}: a step, {given.rounds} rounds",
                ["", "ms", "least–most", "this / one process", "in single rounds", "KB"],
                rows,
            )


def _measured(command: Sequence[str], output: Path, steps: int) -> Step:
    """Train, and measure a step of the epochs after the first, which traces."""
    before = _sent()
    made = run([*command, "-o", str(output)]).output.strip()
    kilobytes = (_sent() - before) / 1000 / (EPOCHS * steps)
    rows = list(csv.DictReader((Path(made) / "timings.csv").read_text(encoding="utf-8").splitlines()))
    return Step(1000 * statistics.median(float(row["seconds"]) for row in rows[1:]) / steps, kilobytes)


def _sent() -> int:
    """Bytes that the loopback device has sent so far."""
    line = next(line for line in LOOPBACK.read_text(encoding="ascii").splitlines() if line.strip().startswith("lo:"))
    return int(line.partition(":")[2].split()[8])


if __name__ == "__main__":
    main()
