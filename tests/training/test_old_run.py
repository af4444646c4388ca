"""A run that an older version began is resumed: see `tests/data/old_run/README.md`."""

import io
import shutil
import zipfile
from pathlib import Path

import h5py
import pytest

from kerasrun.runs import checkpoints
from kerasrun.runs.directory import open_run
from kerasrun.runs.metrics import Table
from tests import forked
from tests.training.conftest import DIGITS
from tests.training.exactness import datasets, variables_digest

pytestmark = pytest.mark.tensorflow

OLD = Path(__file__).parents[1] / "data" / "old_run"
# What the older version ended with where nothing killed it.
MODELS = {
    "best.keras": "f982d04ed9edc1eb74726902a2296661c87d061c95faa4d018476ce76e2664c7",
    "last.keras": "bb304d6c92d01c05d4a6ad4cab8ba07b1349cd0cb1bfdaa2d0ae5daa40db179b",
}
SEED_GENERATOR = [161973070, 16]
STEPS = 16
# What may differ here, as `resume` calls it. Everything else, above all the data, is what it was.
OTHER_MACHINE = (
    *("keras ", "tensorflow ", "numpy ", "pillow "),
    *("architecture ", "instruction sets ", "cache ", "C library ", "environment variable "),
)
OTHER_VERSION = "kerasrun "


def resumed(folder, *options):
    """Resume the copy in `folder`, in a process that takes the run's number of threads.

    Returns:
        the run, and whether this machine computes the bits that the run began with.
    """
    run = open_run(folder / "small-1")
    where = ["-s", f"data.npz.path={DIGITS}", "-s", "device=cpu"]
    done = forked.run(["-m", "kerasrun", "resume", run.root, *where, "--accept-changes", *options], folder)
    assert done.returncode == 0, done.stderr
    changes = [change for entry in run.read_run().get("accepted_changes", ()) for change in entry["changes"]]
    assert all(change.startswith((*OTHER_MACHINE, OTHER_VERSION)) for change in changes), changes
    return run, all(change.startswith(OTHER_VERSION) for change in changes)


def arrays(content):
    with h5py.File(io.BytesIO(content)) as file:
        return {name: dataset[()] for name, dataset in datasets(file).items()}


def bits(array):
    return array.shape, str(array.dtype), array.tobytes()


def test_it_ends_as_it_would_have_ended_with_the_older_version(tmp_path):
    """With the same bits where versions and processor are the same, else but for rounding."""
    shutil.copytree(OLD / "cut", tmp_path / "small-1")
    run, same_machine = resumed(tmp_path)
    ended = run.read_run()
    assert (ended["status"], ended["reason"], ended["best"]["epoch"]) == ("finished", "all 4 epochs done", 4)
    written, expected = run.metrics_file.read_bytes(), (OLD / "metrics.csv").read_bytes()
    assert written.splitlines()[:3] == expected.splitlines()[:3]
    newest = checkpoints.newest(run)
    assert newest.step == STEPS
    state = arrays(newest.state_file.read_bytes())
    assert state["optimizer/0000/adam/iteration"] == STEPS
    assert state["model/0004/seed_generator/seed_generator_state"].tolist() == SEED_GENERATOR
    if same_machine:
        assert written == expected
        assert {name: variables_digest(run.root / name) for name in MODELS} == MODELS
    rows, rows_then = Table(run.metrics_file).rows(), Table(OLD / "metrics.csv").rows()
    assert len(rows) == len(rows_then) == 4
    # Rounding moves a loss by a ten-millionth; another order or dropout the first one by more than five thousandths.
    for name in ("epoch", "loss", "val_loss", "learning_rate"):
        assert [row[name] for row in rows] == pytest.approx([row[name] for row in rows_then], rel=1e-4), name


def test_its_checkpoint_is_restored_bit_by_bit(tmp_path):
    """Ended at the epoch of its older checkpoint it takes no step, so that every processor writes the same model."""
    shutil.copytree(OLD / "cut", tmp_path / "small-1")
    shutil.rmtree(tmp_path / "small-1" / "checkpoints" / "00000010")
    run, _ = resumed(tmp_path, "-s", "fit.epochs=2")
    assert run.read_run()["reason"] == "all 2 epochs done"
    for name in ("metrics.csv", "log.csv"):
        assert (run.root / name).read_bytes() == (OLD / "cut" / name).read_bytes()
    state = arrays((OLD / "cut" / "checkpoints" / "00000008" / "state.h5").read_bytes())
    # A model file has no seed generators.
    kept = [state[name] for name in state if name.startswith(("model/", "optimizer/")) and "seed_generator" not in name]
    with zipfile.ZipFile(run.last_model) as archive:
        written = arrays(archive.read("model.weights.h5")).values()
    assert len(kept) == 16
    assert sorted(map(bits, written)) == sorted(map(bits, kept))
