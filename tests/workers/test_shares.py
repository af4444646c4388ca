"""How a batch is cut, counted by hand."""

import pytest
import tensorflow as tf

from kerasrun.errors import DeviceError
from kerasrun.workers.shares import Share

pytestmark = pytest.mark.tensorflow


def cuts(share, total):
    return [(int(one.begin), int(one.size), int(one.total)) for one in share.cuts(tf.constant(total))]


@pytest.mark.parametrize(
    ("total", "expected"),
    [
        (8, [(0, 2, 8), (2, 2, 8), (4, 2, 8), (6, 2, 8)]),
        (11, [(0, 3, 11), (3, 3, 11), (6, 3, 11), (9, 2, 11)]),
        (5, [(0, 2, 5), (2, 1, 5), (3, 1, 5), (4, 1, 5)]),
        (4, [(0, 1, 4), (1, 1, 4), (2, 1, 4), (3, 1, 4)]),
    ],
)
def test_the_first_shards_have_one_example_more_where_the_batch_is_no_multiple(total, expected):
    assert cuts(Share(4), total) == expected


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_the_cuts_are_the_same_whoever_computes_them(workers):
    of_all = [cut for rank in range(workers) for cut in cuts(Share(4, rank, workers), 11)]
    assert of_all == [(0, 3, 11), (3, 3, 11), (6, 3, 11), (9, 2, 11)]


def test_a_process_has_neighbouring_shards():
    assert [list(Share(6, rank, 3).own) for rank in range(3)] == [[0, 1], [2, 3], [4, 5]]


def test_a_shard_takes_its_rows_of_a_batch():
    batch = tf.range(11) * 10
    assert [cut.of(batch).numpy().tolist() for cut in Share(4, 1, 2).cuts(tf.constant(11))] == [
        [60, 70, 80],
        [90, 100],
    ]


@pytest.mark.parametrize(("examples", "batch_size"), [(40, 11), (44, 11), (4, 11), (4, 4), (15, 11)])
def test_every_batch_that_has_an_example_for_each_shard_can_be_cut(examples, batch_size):
    Share(4).check(examples, batch_size)


@pytest.mark.parametrize(
    ("examples", "batch_size", "last"), [(36, 11, 3), (3, 11, 3), (44, 3, 2), (12, 3, 3), (45, 11, 1)]
)
def test_a_last_batch_with_fewer_examples_than_shards_is_refused(examples, batch_size, last):
    with pytest.raises(DeviceError, match=f"has {last}, fewer than the 4 parts"):
        Share(4).check(examples, batch_size)
