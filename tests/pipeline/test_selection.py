"""Which examples train and which validate."""

import numpy as np
import pytest

from kerasrun.errors import DataError
from kerasrun.experiment.schema import Fit
from kerasrun.pipeline.selection import first, spread, training_and_validation
from kerasrun.reading.data import Split
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
