"""Changed experiment files that `validate` accepts, on the data that come with kerasrun: `train --dry-run` of each."""

import random
import sys
from pathlib import Path

from kerasrun.errors import KerasrunError
from kerasrun.experiment.load import load
from tests import forked
from tests.fuzz import experiments
from tests.fuzz.experiments import Case

MEMORY = None  # TensorFlow's is its own
SECONDS = 120


def prepare() -> None:
    """Import and look up what every case needs."""
    experiments.prepare()


def make(rng: random.Random, folder: Path) -> Case:
    data = folder.parent / "data"
    if not data.exists():
        data.symlink_to(experiments.ROOT / "data")
    while True:
        case = experiments.make(rng, folder)
        text = case.file.read_bytes()
        try:
            load(case.file, case.overrides)
        except KerasrunError:
            continue
        if b"../data/" in text and b"imagenet" not in text:  # nothing is downloaded
            return case


def check(case: Case) -> str:
    """Let the command line try it on a batch."""
    changes = [part for override in case.overrides for part in ("-s", override)]
    done = forked.run(["-m", "kerasrun", "train", "--dry-run", case.file, *changes], case.file.parent)
    print(f"{case.file.parent.name}: {done.returncode}: {done.stderr.strip()[-700:]}", file=sys.stderr)
    assert done.returncode in (0, 1, 2), f"exit code {done.returncode}: {done.stderr[-2000:]}"
    assert "Traceback" not in done.stdout + done.stderr, done.stderr[-3000:]
    return "accepted" if done.returncode == 0 else "refused"


def what_is_wrong_with(error: KerasrunError, case: Case) -> str | None:
    """Say why a refusal is not one that helps; the command line has printed it."""
    return f"{error} {case}"
