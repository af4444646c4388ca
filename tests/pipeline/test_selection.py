"""Which examples train and which validate."""

from dataclasses import replace

import numpy as np
import pytest

from kerasrun.errors import DataError
from kerasrun.experiment.schema import Fit
from kerasrun.pipeline.selection import first, places_of, spread, training_and_validation, with_test_split
from kerasrun.reading.data import Data, Split
from kerasrun.reading.inputs import ArrayInputs


def split(name: str, examples: int) -> Split:
    x = np.arange(examples, dtype=np.uint8).reshape(-1, 1)
    return Split(name, ArrayInputs(x), np.arange(examples) % 2, tuple(f"{name}/{i}" for i in range(examples)))


def choose(splits, share=None, data=None):
    return training_and_validation(splits, Fit(validation_split=share, validation_data=data), seed=1)


def test_the_datas_own_validation_split_serves_by_default():
    splits = {"train": split("train", 8), "validation": split("validation", 4)}
    assert choose(splits) == (splits["train"], splits["validation"])


def test_nothing_validates_where_there_is_no_such_split():
    splits = {"train": split("train", 8), "test": split("test", 4)}
    assert choose(splits) == (splits["train"], None)


def test_a_named_split_validates():
    splits = {"train": split("train", 8), "test": split("test", 4)}
    assert choose(splits, data="test")[1] is splits["test"]


def test_a_split_that_is_not_there_is_an_error_that_names_those_that_are():
    with pytest.raises(DataError, match=r"validation_data: test.*only train.*validation_split"):
        choose({"train": split("train", 8)}, data="test")


def test_a_share_is_kept_with_labels_and_names_in_step():
    train, validation = choose({"train": split("train", 20)}, share=0.2)
    assert (len(train), len(validation)) == (16, 4)
    for part in (train, validation):
        numbers = part.inputs.take(np.arange(len(part)))[:, 0]
        assert part.labels.tolist() == (numbers % 2).tolist()
        assert list(part.names) == [f"train/{i}" for i in numbers]


def test_a_share_of_less_than_one_example_is_an_error():
    with pytest.raises(DataError, match="less than one example"):
        choose({"train": split("train", 4)}, share=0.01)


@pytest.mark.parametrize(("asked", "numbers"), [(4, [0, 2, 4, 6]), (3, [0, 2, 5]), (8, range(8)), (99, range(8))])
def test_a_few_examples_are_taken_from_all_over_a_split(asked, numbers):
    few = spread(split("train", 8), asked)
    assert few.inputs.take(np.arange(len(few)))[:, 0].tolist() == list(numbers)
    assert list(few.names) == [f"train/{i}" for i in numbers]


def test_the_first_examples_are_taken_or_all_of_them():
    assert first(split("test", 6), 4).names == ("test/0", "test/1", "test/2", "test/3")
    assert len(first(split("test", 6), 10)) == 6


def chosen(split):
    return split.inputs.take(np.arange(len(split)))[:, 0].tolist()


def divided(train, **fit):
    fit = Fit(**fit)
    data = with_test_split(Data({"train": train}, ("a", "b"), None, ""), fit, seed=1)
    return data.splits["test"], *training_and_validation(data.splits, fit, seed=1)


def test_a_share_is_set_aside_for_testing_before_that_for_validation():
    test, train, validation = divided(split("train", 100), test_split=0.2, validation_split=0.25)
    assert [len(test), len(train), len(validation)] == [20, 60, 20]
    assert sorted(chosen(test) + chosen(train) + chosen(validation)) == list(range(100))
    assert places_of(test) == chosen(test)
    assert list(test.names) == [f"train/{number}" for number in chosen(test)]
    assert np.bincount(test.labels).tolist() == [10, 10]
    assert test.name == "test"


def test_the_golden_validation_split_without_groups_or_time():
    """If it changes, no run of an older kerasrun can be resumed exactly."""
    _, validation = choose({"train": split("train", 20)}, share=0.2)
    assert chosen(validation) == [4, 9, 10, 17]


def test_examples_for_testing_that_are_there_exclude_a_share():
    data = Data({"train": split("train", 8), "test": split("test", 2)}, ("a", "b"), None, "")
    with pytest.raises(DataError, match=r"fit\.test_split: 0\.5, but the data have 2 test examples of their own"):
        with_test_split(data, Fit(test_split=0.5), seed=1)
    with pytest.raises(DataError, match=r"fit\.test_split: 0\.01 of 8 training examples is less than one example"):
        divided(split("train", 8), test_split=0.01)


def test_no_group_is_in_two_of_the_three_splits():
    groups = np.arange(100) // 5
    parts = divided(replace(split("train", 100), groups=groups), test_split=0.2, validation_split=0.25)
    assert [len(part) for part in parts] == [20, 60, 20]
    seen = [set(groups[chosen(part)]) for part in parts]
    assert sum(map(len, seen)) == 20
    for part in parts:
        assert part.groups.tolist() == groups[chosen(part)].tolist()
    with pytest.raises(DataError, match=r"fit\.validation_split: of the 1 groups in the training examples none can"):
        choose({"train": replace(split("train", 8), groups=np.zeros(8, int))}, share=0.5)


def test_the_past_trains_then_comes_what_validates_then_what_tests():
    times = np.random.default_rng(1).permutation(100).astype(float)
    test, train, validation = divided(replace(split("train", 100), times=times), test_split=0.1, validation_split=0.2)
    assert sorted(times[chosen(test)]) == list(range(90, 100))
    assert sorted(times[chosen(validation)]) == list(range(72, 90))
    assert sorted(times[chosen(train)]) == list(range(72))
    with pytest.raises(DataError, match=r"fit\.validation_split: all training examples are of one time"):
        choose({"train": replace(split("train", 8), times=np.zeros(8))}, share=0.5)


def test_each_example_validates_in_one_fold_beside_all_others_that_train():
    train, times = split("train", 20), np.arange(20) % 10
    parts = [
        training_and_validation({"train": train}, Fit(validation_fold=f"{fold}/4"), seed=1) for fold in range(1, 5)
    ]
    assert sorted(number for _, aside in parts for number in chosen(aside)) == list(range(20))
    for kept, aside in parts:
        assert sorted(chosen(kept) + chosen(aside)) == list(range(20))
        assert list(aside.names) == [f"train/{number}" for number in chosen(aside)]
    _, aside = training_and_validation({"train": replace(train, groups=times)}, Fit(validation_fold="1/4"), seed=1)
    assert set(chosen(aside)) == {number for number in range(20) if times[number] in times[chosen(aside)]}
    kept, aside = training_and_validation({"train": replace(train, times=times)}, Fit(validation_fold="1/4"), seed=1)
    assert times[chosen(kept)].max() < times[chosen(aside)].min()


def test_the_golden_fold():
    """If it changes, no run of a fold of an older kerasrun can be resumed exactly."""
    _, aside = training_and_validation({"train": split("train", 20)}, Fit(validation_fold="2/5"), seed=1)
    assert chosen(aside) == [0, 6, 9, 19]


def test_a_fold_that_cannot_be_is_an_error():
    fit = Fit(validation_fold="1/9")
    with pytest.raises(DataError, match=r"validation_fold: 1/9, but the data have 2 validation examples of their own"):
        training_and_validation({"train": split("train", 8), "validation": split("validation", 2)}, fit, seed=1)
    groups = np.arange(8) // 4
    for train, has in ((split("train", 2), "2"), (replace(split("train", 8), groups=groups), "of 2 groups")):
        with pytest.raises(DataError, match=rf"validation_fold: 1/9: the training examples are {has}, too few for 9"):
            training_and_validation({"train": train}, fit, seed=1)
