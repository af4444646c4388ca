"""The matrix is whole, and each of its experiments is one."""

import itertools
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from kerasrun.experiment.load import load
from tests.torture.cells import FACTORS, cells, pairs, write_data
from tests.torture.child import POINTS, POINTS_OF_WORKERS
from tests.torture.harness import SIGNALS, AtPoint, planned_kills, planned_signals


def test_every_pair_of_choices_meets_in_some_cell():
    met = {pair for cell in cells() for pair in itertools.combinations(cell.choices, 2)}
    assert met == set(pairs(FACTORS))
    assert len(met) > 500


def test_the_cells_are_few():
    assert 25 <= len(cells()) <= 30


def test_the_first_round_of_the_long_version_has_every_point_and_kills_every_cell():
    planned = {cell: planned_kills(cell, 4, seed=1) for cell in cells()}
    assert {kill.name for kills in planned.values() for kill in kills} == set(POINTS)
    assert all(isinstance(kills[0], AtPoint) and kills[0].nth == 1 for kills in planned.values())


def test_with_workers_the_first_round_has_every_point_and_every_signal_to_each_of_them():
    planned = [kill for cell in cells() for kill in planned_signals(replace(cell, workers=2), 4, cell.number)]
    assert {kill.name for kill in planned} == set(POINTS_OF_WORKERS)
    assert {(kill.number, kill.rank) for kill in planned} == set(itertools.product(SIGNALS, range(2)))


@pytest.mark.long
@pytest.mark.tensorflow
def test_a_process_can_come_to_every_point():
    """What is renamed or no longer called where it was would let every process live."""
    code = (
        "from tests.torture.child import POINTS_OF_WORKERS, Shot\nfor arm in POINTS_OF_WORKERS.values(): arm(1, Shot())"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, cwd=Path(__file__).parents[2])


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("cells") / "data")


@pytest.mark.parametrize("cell", cells(), ids=str)
def test_every_cell_is_an_experiment_on_the_same_digits(cell, data, tmp_path):
    experiment = load(cell.write(tmp_path, data)).experiment
    splits = experiment.data.open().splits
    assert {name: len(split) for name, split in splits.items()} == {"train": 100, "test": 40}
