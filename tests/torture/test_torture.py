"""The short version: every kill point once, and some random moments, over a few cells of the matrix."""

from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import pytest

from tests.torture.cells import cells, write_data
from tests.torture.child import POINTS
from tests.torture.harness import AtPoint, leave_alone, random_kills, torture

pytestmark = pytest.mark.tensorflow

# Cell number → where its run is killed, in turn. A process goes on where the one before it died, so that a run reaches
# its later points only if its earlier ones cost few epochs. Cell 8 is stopped early by EarlyStopping.
AT_POINTS = {
    2: (
        *("before the first checkpoint", "in a step", "before the state is restored", "after a step"),
        *("half of state.h5", "in validation", "half of a ModelCheckpoint", "half of best.keras"),
        *("half of metrics.csv", "half of run.json"),
    ),
    4: (
        *("before a checkpoint is in place", "after a checkpoint is in place", "half of an old checkpoint removed"),
        *("half of progress.json", "before best.keras is in place", "after best.keras is in place", "between epochs"),
    ),
    8: (
        *("after the row of metrics.csv", "before the outputs are taken back", "while the outputs are taken back"),
        *("after the state is restored", "after on_train_end", "half of last.keras", "after last.keras"),
        "after the run is finished",
    ),
    13: ("after validation", "after the callbacks"),
}
AT_MOMENTS = {23: 4}


@pytest.fixture(scope="module")
def tortured(tmp_path_factory):
    """What became of each run, by the number of its cell; two of them are under torture at a time."""
    folder = tmp_path_factory.mktemp("torture")
    data = write_data(folder / "data")
    kills = {number: [AtPoint(name) for name in names] for number, names in AT_POINTS.items()}
    kills |= {number: list(islice(random_kills("short"), count)) for number, count in AT_MOMENTS.items()}

    def one(number):
        cell = cells()[number - 1]
        whole = leave_alone(cell, folder / cell.name / "whole", data)
        return torture(cell, folder / cell.name / "killed", data, whole, kills[number])

    with ThreadPoolExecutor(2) as pool:
        return dict(zip(kills, pool.map(one, kills), strict=True))


def test_every_point_has_its_turn():
    assert sorted(name for names in AT_POINTS.values() for name in names) == sorted(POINTS)


@pytest.mark.parametrize("number", [*AT_POINTS, *AT_MOMENTS])
def test_a_run_that_is_killed_again_and_again_ends_with_the_same_bits(tortured, number):
    assert tortured[number].differences == []


@pytest.mark.parametrize("number", AT_POINTS)
def test_each_kill_came_where_it_was_meant_to(tortured, number):
    assert [kill.name for kill in tortured[number].killed] == list(AT_POINTS[number])


def test_random_moments_killed_as_well(tortured):
    assert all(tortured[number].killed for number in AT_MOMENTS)


def test_only_a_kill_before_the_first_checkpoint_begins_anew(tortured):
    # The first point of cells 2 and 4 lies before that checkpoint is in place.
    assert {number: tortured[number].restarts for number in AT_POINTS} == {2: 1, 4: 1, 8: 0, 13: 0}


def test_steps_are_run_twice_where_a_kill_came_between_checkpoints(tortured):
    assert all(result.steps_twice >= 0 for result in tortured.values())
    assert sum(result.steps_twice for result in tortured.values()) > 0
