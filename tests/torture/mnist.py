"""`python -m tests.torture.mnist --data FOLDER`: LeNet on real MNIST, killed at random moments.

Three epochs with augmentation, Dropout and Adam; FOLDER has MNIST's four IDX files. Prints a line for each kill, what
is not equal to the run that was left alone, and how many steps were run twice; exit code 1 if anything differs.
"""

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

import yaml

from kerasrun.runs import checkpoints
from kerasrun.runs.directory import RunDirectory
from tests.torture.evidence import differences, evidence
from tests.torture.harness import start_child, wait_until_it_trains

EPOCHS, STEPS_PER_EPOCH = 3, 1875
CHECKPOINT_SECONDS = 2


def main() -> int:
    """Train once alone and once under kills; compare."""
    options = _options()
    folder = Path(tempfile.mkdtemp(prefix="torture-mnist-", dir=options.folder))
    whole, killed = folder / "whole", folder / "killed"
    seconds = _leave_alone(_written(whole, options.data))
    print(f"left alone: {_steps(whole)} steps in {seconds:.0f} s", flush=True)
    lost = _kill(_written(killed, options.data), random.Random(options.seed), options.kills, seconds)
    different = differences(evidence(_run(whole)), evidence(_run(killed)))
    again = _steps(killed) - _steps(whole)
    print(f"{options.kills} kills: {again} steps run twice, {lost} of them after the newest checkpoint at a kill")
    print(f"metrics.csv, models and checkpoint: {'different' if different else 'equal'}", *different[:20], sep="\n  ")
    for name, digest in sorted(evidence(_run(killed)).items()):
        if name.startswith("last.keras") and "kerasrun.json" not in name:
            print(f"  {name} {digest}")
    return 1 if different or again > lost else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.torture.mnist", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the folder with MNIST's four files")
    parser.add_argument("--kills", type=int, default=10, help="how often the run is killed (10)")
    parser.add_argument("--seed", type=int, default=1, help="decides the moments (1)")
    parser.add_argument("--folder", type=Path, help="where to work; by default the temporary folder")
    return parser.parse_args()


def _written(folder: Path, data: Path) -> Path:
    folder.mkdir()
    experiment = {
        "data": {"idx": {"path": str(data.absolute())}},
        "augmentation": [
            {"RandomTranslation": {"height_factor": 0.1, "width_factor": 0.1}},
            {"RandomRotation": {"factor": 0.03}},
        ],
        "model": {
            "layers": [
                {"Conv2D": {"filters": 6, "kernel_size": 5, "padding": "same", "activation": "relu"}},
                "MaxPooling2D",
                {"Conv2D": {"filters": 16, "kernel_size": 5, "activation": "relu"}},
                "MaxPooling2D",
                "Flatten",
                {"Dropout": {"rate": 0.25}},
                {"Dense": {"units": 120, "activation": "relu"}},
                {"Dense": {"units": 84, "activation": "relu"}},
            ]
        },
        "compile": {"optimizer": {"Adam": {"learning_rate": 0.001}}, "metrics": ["accuracy"]},
        "fit": {"batch_size": 32, "epochs": EPOCHS, "validation_data": "test"},
        "callbacks": [{"CSVLogger": {"filename": "log.csv"}}],
        "checkpoint": {"seconds": CHECKPOINT_SECONDS},
        "device": "cpu",
    }
    (folder / "lenet.yaml").write_text(yaml.safe_dump(experiment, sort_keys=False), encoding="utf-8")
    return folder


def _leave_alone(folder: Path) -> float:
    process = start_child(folder, ["-m", "tests.torture.child", "-", "steps.txt", "train", "lenet.yaml"])
    begin = wait_until_it_trains(folder, process)
    if process.wait():
        sys.exit((folder / "stderr.txt").read_text(encoding="utf-8"))
    return time.monotonic() - begin


def _kill(folder: Path, draw: random.Random, kills: int, seconds: float) -> int:
    """Kill it so often, then let it end; how many steps lay between a kill and the newest checkpoint, in all."""
    lost = 0
    for number in range(kills + 1):
        command = ["resume", "runs/lenet-1"] if number else ["train", "lenet.yaml"]
        before = _steps(folder)
        begun = checkpoints.newest(_run(folder)).step if number else 0
        process = start_child(folder, ["-m", "tests.torture.child", "-", "steps.txt", *command])
        wait_until_it_trains(folder, process)
        while not checkpoints.any_saved(_run(folder)):
            time.sleep(0.01)
        if number == kills:
            process.wait()
            break
        # So early that as many kills as asked for fit into the run.
        time.sleep(draw.random() * seconds * 1.5 / kills)
        process.kill()
        process.wait()
        reached = begun + _steps(folder) - before
        saved = checkpoints.newest(_run(folder)).step
        lost += reached - saved
        print(f"kill {number + 1}: at step {reached}, the newest checkpoint is that of step {saved}", flush=True)
    return lost


def _run(folder: Path) -> RunDirectory:
    return RunDirectory((folder / "runs" / "lenet-1").absolute())


def _steps(folder: Path) -> int:
    file = folder / "steps.txt"
    return sum(map(int, file.read_text(encoding="ascii").split())) if file.exists() else 0


if __name__ == "__main__":
    sys.exit(main())
