"""Images a second in training on MNIST: kerasrun beside `fit` on arrays, `ImageDataGenerator`.

Every contender trains the same network on the same images in a process that stays alive, one epoch a round. The first
epoch of each, in which its graph is traced, does not count. A ratio above 1 says that kerasrun is faster.

Example: python -m benchmarks.training --data FOLDER --rounds 7
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks._rounds import ratio, spread, take_turns
from benchmarks._table import print_table, with_spread
from benchmarks._workers import Worker

EXPERIMENTS = Path(__file__).parent / "experiments"
OURS = "kerasrun"
OURS_WITHOUT_SAVING = "kerasrun, without saving"
PEERS = {
    "fit_arrays": "fit on arrays",
    "fit_fused": "fit on arrays, 100 steps a call",
    "image_data_generator": "ImageDataGenerator.flow_from_directory",
}


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print a table for every batch size."""
    given = _arguments(argv)
    with tempfile.TemporaryDirectory(prefix="kerasrun-benchmark-") as folder:
        data = _write_data(given.data.absolute(), Path(folder), given.images, "image_data_generator" in given.peers)
        for batch_size in given.batch_size:
            private = Path(folder, str(batch_size))
            private.mkdir()
            measured = _measure(given, batch_size, data, private)
            images = f"{given.images:,}" if given.images else "all"
            print_table(
                f"{given.network} on MNIST, {images} images, batch {batch_size}, {given.rounds} rounds",
                ["", "images/s", "least–most", "kerasrun / this", "in single rounds"],
                _rows(measured),
            )
            print()


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder with MNIST's IDX files")
    parser.add_argument("--network", choices=["lenet", "mlp"], default="lenet", help="default: lenet")
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


def _measure(given: argparse.Namespace, batch_size: int, data: dict[str, Path], folder: Path) -> dict[str, list[float]]:
    """Images a second of every contender in every round, under the names that the table shows."""
    without_saving = []

    def images_per_second(name: str) -> float:
        report = workers[name].epoch()
        if name == OURS:
            without_saving.append(report["images"] / report["without_saving"])
        speed = report["images"] / report["seconds"]
        print(f"{name}: {speed:,.0f} images/s", file=sys.stderr, flush=True)
        return speed

    with ExitStack() as stack:
        workers: dict[str, Worker] = {}
        for name in (OURS, *given.peers):
            command = _command(name, given, batch_size, data[name], folder)
            workers[name] = stack.enter_context(Worker(command, folder / f"{name}.log"))
            workers[name].epoch()  # traces; the next contender starts when this is done
        measured = take_turns(list(workers), given.rounds, images_per_second)
    return {
        OURS: measured[OURS],
        OURS_WITHOUT_SAVING: without_saving,
        **{PEERS[name]: measured[name] for name in given.peers},
    }


def _command(name: str, given: argparse.Namespace, batch_size: int, data: Path, folder: Path) -> list[str]:
    epochs = given.rounds + 1
    if name == OURS:
        file = EXPERIMENTS / f"{given.network}_mnist.yaml"
        overrides = (f"data.idx.path={data}", f"fit.batch_size={batch_size}", f"fit.epochs={epochs}")
        return [
            *(sys.executable, "-m", "benchmarks._kerasrun_epochs", str(file), str(folder / "runs")),
            *(argument for override in overrides for argument in ("-s", override)),
        ]
    return [
        *(sys.executable, "-m", f"benchmarks.peers.{name}", "--network", given.network, "--data", str(data)),
        *("--batch-size", str(batch_size), "--epochs", str(epochs)),
    ]


def _rows(measured: dict[str, list[float]]) -> list[list[str]]:
    ours = measured[OURS]
    rows = []
    for name, speeds in measured.items():
        compared = ("", "") if name == OURS else with_spread(ratio(ours, speeds))
        rows.append([name, *with_spread(spread(speeds), ",.0f"), *compared])
    return rows


if __name__ == "__main__":
    main()
