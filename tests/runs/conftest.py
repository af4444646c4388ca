"""A run to write to, and a disk that fails once."""

from pathlib import Path

import pytest

from kerasrun.runs.directory import create
from tests.runs.failing_disk import FailingDisk


@pytest.fixture
def failing_disk(monkeypatch):
    return FailingDisk(monkeypatch)


@pytest.fixture
def run(tmp_path):
    return create(tmp_path / "runs", "lenet")


@pytest.fixture
def names():
    """The names in a folder."""
    return lambda folder: sorted(path.name for path in folder.iterdir())


@pytest.fixture
def open_files():
    """How many files this process has open."""
    return lambda: len(list(Path("/dev/fd").iterdir()))


@pytest.fixture
def leftovers():
    """Everything private in a folder."""
    return lambda folder: sorted(str(path) for path in folder.rglob(".tmp-*"))


PROGRESS = {
    **{"epoch": 1, "step": 0, "stage_ends": [], "stopped_by": None, "stop_training": False, "epoch_seconds": 2.0},
    **{
        "features": {"kept": False, "budget": 0},
        "best": {"monitor": "loss", "value": 0.5, "epoch": 1},
        "callbacks": [],
        "outputs": {},
    },
}
"""What `progress.json` has, without the other files of the run."""
