"""Seconds of training lost per checkpoint: kerasrun beside Keras's BackupAndRestore and ModelCheckpoint.

VGG16's convolutions with Adam, a state of 178 MB. Contenders live in processes of their own and take turns; in a turn
each trains six epochs, the third of which ends with a checkpoint: see `_saving`.

Example: python -m benchmarks.checkpoint --rounds 9
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks._command_line import parser_for
from benchmarks._commands import with_overrides
from benchmarks._rounds import ratio, spread
from benchmarks._saving import EPOCHS, WARM_UP
from benchmarks._table import print_machine, print_table, with_spread
from benchmarks._workers import Report, measure

EXPERIMENT = Path(__file__).parent / "experiments" / "vgg16_all.yaml"
OURS = "kerasrun"
PEERS = ("BackupAndRestore", "ModelCheckpoint")
NEVER = 10**6  # seconds
CLASSES = 2


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print the table."""
    given = _arguments(argv)
    print_machine()
    with tempfile.TemporaryDirectory(prefix="kerasrun-benchmark-", dir=given.folder) as folder:
        costs = _measure(given, Path(folder))
    ours = [measured["stopped"] for measured in costs[OURS]]
    rows = []
    for name, measured in costs.items():
        stopped = [one["stopped"] for one in measured]
        against = ("", "") if name == OURS else with_spread(ratio(ours, stopped))
        lost = with_spread(spread([one["lost"] for one in measured]), ".1f")
        rows.append([name, *with_spread(spread(stopped), ".3f"), *against, *lost])
    print_table(
        f"Seconds that a checkpoint costs, VGG16 with Adam, {given.side}×{given.side}, {given.rounds} rounds",
        ["", "training stops", "least–most", "kerasrun / this", "in single rounds", "by epochs", "least–most"],
        rows,
    )


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = parser_for(__doc__)
    parser.add_argument("--rounds", type=int, default=9, help="checkpoints of each contender that count; default: 9")
    parser.add_argument("--steps", type=int, default=20, help="steps in an epoch; default: 20")
    parser.add_argument("--batch-size", type=int, default=8, help="default: 8")
    parser.add_argument("--side", type=int, default=32, help="height and width of the images; default: 32")
    parser.add_argument("--folder", type=Path, help="on which disk to save; default: the temporary folder's")
    return parser.parse_args(argv)


def _measure(given: argparse.Namespace, folder: Path) -> dict[str, list[Report]]:
    """What a checkpoint costs each contender, in every round."""
    data = _write_images(folder / "images.npz", given)
    commands = {OURS: _ours(given, data, folder), **{name: _peer(name, given, data, folder) for name in PEERS}}

    return measure(commands, given.rounds, folder, _told)


def _told(report: Report) -> str:
    return f"stops {report['stopped']:.3f} s, by epochs {report['lost']:.2f} of {report['epoch']:.2f} s"


def _write_images(path: Path, given: argparse.Namespace) -> Path:
    """Noise with random labels: what is learned does not matter here."""
    draw = np.random.default_rng(1)
    count = given.batch_size * given.steps
    images = draw.integers(0, 256, (count, given.side, given.side, 3), dtype=np.uint8)
    np.savez(path, x_train=images, y_train=np.arange(count) % CLASSES)
    return path


def _ours(given: argparse.Namespace, data: Path, folder: Path) -> list[str]:
    overrides = (
        *(f"data.npz.path={data}", f"fit.batch_size={given.batch_size}", f"fit.epochs={_epochs(given)}"),
        *(f"checkpoint.epochs={EPOCHS}", f"checkpoint.seconds={NEVER}"),
    )
    return [
        *(sys.executable, "-m", "benchmarks._kerasrun_checkpoints", str(EXPERIMENT), str(folder / "runs")),
        *with_overrides(*overrides),
    ]


def _peer(saving: str, given: argparse.Namespace, data: Path, folder: Path) -> list[str]:
    return [
        *(sys.executable, "-m", "benchmarks.peers.saving", saving, "--data", str(data), "--folder", str(folder)),
        *("--batch-size", str(given.batch_size), "--epochs", str(_epochs(given))),
    ]


def _epochs(given: argparse.Namespace) -> int:
    return int(WARM_UP + given.rounds * EPOCHS)


if __name__ == "__main__":
    main()
