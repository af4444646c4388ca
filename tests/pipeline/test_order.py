"""The order of examples is a function of the seed and the epoch."""

import numpy as np
import pytest

from kerasrun.pipeline.order import (
    epoch_order,
    examples_before,
    folds_by_time,
    grouped_folds,
    grouped_split,
    split_by_time,
    steps_in_epoch,
    stratified_folds,
    stratified_split,
)

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


def patients(seed, count=60, classes=3):
    """Class numbers and groups: each patient has some examples, most of them of one class."""
    random = np.random.default_rng(seed)
    groups = np.repeat(np.arange(count) * 7, random.integers(1, 30, count))
    common = random.integers(0, classes, count * 7)[groups]
    return np.where(random.random(len(groups)) < 0.8, common, random.integers(0, classes, len(groups))), groups


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("share", [0.1, 0.2, 0.5])
def test_groups_are_not_divided_and_classes_keep_their_share_as_well_as_with_scikit_learn(seed, share):
    from sklearn.model_selection import StratifiedGroupKFold

    labels, groups = patients(seed)
    kept, aside = grouped_split(labels, groups, share, seed)
    assert sorted([*kept, *aside]) == list(range(len(labels)))
    assert not set(groups[kept]) & set(groups[aside])

    def distance(indices):
        wanted = share * np.bincount(labels)
        return (np.abs(np.bincount(labels[indices], minlength=3) - wanted) / np.bincount(labels)).max()

    folds = StratifiedGroupKFold(round(1 / share), shuffle=True, random_state=seed).split(labels, labels, groups)
    assert distance(aside) <= max(0.01, np.mean([distance(fold) for _, fold in folds]))


def test_groups_of_several_labels_keep_the_share_of_each():
    labels, groups = patients(1)
    several = np.stack([labels == 0, labels > 0, labels == 2], axis=1).astype(np.uint8)
    several[groups % 2 == 0, 0] = 0
    kept, aside = grouped_split(several, groups, 0.25, seed=1)
    assert several[aside].sum(axis=0) / several.sum(axis=0) == pytest.approx(0.25, abs=0.05)
    assert len(aside) / len(labels) == pytest.approx(0.25, abs=0.05)
    assert not set(groups[kept]) & set(groups[aside])


def test_the_split_of_groups_follows_from_the_seed():
    labels, groups = patients(1)
    first, again, other = (grouped_split(labels, groups, 0.2, seed)[1].tolist() for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_a_class_in_a_single_group_is_kept_for_training():
    labels, groups = np.array([0, 0, 1, 1, 1, 1]), np.array([0, 0, 1, 1, 2, 2])
    assert grouped_split(labels, groups, 0.3, seed=1)[1].tolist() in ([2, 3], [4, 5])
    assert len(grouped_split(np.array([0, 0, 1]), np.array([0, 0, 1]), 0.3, seed=1)[1]) == 0


def test_where_every_group_is_too_large_the_one_nearest_to_the_share_is_set_aside():
    groups = np.repeat([5, 6, 7], [40, 35, 45])
    assert set(groups[grouped_split(np.zeros(120, int), groups, 0.01, seed=1)[1]]) == {6}


def test_a_hundred_thousand_groups_take_seconds():
    groups = np.arange(200_000) // 2
    labels = groups % 10
    _, aside = grouped_split(labels, groups, 0.2, seed=1)
    assert np.bincount(labels[aside]).tolist() == [4000] * 10


def test_the_past_is_kept_and_equal_times_are_not_divided():
    times = np.array([5.0, 1, 4, 4, 3, 2, 4, 0, 9, 4])
    kept, aside = split_by_time(times, 0.2)
    assert (sorted(times[aside]), max(times[kept])) == ([5, 9], 4)
    kept, aside = split_by_time(times, 0.5)
    assert sorted(times[aside]) == [4, 4, 4, 4, 5, 9]
    assert split_by_time(np.ones(5), 0.5)[1].tolist() == []
    assert split_by_time(times, 0.01)[1].tolist() == []


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("folds", [2, 5, 7])
def test_folds_have_the_sizes_and_the_classes_of_scikit_learns(seed, folds):
    from sklearn.model_selection import StratifiedKFold

    labels = np.random.default_rng(seed).choice(4, 153, p=[0.5, 0.3, 0.15, 0.05])
    assigned = stratified_folds(labels, folds, seed)
    oracle = StratifiedKFold(folds, shuffle=True, random_state=seed).split(labels, labels)

    def sizes(parts):
        counts = np.array([np.bincount(labels[part], minlength=4) for part in parts])
        return [sorted(column) for column in (*counts.T.tolist(), counts.sum(axis=1).tolist())]

    assert sizes(assigned == fold for fold in range(1, folds + 1)) == sizes(aside for _, aside in oracle)
    assert assigned.tolist() == stratified_folds(labels, folds, seed).tolist()
    assert assigned.tolist() != stratified_folds(labels, folds, seed + 1).tolist()


@pytest.mark.parametrize("seed", range(3))
def test_folds_of_groups_are_as_even_as_scikit_learns(seed):
    from sklearn.model_selection import StratifiedGroupKFold

    random = np.random.default_rng(seed)
    groups = random.integers(0, 60, 500)
    labels = random.choice(3, 60, p=[0.6, 0.3, 0.1])[groups]  # a patient has one diagnosis
    assigned = grouped_folds(labels, groups, 5, seed)
    assert all(len(np.unique(assigned[groups == group])) == 1 for group in np.unique(groups))

    def unevenness(parts):
        return np.std([np.bincount(labels[part], minlength=3) / np.bincount(labels) for part in parts], axis=0).mean()

    oracle = [aside for _, aside in StratifiedGroupKFold(5).split(labels, labels, groups)]
    assert unevenness([assigned == fold for fold in range(1, 6)]) < unevenness(oracle) + 0.01


def test_folds_by_time_are_scikit_learns_and_equal_times_are_not_divided():
    from sklearn.model_selection import TimeSeriesSplit

    times = np.random.default_rng(1).permutation(23).astype(float)
    assigned = folds_by_time(times, 4)
    for fold, (kept, aside) in enumerate(TimeSeriesSplit(4).split(np.arange(23)), start=1):
        assert sorted(times[assigned < fold]) == kept.tolist()
        assert sorted(times[assigned == fold]) == aside.tolist()
    assert folds_by_time(np.array([0.0, 1, 1, 1, 2, 2]), 2).tolist() == [0, 1, 1, 1, 2, 2]
