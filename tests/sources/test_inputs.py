import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from kerasrun.errors import DataError
from kerasrun.sources import _inputs
from kerasrun.sources._contract import ImageFormat
from kerasrun.sources._inputs import ImageFiles, memory_budget

FORMAT = ImageFormat(6, 8, "rgb")


def test_the_budget_is_a_part_of_the_memory_of_this_machine():
    assert 0 < memory_budget() < os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def test_a_container_bounds_the_budget(monkeypatch, tmp_path):
    (tmp_path / "memory.max").write_text("1000\n")
    (tmp_path / "memory.current").write_text("600\n")
    monkeypatch.setattr(_inputs, "CONTAINER", tmp_path)
    assert memory_budget() == 100
    (tmp_path / "memory.max").write_text("max\n")
    assert memory_budget() > 100


@pytest.mark.parametrize("limit", ["RLIMIT_AS", "RLIMIT_DATA"])
def test_a_limit_of_the_process_bounds_the_budget(limit):
    code = (
        f"import resource; resource.setrlimit(resource.{limit}, (2**30, 2**30));"
        "from kerasrun.sources._inputs import memory_budget; print(memory_budget())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 0 < int(done.stdout) < 2**28


def test_files_are_decoded_in_the_asked_order(tmp_path, write_image):
    pixels = [write_image(tmp_path / f"{number}.png", seed=number) for number in range(4)]
    inputs = ImageFiles(sorted(tmp_path.iterdir()), FORMAT)
    assert len(inputs) == 4
    np.testing.assert_array_equal(inputs.take(np.array([3, 0, 3])), [pixels[3], pixels[0], pixels[3]])


def test_a_file_that_went_away_is_told(tmp_path):
    with pytest.raises(DataError, match=r"gone\.png: cannot be read"):
        ImageFiles([Path(tmp_path, "gone.png")], FORMAT).take(np.array([0]))
