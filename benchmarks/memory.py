"""Peak memory of whole trainings: kerasrun beside `fit` on arrays, and on a folder of photos larger than its cache.

MNIST: an epoch of LeNet by both. Photos: an epoch of a small network with a `cache.memory` of 0, of a tenth of what the
photos need, on all of them and on half, and as by default.

Example: python -m benchmarks.memory --mnist FOLDER --photos FOLDER
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks._command_line import parser_for, run_alone
from benchmarks._commands import KERASRUN, own_peak, run, with_overrides
from benchmarks._photos import TRAINING, VALIDATION, cut
from benchmarks._rounds import ratio, spread, take_turns
from benchmarks._table import print_table, with_spread

EXPERIMENTS = Path(__file__).parent / "experiments"
MB = 10**6
IMAGE_BYTES = 224 * 224 * 3
"""What a decoded photo takes, in bytes."""
TENTH = 10

Commands = Mapping[str, Callable[[Path], Sequence[str]]]
"""What runs under each name, given a folder to write to."""


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print both tables."""
    run_alone(argv, arguments, measure)


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = parser_for(__doc__)
    parser.add_argument("--mnist", type=Path, help="the folder with MNIST's IDX files")
    parser.add_argument("--photos", type=Path, help="train/ and val/, each with a folder for each class")
    parser.add_argument("--rounds", type=int, default=3, help="trainings of each contender; default: 3")
    parser.add_argument("--images", type=int, help="how many images or photos train; default: all")
    given = parser.parse_args(argv)
    if not (given.mnist or given.photos):
        parser.error("there is nothing to train on: give --mnist, --photos or both")
    return given


def measure(given: argparse.Namespace) -> None:
    """Print a table for each kind of data that is given."""
    with tempfile.TemporaryDirectory(prefix="kerasrun-benchmark-") as folder:
        if given.mnist:
            _mnist(given, Path(folder))
        if given.photos:
            _photos(given, Path(folder))


def _mnist(given: argparse.Namespace, folder: Path) -> None:
    from benchmarks._mnist import read_mnist, write_mnist

    data = write_mnist(folder / "idx", *(array[: given.images] for array in read_mnist(given.mnist, "train")))
    script = [
        *(sys.executable, "-m", "benchmarks.peers.fit_arrays", "--network", "lenet", "--data", str(data)),
        *("--batch-size", "32", "--epochs", "1"),
    ]
    commands: Commands = {
        "kerasrun train": lambda output: _train("lenet_mnist", output, f"data.idx.path={data}", "fit.epochs=1"),
        "fit on arrays": lambda output: script,
    }
    peaks = _peaks(commands, given.rounds, folder)
    ours = peaks["kerasrun train"]
    rows = [
        [name, *with_spread(spread(values), ",.0f"), *with_spread(ratio(ours, values))]
        for name, values in peaks.items()
    ]
    header = ["", "MB at most", "least–most", "kerasrun / this", "in single rounds"]
    print_table(f"Peak memory: LeNet on MNIST, an epoch, {given.rounds} rounds", header, rows)


def _photos(given: argparse.Namespace, folder: Path) -> None:
    photos = given.photos.absolute()
    data = cut(photos, folder / "photos", given.images)
    half = cut(data, folder / "half", _count(data, TRAINING) // 2)
    count = _count(data, TRAINING) + _count(data, VALIDATION)
    needed = count * IMAGE_BYTES
    tenth = f"cache.memory={needed / TENTH / MB:.1f}MB"

    def training(data: Path, *overrides: str) -> Callable[[Path], Sequence[str]]:
        told = (f"data.directory.path={data}", "augmentation=null", *overrides)
        return lambda output: _train("photos", output, *told)

    nothing = "nothing kept"
    commands = {
        nothing: training(data, "cache.memory=0"),
        f"a tenth may be kept: {needed / TENTH / MB:,.0f} MB": training(data, tenth),
        "the same, of half the photos": training(half, tenth),
        "as by default": training(data),
    }
    peaks = _peaks(commands, given.rounds, folder)
    rows = []
    for name, values in peaks.items():
        more = [value - without for value, without in zip(values, peaks[nothing], strict=True)]
        rows.append([name, *with_spread(spread(values), ",.0f"), *(with_spread(spread(more), "+,.0f"))])
    header = ["cache.memory", "MB at most", "least–most", "more than with nothing kept", "in single rounds"]
    title = f"Peak memory: an epoch on {count:,} photos, decoded {needed / MB:,.0f} MB, {given.rounds} rounds"
    print_table(title, header, rows)


def _peaks(commands: Commands, rounds: int, folder: Path) -> dict[str, list[float]]:
    """The most memory of each contender in every round, in MB."""

    def peak(name: str) -> float:
        with tempfile.TemporaryDirectory(dir=folder) as output:
            # A script that waits for its turn is told at once that it has come.
            used = run(commands[name](Path(output)), stdin="epoch\n").peak / MB
        if used <= own_peak() / MB:
            raise SystemExit(
                "this process has had more memory than what it measures: run `benchmarks.memory` by itself"
            )
        print(f"{name}: {used:,.0f} MB", file=sys.stderr, flush=True)
        return used

    return take_turns(list(commands), rounds, peak)


def _train(experiment: str, output: Path, *overrides: str) -> list[str]:
    file = EXPERIMENTS / f"{experiment}.yaml"
    return [*KERASRUN, "train", str(file), *with_overrides(*overrides), "-o", str(output)]


def _count(photos: Path, split: str) -> int:
    return sum(1 for _ in (photos / split).glob("*/*"))


if __name__ == "__main__":
    main()
