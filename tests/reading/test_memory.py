"""How much of the memory examples may take."""

import os
import subprocess
import sys
from weakref import WeakSet

import pytest

from kerasrun.reading.memory import kept_within, memory_budget


@pytest.fixture(autouse=True)
def nothing_fills(monkeypatch):
    """The images of other tests, which may not be collected yet, do not count."""
    monkeypatch.setattr("kerasrun.reading.memory._filling", WeakSet())


def test_the_budget_is_a_part_of_the_memory_of_this_machine():
    assert 0 < memory_budget() < os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def test_a_container_bounds_the_budget(monkeypatch, tmp_path):
    (tmp_path / "memory.max").write_text("1000\n")
    (tmp_path / "memory.current").write_text("600\n")
    monkeypatch.setattr("kerasrun.reading.memory.CONTAINER", tmp_path)
    assert memory_budget() == 100
    (tmp_path / "memory.max").write_text("max\n")
    assert memory_budget() > 100


@pytest.mark.parametrize("limit", ["RLIMIT_AS", "RLIMIT_DATA"])
def test_a_limit_of_the_process_bounds_the_budget(limit):
    code = (
        f"import resource; resource.setrlimit(resource.{limit}, (2**30, 2**30));"
        "from kerasrun.reading.memory import memory_budget; print(memory_budget())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 0 < int(done.stdout) < 2**28


@pytest.mark.parametrize(("memory", "budget"), [(0, 0), (0.5, 200), (1, 400), (300, 300), (500, 400)])
def test_the_budget_is_a_share_of_what_is_free_or_an_amount_within_it(memory, budget, monkeypatch):
    monkeypatch.setattr("kerasrun.reading.memory.available_memory", lambda: 400)
    with kept_within(memory):
        assert memory_budget() == budget
    assert memory_budget() == 100
