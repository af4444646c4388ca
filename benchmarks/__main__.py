"""The whole table in one run: every benchmark of speed and memory, one after the other, on the data that are given.

What there are no data for is skipped with a word. Accuracy, checkpoints and operators have commands of their own. All
of it takes about 25 minutes on two cores that do nothing else; `--only` chooses.

Example: python -m benchmarks --mnist FOLDER --photos FOLDER --weights FILE --membranes FOLDER
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from benchmarks import epochs, evaluation, finetune, memory, photos, scaling, startup, sweep, training, unet, workers
from benchmarks._commands import ROOT
from benchmarks._table import print_machine

SLOW_PEERS = ("image_data_generator",)
"""Of training; they are compared at one batch size, where they take as long as all others together."""


@dataclass(frozen=True)
class Part:
    """A benchmark, and what it is told beside the rounds."""

    benchmark: ModuleType
    needs: str | None
    """The option that names its data."""
    arguments: Sequence[str] = ()
    option: str = "--data"
    """How the benchmark calls them."""

    @property
    def name(self) -> str:
        return self.benchmark.__name__.rpartition(".")[2]


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print every table."""
    given = _arguments(argv)
    print_machine()
    parts = [part for part in _parts(given) if part.name in given.only]
    missing = {(part.name, part.needs) for part in parts if part.needs and getattr(given, part.needs) is None}
    for name, option in sorted(missing):
        print(f"{name}: skipped, since --{option} is not given\n", flush=True)
    for part in parts:
        if (part.name, part.needs) not in missing:
            data = [part.option, str(getattr(given, part.needs))] if part.needs else []
            part.benchmark.measure(part.benchmark.arguments([*data, "--rounds", str(given.rounds), *part.arguments]))


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    names = list(dict.fromkeys(part.name for part in _parts(argparse.Namespace(weights=None))))
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mnist", type=Path, metavar="FOLDER", help="MNIST's four IDX files")
    parser.add_argument("--photos", type=Path, metavar="FOLDER", help="train/ and val/, each with two class folders")
    parser.add_argument("--weights", type=Path, metavar="FILE", help="of MobileNet, alpha 0.25; default: random")
    parser.add_argument("--membranes", type=Path, metavar="FOLDER", help="image/ and label/ of cell membranes")
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each contender; default: 5")
    parser.add_argument("--only", nargs="+", choices=names, default=names, help="default: all of them")
    return parser.parse_args(argv)


def _parts(given: argparse.Namespace) -> list[Part]:
    largest = max((ROOT / "configs").glob("*.yaml"), key=lambda file: file.stat().st_size)
    quick_peers = [name for name in training.PEERS if name not in SLOW_PEERS]
    others = ("--batch-size", "128", "1024", "--peers", *quick_peers)
    weights = ("--weights", str(given.weights)) if given.weights else ()
    return [
        # First, while this process is small: a command's memory cannot be told where its parent had more.
        Part(memory, "mnist", option="--mnist"),
        Part(memory, "photos", ("--images", "800"), option="--photos"),
        Part(startup, None, ("--config", str(largest))),
        Part(epochs, None),
        Part(training, "mnist"),
        Part(training, "mnist", others),
        Part(training, "mnist", ("--network", "mlp", "--images", "30000", "--batch-size", "32", *others[1:])),
        Part(photos, "photos"),
        Part(finetune, "photos", ("--network", "mobilenet", *weights)),
        Part(finetune, "photos", ("--network", "vgg16", "--images", "400")),
        Part(unet, "membranes"),
        Part(evaluation, "mnist"),
        Part(scaling, None),
        Part(workers, None),
        Part(sweep, None, ("--no-memory",)),
    ]


if __name__ == "__main__":
    main()
