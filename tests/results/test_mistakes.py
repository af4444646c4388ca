"""The examples that a model of classes gets wrong, and those whose labels are likely wrong."""

import numpy as np
import pytest

from kerasrun.model_file import ModelInfo
from kerasrun.reading.data import Feature, RowFormat, Split
from kerasrun.reading.inputs import ArrayInputs
from kerasrun.results.mistakes import Answers, furthest


def answers(labels, probabilities, outputs="probabilities"):
    split = Split("test", ArrayInputs(np.zeros((len(labels), 2), np.float32)), np.array(labels))
    info = ModelInfo(("a", "b", "c"), None, 32, outputs, "x", 1)
    return Answers(split, info, np.array(probabilities, np.float32))


def test_mistakes_begin_with_the_highest_loss():
    found = answers([0, 1, 2, 2], [[0.1, 0.6, 0.3], [0, 1, 0], [0.5, 0.3, 0.2], [0, 1, 0]]).mistakes(9)
    assert [(one.name, one.true, one.called) for one in found] == [
        ("test[3]", "c", "b"),
        ("test[0]", "a", "b"),
        ("test[2]", "c", "a"),
    ]
    assert [one.loss for one in found] == [np.inf, pytest.approx(-np.log(0.1)), pytest.approx(-np.log(0.2))]
    assert [name for name, _ in found[1].best] == ["b", "c", "a"]


def test_scores_of_a_hinge_loss_are_no_probabilities():
    (found,) = answers([0], [[-1.0, 2.0, 0.5]], "scores").mistakes(9)
    assert (found.loss, found.best[0]) == (None, ("b", 2.0))


def test_a_label_is_likely_wrong_where_another_class_is_as_sure_as_it_usually_is():
    """Of b the own examples have 0.8 on average: 0.9 is as sure, 0.7 is not, which is but a mistake."""
    found = answers([1, 1, 0, 0], [[0, 0.9, 0.1], [0.2, 0.8, 0], [0.1, 0.9, 0], [0.2, 0.7, 0.1]])
    assert found.doubts.tolist() == [False, False, True, False]
    assert [(one.name, one.doubted) for one in found.mistakes(9)] == [("test[2]", True), ("test[3]", False)]


def test_a_threshold_of_the_model_file_says_what_is_called():
    split = Split("test", ArrayInputs(np.zeros((2, 2), np.float32)), np.array([0, 1]))
    info = ModelInfo(("no", "yes"), None, 32, "probabilities", "x", 1, threshold=0.2)
    found = Answers(split, info, np.array([[0.3], [0.1]], np.float32))
    assert [(one.true, one.called) for one in found.mistakes(9)] == [("yes", "no"), ("no", "yes")]
    assert found.doubts.tolist() == [False, True]  # a label is doubted by what is most probable


def test_the_numbers_that_are_furthest_off_come_first_with_the_columns_of_their_rows():
    """A date is year, month, day of the week and days; of categories the number from 1, 0 for an unknown one."""
    columns = (Feature(), Feature("date", first="2020-01-01"), Feature("category", categories=("blue", "red")))
    rows = np.array([[1.5, 2021, 3, 1, 430, 2], [np.nan, 2022, 12, 1, 1000, 0], [7, 2020, 1, 1, 0, 1]], np.float32)
    split = Split("test", ArrayInputs(rows), np.array([[10.0], [20.0], [30.0]], np.float32), ("a", "b", "c"))
    info = ModelInfo(
        ("price",),
        *(None, 32, "values", "x", 1),
        label_kind="numbers",
        row_format=RowFormat(("size", "built", "colour"), True, ",", columns),
    )
    found = furthest(split, info, np.array([[11.0], [25.0], [30.0]], np.float32), 2)
    assert [(one.name, one.true, one.called) for one in found] == [("b", "20", "25"), ("a", "10", "11")]
    assert [list(one.cells.values()) for one in found] == [["–", "2022-12", "unknown"], ["1.5", "2021-03", "red"]]
