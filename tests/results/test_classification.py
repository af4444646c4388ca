"""Precision, recall and F1 by hand."""

import numpy as np
import pytest

from kerasrun.results.classification import class_scores, confusion_matrix
from kerasrun.results.model import class_values

LABELS = np.array([0, 0, 0, 1, 1, 2])
PREDICTED = np.array([0, 0, 1, 1, 1, 0])


def test_rows_are_true_classes_and_columns_predicted_ones():
    assert confusion_matrix(LABELS, PREDICTED, 4).tolist() == [[2, 1, 0, 0], [0, 2, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]


def test_scores_by_hand():
    scores = class_scores(confusion_matrix(LABELS, PREDICTED, 3), ["a", "b", "c"])
    # a: 2 of 3 called a are a; 2 of 3 that are a were called so. b: 2 of 3 called, 2 of 2 found. c: never called.
    assert [score.precision for score in scores] == pytest.approx([2 / 3, 2 / 3, 0])
    assert [score.recall for score in scores] == pytest.approx([2 / 3, 1, 0])
    assert [score.f1 for score in scores] == pytest.approx([2 / 3, 0.8, 0])
    assert [score.support for score in scores] == [3, 2, 1]


@pytest.mark.parametrize(
    ("outputs", "kind", "values"),
    [
        ([0.25], "probabilities", [0.75, 0.25]),
        ([0.0], "sigmoid logits", [0.5, 0.5]),
        ([0.0, 0.0], "sigmoid logits", [0.5, 0.5]),
        ([1000.0, 1000.0], "softmax logits", [0.5, 0.5]),
        ([-0.5], "scores", [0.5, -0.5]),
        ([2.0, -3.0], "scores", [2.0, -3.0]),
    ],
)
def test_every_class_gets_a_value(outputs, kind, values):
    assert class_values(np.array([outputs], np.float32), kind).tolist() == [values]
