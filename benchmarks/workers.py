"""What it costs to share a batch: milliseconds and bytes of a step, for one process, several, and several shards.

Beside them PyTorch's DistributedDataParallel by gloo, and `fit` under TensorFlow's strategies. All processes are on one
machine and share its cores, so that more of them are no faster here: what is to be seen is what it costs to gather
outputs and to add up gradients. The images are noise in MNIST's format. Run by root, all of them have a network of
their own; else the bytes of others count as well.

Example: python -m benchmarks.workers --rounds 5
"""

import argparse
import csv
import ctypes
import json
import math
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks._command_line import parser_for, run_alone
from benchmarks._commands import KERASRUN, run, with_overrides
from benchmarks._mnist import write_mnist
from benchmarks._optional import is_installed
from benchmarks._rounds import ratio, spread, take_turns
from benchmarks._table import print_table, with_spread
from benchmarks._turn import ANSWER

EXPERIMENTS = Path(__file__).parent / "experiments"
EPOCHS = 4
CONTENDERS = {
    "one process": (),
    "1 process, 4 shards": ("--shards", "4"),
    "2 workers": ("--workers", "2"),
    "2 workers, float16": ("--workers", "2", "-s", "compress=float16"),
    "2 workers, 4 shards": ("--workers", "2", "--shards", "4"),
    "4 workers": ("--workers", "4"),
}
PEERS = {
    f"{name}, {count}": (module, [*peer, "--workers", str(count)])
    for count in (2, 4)
    for name, module, *peer in (
        ("PyTorch DDP, gloo", "torch", "torch_ddp"),
        ("fit, MultiWorkerMirroredStrategy", "tf_keras", "fit_strategy", "--strategy", "multi_worker"),
        ("fit, MirroredStrategy", "tf_keras", "fit_strategy", "--strategy", "mirrored"),
    )
}
"""What each needs, and its page with arguments of its own."""
LOOPBACK = Path("/proc/net/dev")
_NEW_NETWORK = 0x40000000
"""`CLONE_NEWNET` of unshare(2)."""


@dataclass(frozen=True)
class Step:
    """What a step took."""

    milliseconds: float
    kilobytes: float
    """Sent over the loopback device: what starts and ends a run is in it."""


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print a table for each network."""
    run_alone(argv, arguments, measure)


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = parser_for(__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each contender; default: 5")
    parser.add_argument("--images", type=int, default=12_800, help="default: 12800")
    parser.add_argument("--batch-size", type=int, default=128, help="of all processes together; default: 128")
    parser.add_argument(
        "--contenders", nargs="*", choices=[*CONTENDERS, *PEERS], help="default: all that are installed"
    )
    parser.add_argument("--network", nargs="+", choices=("lenet", "mlp"), default=("lenet", "mlp"))
    return parser.parse_args(argv)


def measure(given: argparse.Namespace) -> None:
    """Print a table of each network."""
    _leave_the_network()
    there = {module for module in dict.fromkeys(module for module, _ in PEERS.values()) if is_installed(module)}
    all_there = [*CONTENDERS, *(name for name, (module, _) in PEERS.items() if module in there)]
    contenders = [name for name in all_there if given.contenders is None or name in given.contenders]
    steps = math.ceil(given.images / given.batch_size)
    with tempfile.TemporaryDirectory(prefix="kerasrun-benchmark-") as name:
        folder = Path(name)
        images = np.random.default_rng(1).integers(0, 256, (given.images, 28, 28), dtype=np.uint8)
        data = write_mnist(folder / "data", images, (np.arange(given.images) % 10).astype(np.uint8))
        told = with_overrides(f"data.idx.path={data}", f"fit.batch_size={given.batch_size}", f"fit.epochs={EPOCHS}")
        for network in given.network:
            ours = [*KERASRUN, "-q", "train", str(EXPERIMENTS / f"{network}_mnist.yaml"), *told]
            theirs = [f"--network={network}", f"--data={data}", f"--batch-size={given.batch_size}"]

            def step(name: str, ours: Sequence[str] = ours, theirs: Sequence[str] = theirs) -> Step:
                if name in CONTENDERS:
                    found = _measured([*ours, *CONTENDERS[name], "-o", str(folder / "runs")], steps, _of_run)
                else:
                    page, *own = PEERS[name][1]
                    command = [sys.executable, "-m", f"benchmarks.peers.{page}", *own, *theirs, f"--epochs={EPOCHS}"]
                    found = _measured(command, steps, _of_peer)
                print(f"{name}: {found.milliseconds:.1f} ms a step", file=sys.stderr, flush=True)
                return found

            measured = take_turns(contenders, given.rounds, step)
            first = [one.milliseconds for one in measured[contenders[0]]]
            rows = []
            for name, found in measured.items():
                times = [one.milliseconds for one in found]
                kilobytes = statistics.median(one.kilobytes for one in found)
                rows.append(
                    [name, *with_spread(spread(times), ".1f"), *with_spread(ratio(times, first)), f"{kilobytes:,.0f}"]
                )
            print_table(
                f"{network}, batch {given.batch_size}: a step, {given.rounds} rounds",
                ["", "ms", "least–most", f"this / {contenders[0]}", "in single rounds", "KB"],
                rows,
            )


def _measured(command: Sequence[str], steps: int, seconds_of: Callable[[str], list[float]]) -> Step:
    """Train, and measure a step of the epochs after the first, which traces."""
    before = _sent()
    output = run(command).output
    kilobytes = (_sent() - before) / 1000 / (EPOCHS * steps)
    return Step(1000 * statistics.median(seconds_of(output)[1:]) / steps, kilobytes)


def _of_run(output: str) -> list[float]:
    """Return the seconds of each epoch of a run, whose directory was printed."""
    rows = csv.DictReader((Path(output.strip()) / "timings.csv").read_text(encoding="utf-8").splitlines())
    return [float(row["seconds"]) for row in rows]


def _of_peer(output: str) -> list[float]:
    """Return the seconds of each epoch that a peer has told."""
    answers = [line.removeprefix(ANSWER) for line in output.splitlines() if line.startswith(ANSWER)]
    return [json.loads(answer)["seconds"] for answer in answers]


def _leave_the_network() -> None:
    """Have this process, and all that it starts, use a loopback device of its own, where nobody else's bytes count."""
    if ctypes.CDLL(None).unshare(_NEW_NETWORK):
        print("not root: KB are those of all processes on this machine\n", flush=True)
    else:
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


def _sent() -> int:
    """Bytes that the loopback device has sent so far."""
    line = next(line for line in LOOPBACK.read_text(encoding="ascii").splitlines() if line.strip().startswith("lo:"))
    return int(line.partition(":")[2].split()[8])


if __name__ == "__main__":
    main()
