"""The order of examples is a function of the seed and the epoch."""

import numpy as np
import pytest

from kerasrun.pipeline.order import epoch_order, examples_before, steps_in_epoch, stratified_split

GOLDEN = [8, 4, 7, 0, 1, 2, 5, 9, 6, 3]


def test_the_golden_order():
    # numpy.random.default_rng([1, 0]).permutation(10), by hand in another process. If it changes, no run of an older
    # kerasrun can be resumed exactly: the format version of checkpoints must rise.
    assert epoch_order(seed=1, epoch=0, examples=10).tolist() == GOLDEN


def test_every_epoch_has_every_example_once_in_another_order():
    orders = [epoch_order(3, epoch, 50) for epoch in range(4)]
    assert all(sorted(order) == list(range(50)) for order in orders)
    assert len({order.tobytes() for order in orders}) == 4


def test_another_seed_gives_another_order():
    assert epoch_order(1, 0, 50).tolist() != epoch_order(2, 0, 50).tolist()


@pytest.mark.parametrize(("examples", "steps"), [(1, 1), (31, 1), (32, 1), (33, 2), (1293, 41)])
def test_the_last_batch_may_be_smaller(examples, steps):
    assert steps_in_epoch(examples, 32) == steps


def test_the_split_takes_the_same_share_of_every_class():
    labels = np.repeat(np.arange(4), [100, 40, 10, 2])
    train, validation = stratified_split(labels, 0.2, seed=1)
    assert np.bincount(labels[validation], minlength=4).tolist() == [20, 8, 2, 0]
    assert sorted([*train, *validation]) == list(range(152))


def test_the_split_follows_from_the_seed():
    labels = np.repeat(np.arange(2), 50)
    first, again, other = (stratified_split(labels, 0.2, seed)[1].tolist() for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_a_class_always_keeps_an_example_for_training():
    labels = np.repeat(np.arange(2), [10, 1])
    train, _ = stratified_split(labels, 0.9, seed=1)
    assert set(labels[train]) == {0, 1}


def test_examples_are_counted_pass_by_pass():
    # 10 examples in batches of 4: 4, 4 and 2.
    assert [examples_before(step, 10, 4) for step in range(7)] == [0, 4, 8, 10, 14, 18, 20]
