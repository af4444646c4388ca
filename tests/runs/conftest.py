"""A run to write to, and a disk that fails once."""

from contextlib import suppress
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
def open_files(tmp_path):
    """The files and folders of this test that the process has open; threads of the tests before may open others."""

    def opened():
        targets = []
        for entry in Path("/dev/fd").iterdir():
            with suppress(OSError):  # it was closed meanwhile, as is the one that lists them
                targets.append(str(entry.readlink()))
        return sorted(target for target in targets if target.startswith(str(tmp_path)))

    return opened


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
