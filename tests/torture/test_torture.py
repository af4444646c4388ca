"""The short version: the kill points that differ most, and some random moments, over a few cells of the matrix."""

import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import islice

import pytest

from tests.torture.cells import cells, write_data
from tests.torture.harness import AtMoment, AtPoint, fork_child, leave_alone, random_moments, torture

pytestmark = [pytest.mark.tensorflow, pytest.mark.half_precision, pytest.mark.long]

# Cell number → where its run is killed, in turn. A process goes on where the one before it died, so a run comes to the
# later points only if the earlier ones cost few epochs; and what needs a new best model comes in the first epochs. A
# death costs the start of another process, so the points whose neighbour leaves the same behind are in the long version
# alone, and these processes are forked; the run that is left alone is one of `python -m kerasrun`.
AT_POINTS = {
    # npz, use_ema, geometry, mixed_float16, BatchNormalization, balanced class weights; a checkpoint after every chunk.
    2: (
        *("before the first checkpoint", "after best.keras is in place", "in a step while a checkpoint is written"),
        *("in validation", "half of best.keras", "while best.keras is put in place"),
    ),
    # idx, swap_on_epoch, augmentation of pixels, Dropout, every step heard of by TensorBoard.
    13: (
        *("after the row of metrics.csv", "in a step", "before a checkpoint is in place", "half of a ModelCheckpoint"),
        "between epochs",
    ),
    # directory, SwapEMAWeights, Dropout, weights of some classes; EarlyStopping ends it.
    8: (
        *("half of an old checkpoint removed", "half of run.json", "while the outputs are taken back"),
        *("before the state is restored", "half of last.keras", "after the run is finished"),
    ),
}
# At the end of a run, so that one that comes too late, when the process has ended, takes nothing from the rest.
AT_MOMENTS = {2: 3, 13: 1}


@pytest.fixture(scope="module")
def tortured(tmp_path_factory):
    """What became of each run, by the number of its cell; all are under torture at the same time."""
    folder = tmp_path_factory.mktemp("torture")
    data = write_data(folder / "data")

    def one(number):
        cell = cells()[number - 1]
        moments = islice(random_moments(f"short {number}"), AT_MOMENTS.get(number, 0))
        whole = leave_alone(cell, folder / cell.name / "whole", data)
        kills = [*map(AtPoint, AT_POINTS[number]), *moments]
        return torture(cell, folder / cell.name / "killed", data, whole, kills, fork_child)

    with ThreadPoolExecutor(len(AT_POINTS)) as pool:
        return dict(zip(AT_POINTS, pool.map(one, AT_POINTS), strict=True))


@pytest.mark.parametrize("number", AT_POINTS)
def test_a_run_that_is_killed_again_and_again_ends_with_the_same_bits(tortured, number):
    assert tortured[number].differences == []


@pytest.mark.parametrize("number", AT_POINTS)
def test_each_kill_came_where_it_was_meant_to(tortured, number):
    at_points = [kill.name for kill in tortured[number].killed if isinstance(kill, AtPoint)]
    assert at_points == list(AT_POINTS[number])


def test_one_command_given_again_after_each_kill_makes_one_run(tortured):
    """`train FILE --resume`, by which cells of even numbers are trained; the first kill comes before a checkpoint."""
    assert {number: tortured[number].runs for number in (2, 8)} == {2: ["cell02-1"], 8: ["cell08-1"]}
    assert sum(len(tortured[number].killed) for number in (2, 8)) >= 12


def test_random_moments_killed_as_well(tortured):
    assert any(isinstance(kill, AtMoment) for result in tortured.values() for kill in result.killed)


def test_only_a_kill_before_the_first_checkpoint_begins_anew(tortured):
    # The second point of each run, and the first of cells 13 and 8, come when the thread has put that one in place.
    assert {number: result.restarts for number, result in tortured.items()} == {2: 1, 13: 0, 8: 0}


def test_steps_are_run_twice_where_a_kill_came_between_checkpoints(tortured):
    """How many at most, the harness holds each kill to."""
    assert sum(result.steps_twice for result in tortured.values()) > 0


@pytest.mark.skipif(sys.platform != "linux", reason="the harness looks for what is left in /proc")
def test_two_workers_of_which_one_is_stopped_and_one_is_killed_end_with_the_bits_of_one_process(tmp_path):
    # Features of a frozen layer, SwapEMAWeights, Dropout, weights of some classes, EarlyStopping, directory.
    cell = replace(cells()[7], workers=2)
    data = write_data(tmp_path / "data")
    kills = [
        AtPoint("before the network is built", 1, signal.SIGTERM, 1),
        AtPoint("in a step while a checkpoint is written", 1, signal.SIGKILL, 0),
    ]
    whole = leave_alone(cell, tmp_path / "whole", data)
    result = torture(cell, tmp_path / "killed", data, whole, kills, fork_child)
    assert (result.differences, result.killed) == ([], kills)
    assert (result.resumes, result.restarts) == (0, 0)  # after the second one the parent alone starts them again
