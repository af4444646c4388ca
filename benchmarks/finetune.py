"""Seconds of an epoch of fine-tuning with frozen layers: kerasrun beside the usual script, `fit` on a folder of photos.

MobileNet of a quarter of the width at 224×224, and VGG16 at 64×64. An epoch is one of training and one of validation;
the first does not count, in which kerasrun computes what is frozen, and both trace. A ratio says how many times as long
the script takes.

Example: python -m benchmarks.finetune --data FOLDER --weights mobilenet_2_5_224_tf_no_top.h5
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks import _workers
from benchmarks._command_line import existing_folder, parser_for, run_alone
from benchmarks._commands import with_overrides
from benchmarks._photos import cut
from benchmarks._table import DURATIONS, durations, print_table

EXPERIMENTS = Path(__file__).parent / "experiments"
OURS = "kerasrun"
SCRIPT = "script: frozen layers in each epoch"
NETWORKS = {"mobilenet": "MobileNet", "vgg16": "VGG16"}


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print a table for each network."""
    run_alone(argv, arguments, measure)


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = parser_for(__doc__)
    layout = "train/ and val/, each with a folder for each class"
    parser.add_argument("--data", type=existing_folder, required=True, help=layout)
    parser.add_argument("--weights", type=Path, help="of MobileNet, alpha 0.25, without its top; default: random")
    parser.add_argument("--vgg16-weights", type=Path, help="of VGG16 without its top; default: random")
    parser.add_argument("--network", nargs="+", choices=list(NETWORKS), default=list(NETWORKS), help="default: both")
    parser.add_argument("--rounds", type=int, default=5, help="epochs of each contender that count; default: 5")
    parser.add_argument("--images", type=int, help="how many photos train; a quarter as many validate; default: all")
    return parser.parse_args(argv)


def measure(given: argparse.Namespace) -> None:
    """Print a table for each network."""
    weights = {"mobilenet": given.weights, "vgg16": given.vgg16_weights}
    with tempfile.TemporaryDirectory(prefix="kerasrun-benchmark-") as folder:
        data = cut(given.data.absolute(), Path(folder, "photos"), given.images)
        for network in given.network:
            private = Path(folder, network)
            private.mkdir()
            commands = _commands(network, data, weights[network], given.rounds + 1, private)
            reports = _workers.measure(commands, given.rounds, private, _told)
            rows = durations({name: [report["seconds"] for report in reports[name]] for name in commands})
            accuracy = [f"{reports[name][-1]['val_accuracy']:.4f}" for name in commands]
            photos = f"{reports[OURS][0]['images']:,} photos{'' if weights[network] else ', random weights'}"
            print_table(
                f"Frozen {NETWORKS[network]}, {photos}: an epoch after the first, {given.rounds} rounds",
                [*DURATIONS, f"val_accuracy after {given.rounds + 1} epochs"],
                [[*row, value] for row, value in zip(rows, accuracy, strict=True)],
            )


def _told(report: _workers.Report) -> str:
    return f"{report['seconds']:.2f} s, val_accuracy {report['val_accuracy']:.4f}"


def _commands(network: str, data: Path, weights: Path | None, epochs: int, folder: Path) -> dict[str, list[str]]:
    file = weights.absolute() if weights else None
    overrides = (
        *(f"data.directory.path={data}", f"model.{NETWORKS[network]}.weights={file or 'null'}"),
        f"fit.epochs={epochs}",
    )
    experiment = EXPERIMENTS / f"{network}_cats_dogs.yaml"
    ours = ("benchmarks._kerasrun_epochs", str(experiment), str(folder), *with_overrides(*overrides))
    script = ("benchmarks.peers.frozen_photos", network, "--data", str(data), "--epochs", str(epochs))
    options = ("--weights", str(file)) if file else ()
    return {OURS: [sys.executable, "-m", *ours], SCRIPT: [sys.executable, "-m", *script, *options]}


if __name__ == "__main__":
    main()
