"""Images a second of the input alone: JPEG photos to batches of 224×224, with the tutorials' changes and without, and
decoded in each epoch.

No network. Every contender hands over all training photos in a process that stays alive, one pass a round. The first
pass of each, which may fill a cache, does not count. A ratio above 1 says that kerasrun is faster.

Example: python -m benchmarks.photos --data FOLDER --rounds 7
"""

import argparse
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks import _workers
from benchmarks._command_line import existing_folder, parser_for, run_alone
from benchmarks._commands import with_overrides
from benchmarks._optional import is_installed
from benchmarks._photos import TRAINING, cut
from benchmarks._table import SPEEDS, print_table, speeds

EXPERIMENT = Path(__file__).parent / "experiments" / "photos.yaml"
OURS = "kerasrun"
OURS_AS_FLOAT32 = "kerasrun, made float32"
OURS_SCALED = "kerasrun, decode: scaled"
OURS_ON_DISK = "kerasrun, kept on disk"
BATCH_SIZE = 32
GENERATOR = "photos_generator"
CHANGED = {
    "ImageDataGenerator.flow_from_directory": (GENERATOR,),
    "image_dataset_from_directory, five layers": ("photos_layers",),
}
UNCHANGED = {
    "image_dataset_from_directory": ("photos_dataset",),
    "image_dataset_from_directory, cache()": ("photos_dataset", "--cache"),
}
LOADER = "photos_torch"
DECODED = {
    "image_dataset_from_directory": ("photos_dataset",),
    "PyTorch DataLoader, two workers": (LOADER,),
}


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print the tables."""
    run_alone(argv, arguments, measure)


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = parser_for(__doc__)
    layout = "train/ and val/, each with a folder for each class"
    parser.add_argument("--data", type=existing_folder, required=True, help=layout)
    parser.add_argument("--rounds", type=int, default=5, help="passes of each contender that count; default: 5")
    parser.add_argument("--images", type=int, help="how many photos make a pass; default: all in train/")
    return parser.parse_args(argv)


def measure(given: argparse.Namespace) -> None:
    """Print a table with changes, one without, one of photos that are not kept, and one of those kept on disk."""
    changed = {name: peer for name, peer in CHANGED.items() if peer[0] != GENERATOR or is_installed("scipy")}
    decoded = {name: peer for name, peer in DECODED.items() if peer[0] != LOADER or is_installed("torch")}
    as_float32 = {OURS: (), OURS_AS_FLOAT32: ("--float32",)}
    scaled = {OURS: (), OURS_SCALED: ("--set", "data.directory.decode=scaled")}
    not_kept = ("augmentation=null", "cache.memory=0", "cache.disk=0")
    on_disk = ("augmentation=null", "cache.memory=0", "cache.disk=auto")
    with tempfile.TemporaryDirectory(prefix="kerasrun-benchmark-") as folder:
        data = cut(given.data.absolute(), Path(folder, "photos"), given.images)
        for title, ours, peers, overrides in (
            ("rotated, shifted, sheared, zoomed and flipped", {OURS: ()}, changed, ()),
            ("without changes, from the second epoch on", as_float32, UNCHANGED, ("augmentation=null",)),
            ("without changes, decoded in each epoch", scaled, decoded, not_kept),
            ("without changes, in kerasrun's cache on disk", {OURS_ON_DISK: ()}, decoded, on_disk),
        ):
            commands = _commands(data, given.rounds + 1, ours, peers, overrides)
            commands = {name: ["env", f"XDG_CACHE_HOME={folder}", *command] for name, command in commands.items()}
            reports = _workers.measure(commands, given.rounds, Path(folder), _workers.speed_told)
            measured = {name: [_workers.images_per_second(report) for report in reports[name]] for name in commands}
            print_table(f"Photos to 224×224, {title}, {given.rounds} rounds", SPEEDS, speeds(measured))


def _commands(
    data: Path,
    passes: int,
    ours: Mapping[str, Sequence[str]],
    peers: Mapping[str, Sequence[str]],
    overrides: Sequence[str],
) -> dict[str, list[str]]:
    told = with_overrides(f"data.directory.path={data}", f"fit.batch_size={BATCH_SIZE}", *overrides)
    module = [sys.executable, "-m"]
    batches = [*module, "benchmarks._kerasrun_batches", str(EXPERIMENT), *told, "--passes", str(passes)]
    commands = {name: [*batches, *options] for name, options in ours.items()}
    for name, (peer, *options) in peers.items():
        commands[name] = [
            *(*module, f"benchmarks.peers.{peer}", "--data", str(data / TRAINING)),
            *("--batch-size", str(BATCH_SIZE), "--passes", str(passes), *options),
        ]
    return commands


if __name__ == "__main__":
    main()
