"""Images a second in training on MNIST: kerasrun beside `fit`, `ImageDataGenerator`, PyTorch, the step alone.

Every contender trains the same network on the same images in a process that stays alive, one epoch a round. The first
epoch of each, in which its graph is traced, does not count. A ratio above 1 says that kerasrun is faster.

Example: python -m benchmarks.training --data FOLDER --rounds 7
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
from benchmarks._table import SPEEDS, print_table, speeds

EXPERIMENTS = Path(__file__).parent / "experiments"
OURS = "kerasrun"
OURS_WITHOUT_SAVING = "kerasrun, without saving"
PEERS = {
    "fit_arrays": "fit on arrays",
    "fit_fused": "fit on arrays, oneDNN, 100 steps a call",
    "image_data_generator": "ImageDataGenerator.flow_from_directory",
    "fused_step": "the train step alone, oneDNN, one batch, fused",
    "torch_eager": "PyTorch, eager",
}


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print a table for every batch size."""
    run_alone(argv, arguments, measure)


def measure(given: argparse.Namespace) -> None:
    """Print a table for every network and batch size."""
    peers = [name for name in given.peers if name != "torch_eager" or is_installed("torch")]
    with tempfile.TemporaryDirectory(prefix="kerasrun-benchmark-") as folder:
        data = _write_data(given.data.absolute(), Path(folder), given.images, "image_data_generator" in peers)
        for network in given.network:
            for batch_size in given.batch_size:
                private = Path(folder, f"{network}-{batch_size}")
                private.mkdir()
                measured = _measure(network, peers, batch_size, given.rounds, data, private)
                images = f"{given.images:,}" if given.images else "all"
                title = f"{network} on MNIST, {images} images, batch {batch_size}, {given.rounds} rounds"
                print_table(title, SPEEDS, speeds(measured))


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = parser_for(__doc__)
    parser.add_argument("--data", type=existing_folder, required=True, help="the folder with MNIST's IDX files")
    parser.add_argument("--network", nargs="+", choices=["lenet", "mlp"], default=["lenet"], help="default: lenet")
    parser.add_argument("--batch-size", type=int, nargs="+", default=[32], help="one table for each; default: 32")
    parser.add_argument("--rounds", type=int, default=5, help="epochs of each contender that count; default: 5")
    parser.add_argument("--images", type=int, help="how many images make an epoch; default: all")
    parser.add_argument("--peers", nargs="*", choices=list(PEERS), default=list(PEERS), help="default: all")
    return parser.parse_args(argv)


def _write_data(source: Path, folder: Path, images: int | None, png: bool) -> dict[str, Path]:
    """The same training images for all, as each contender wants them; one folder each."""
    from benchmarks._mnist import read_mnist, write_mnist, write_png

    x, y = (array[:images] for array in read_mnist(source, "train"))
    idx = write_mnist(folder / "idx", x, y)
    folders = dict.fromkeys((OURS, *PEERS), idx)
    if png:
        print(f"writing {len(x):,} PNG files for ImageDataGenerator", file=sys.stderr)
        folders["image_data_generator"] = write_png(folder / "png", x, y)
    return folders


def _measure(
    network: str, peers: Sequence[str], batch_size: int, rounds: int, data: dict[str, Path], folder: Path
) -> dict[str, list[float]]:
    """Images a second of every contender in every round, under the names that the table shows."""
    epochs = rounds + 1
    overrides = (f"data.idx.path={data[OURS]}", f"fit.batch_size={batch_size}", f"fit.epochs={epochs}")
    file = EXPERIMENTS / f"{network}_mnist.yaml"
    ours = [sys.executable, "-m", "benchmarks._kerasrun_epochs", str(file), str(folder), *with_overrides(*overrides)]
    commands = {OURS: ours}
    for name in peers:
        commands[PEERS[name]] = [
            *(sys.executable, "-m", f"benchmarks.peers.{name}", "--network", network, "--data", str(data[name])),
            *("--batch-size", str(batch_size), "--epochs", str(epochs)),
        ]
    reports = _workers.measure(commands, rounds, folder, _workers.speed_told)
    measured = {name: [_workers.images_per_second(report) for report in reports[name]] for name in commands}
    without_saving = [report["images"] / report["without_saving"] for report in reports[OURS]]
    return {OURS: measured.pop(OURS), OURS_WITHOUT_SAVING: without_saving, **measured}


if __name__ == "__main__":
    main()
