"""The examples that a model of classes gets wrong, and those whose labels are likely wrong."""

from types import SimpleNamespace

import numpy as np
import pytest

from kerasrun.reading.data import Split
from kerasrun.reading.inputs import ArrayInputs
from kerasrun.results.mistakes import Answers, confused


def answers(labels, probabilities, outputs="probabilities"):
    split = Split("test", ArrayInputs(np.zeros((len(labels), 2), np.float32)), np.array(labels))
    info = SimpleNamespace(classes=("a", "b", "c"), outputs=outputs)
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
    assert [one.name for one in found.likely_label_errors(9)] == ["test[2]"]
    assert len(found.mistakes(9)) == 2


def test_the_pairs_that_are_confused_are_counted_in_their_class():
    matrix = np.array([[6, 2, 0], [1, 9, 0], [0, 0, 0]])
    assert [(one.true, one.called, one.count, one.share) for one in confused(matrix, "abc", 9)] == [
        ("a", "b", 2, 0.25),
        ("b", "a", 1, 0.1),
    ]
