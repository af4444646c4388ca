"""What it costs when data grow: an epoch for each image, and the time until the first step, of noise in MNIST's format.

An epoch of ten or a hundred times as many images is to take ten or a hundred times as long. The time until the first
step is to grow by no more than listing the files, or reading the one file that has an array.

Example: python -m benchmarks.scaling --rounds 7
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks import _workers
from benchmarks._command_line import parser_for, run_alone
from benchmarks._commands import run, with_overrides
from benchmarks._mnist import write_mnist, write_png
from benchmarks._rounds import spread, take_turns
from benchmarks._table import durations, print_table, with_spread

EXPERIMENT = Path(__file__).parent / "experiments" / "lenet_mnist.yaml"
PEERS = Path(__file__).parent / "peers"
TIMES = (1, 10, 100)
"""How many times as much data."""
FILES_SHARE = 10
"""So many images in IDX files for each PNG file."""
BATCH_SIZE = 128


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print both tables."""
    run_alone(argv, arguments, measure)


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = parser_for(__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each size; default: 5")
    parser.add_argument("--images", type=int, default=6000, help="of the smallest data; default: 6000")
    return parser.parse_args(argv)


def measure(given: argparse.Namespace) -> None:
    """Print a table of epochs and one of first steps."""
    with tempfile.TemporaryDirectory(prefix="kerasrun-benchmark-") as name:
        folder = Path(name)
        sizes = [given.images * times for times in TIMES]
        arrays = {f"{size:,} images": write_mnist(folder / f"arrays-{size}", *_noise(size)) for size in sizes}
        _epochs(arrays, given.rounds, folder)
        sizes = [given.images // FILES_SHARE * times for times in TIMES]
        files = {f"{size:,} PNG files": write_png(folder / f"files-{size}", *_noise(size)) for size in sizes}
        _first_steps(arrays, files, given.rounds, folder)


def _epochs(arrays: Mapping[str, Path], rounds: int, folder: Path) -> None:
    commands = {}
    for name, data in arrays.items():
        told = (f"data.idx.path={data}", f"fit.batch_size={BATCH_SIZE}", f"fit.epochs={rounds + 1}")
        output = str(folder / f"runs of {name}")
        commands[name] = [
            *(sys.executable, "-m", "benchmarks._kerasrun_epochs", str(EXPERIMENT), output),
            *with_overrides(*told),
        ]
    reports = _workers.measure(commands, rounds, folder, _workers.speed_told)
    # What is written at the end of an epoch is as large whatever the data are.
    microseconds = {
        name: [1e6 * report["without_saving"] / report["images"] for report in reports[name]] for name in arrays
    }
    print_table(
        f"LeNet, batch {BATCH_SIZE}: an epoch of more data, {rounds} rounds",
        ["", "µs an image", "least–most", "this / smallest", "in single rounds"],
        durations(microseconds, ".1f"),
    )


def _first_steps(arrays: Mapping[str, Path], files: Mapping[str, Path], rounds: int, folder: Path) -> None:
    sources = {name: json.dumps({"idx": {"path": str(data)}}) for name, data in arrays.items()}
    for name, data in files.items():
        sources[name] = json.dumps({"directory": {"path": str(data), "color_mode": "grayscale"}})
    starting, peer = {}, {}
    for name, data in {**arrays, **files}.items():
        told = with_overrides(f"data={sources[name]}", f"fit.batch_size={BATCH_SIZE}")
        worker = (sys.executable, "-m", "benchmarks._kerasrun_first_step")
        starting[name] = [*worker, str(EXPERIMENT), str(folder / "runs"), *told]
        script = "list_files.py" if name in files else "read_files.py"
        peer[name] = [sys.executable, str(PEERS / script), str(data)]

    def seconds(name: str) -> tuple[float, float]:
        took = run(starting[name]).seconds, run(peer[name]).seconds
        print(f"{name}: {took[0]:.2f} s, without which it cannot be {took[1]:.2f} s", file=sys.stderr, flush=True)
        return took

    measured = take_turns(list(starting), rounds, seconds)
    rows = []
    for name, took in measured.items():
        beyond = spread([whole - needed for whole, needed in took])
        needed = spread([needed for _, needed in took])
        rows.append(
            [name, *with_spread(spread([whole for whole, _ in took])), f"{needed.median:.2f}", *with_spread(beyond)]
        )
    header = ["", "seconds", "least–most", "listing files, reading arrays", "beyond that", "least–most"]
    print_table(f"kerasrun train: until the first step, {rounds} rounds", header, rows)


def _noise(count: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Images (examples, 28, 28) and labels (examples,); what is learned of them does not matter here."""
    images = np.random.default_rng(1).integers(0, 256, (count, 28, 28), dtype=np.uint8)
    return images, (np.arange(count) % 10).astype(np.uint8)


if __name__ == "__main__":
    main()
