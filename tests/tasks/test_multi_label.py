"""Scores of several labels at once by hand, and by scikit-learn."""

import numpy as np
import pytest

from kerasrun.components import Component
from kerasrun.reading.data import Split
from kerasrun.reading.inputs import ArrayInputs
from kerasrun.report.predictions import Question
from kerasrun.tasks.multi_label import TASK
from tests.tasks.sample import Sample

SAMPLE = Sample(
    TASK,
    ("sky", "sea", "sun"),
    np.array([[1, 0, 0], [1, 1, 0], [0, 1, 1], [0, 0, 0], [1, 1, 1], [0, 1, 0]], np.uint8),
    np.array([[0.9, 0.4, 0.1], [0.6, 0.8, 0.2], [0.7, 0.3, 0.1], [0, 0.1, 0.4], [1, 1, 0.9], [0.5, 0.6, 0.2]]),
    (Component("binary_crossentropy"), Component("BinaryCrossentropy", {"from_logits": True})),
)

LABELS = np.array([[1, 0, 0], [1, 1, 0], [0, 1, 0]], np.uint8)
OUTPUTS = np.array([[0.9, 0.4, 0.1], [0.6, 0.8, 0.2], [0.7, 0.3, 0.1]], np.float32)


def multi_label_scores(labels, outputs, names, kind, threshold=None):
    return TASK.scores(labels, outputs, Question(names, kind, threshold))


def test_each_label_is_measured_at_the_threshold():
    scores = multi_label_scores(LABELS, OUTPUTS, ["sky", "sea", "sun"], "probabilities")
    sky, sea, sun = (label.score for label in scores.labels)
    assert (sky.precision, sky.recall, sky.support) == (pytest.approx(2 / 3), 1, 2)
    assert (sea.precision, sea.recall) == (1, 0.5)
    assert (sun.precision, sun.recall, sun.support) == (0, 0, 0)
    assert scores.exact_match == pytest.approx(2 / 3)
    lower = multi_label_scores(LABELS, OUTPUTS, ["sky", "sea", "sun"], "probabilities", threshold=0.25)
    assert [label.score.recall for label in lower.labels] == [1, 1, 0]


def test_each_label_may_have_a_threshold_of_its_own():
    names, each = ["sky", "sea", "sun"], (0.65, 0.35, 0.5)
    scores = multi_label_scores(LABELS, OUTPUTS, names, "probabilities", threshold=each)
    sky, sea, _ = (label.score for label in scores.labels)
    assert (sky.precision, sky.recall) == (0.5, 0.5)
    assert (sea.precision, sea.recall) == (0.5, 0.5)
    assert scores.as_dict()["threshold"] is None
    assert [label["threshold"] for label in scores.as_dict()["labels"]] == list(each)
    assert [line.split()[-1] for line in scores.to_text().splitlines()[1:]] == ["threshold", "0.65", "0.35", "0.5"]
    predictions = TASK.predicted(OUTPUTS, Question(names, "probabilities", each, paths=["a", "b", "c"]))
    assert [one.labels for one in predictions] == [("sky", "sea"), ("sea",), ("sky",)]


def test_areas_leave_out_a_label_that_nothing_has():
    scores = multi_label_scores(LABELS, OUTPUTS, ["sky", "sea", "sun"], "probabilities")
    # sky: ranked 1, -, 1. sea: ranked 1, -, 1 as well.
    expected = 0.5 * 1 + 0.5 * 2 / 3
    assert [label.average_precision for label in scores.labels] == [pytest.approx(expected)] * 2 + [None]
    assert scores.headline["mean_average_precision"] == pytest.approx(expected)
    assert set(scores.figures()) == {"roc", "precision_recall", "calibration"}


def test_each_label_has_a_calibration_of_its_own():
    scores = multi_label_scores(LABELS, OUTPUTS, ["sky", "sea", "sun"], "probabilities")
    # Each value is in a bin of its own, but 0.1 and 0.1 of sun.
    expected = [(0.1 + 0.4 + 0.7) / 3, (0.4 + 0.2 + 0.7) / 3, (2 * 0.1 + 0.2) / 3]
    assert [label.as_dict()["ece"] for label in scores.labels] == pytest.approx(expected, abs=1e-7)
    assert scores.as_dict()["calibration"]["sun"]["examples"] == [2, 1]
    assert scores.to_text().splitlines()[1].split()[-2:] == ["ece", "support"]


def test_scores_of_a_hinge_loss_are_cut_at_zero():
    scores = multi_label_scores(np.array([[1, 0]], np.uint8), np.array([[0.1, -0.1]], np.float32), ["a", "b"], "scores")
    assert (scores.threshold, scores.exact_match) == (0, 1)
    assert scores.as_dict()["labels"][0]["ece"] is None
    assert "calibration" not in scores.figures()


def test_scores_are_those_of_scikit_learn():
    from sklearn import metrics

    rng = np.random.default_rng(4)
    labels, values = rng.integers(0, 2, (100, 3), dtype=np.uint8), rng.integers(0, 20, (100, 3)).astype(np.float32) / 20
    scores, given = multi_label_scores(labels, values, ["sky", "sea", "sun"], "probabilities"), values > 0.5
    precision, recall, f1, support = metrics.precision_recall_fscore_support(labels, given)
    assert [label.score.precision for label in scores.labels] == pytest.approx(precision)
    assert [label.score.recall for label in scores.labels] == pytest.approx(recall)
    assert [label.score.f1 for label in scores.labels] == pytest.approx(f1)
    assert [label.score.support for label in scores.labels] == support.tolist()
    expected = metrics.average_precision_score(labels, values, average=None)
    assert [label.average_precision for label in scores.labels] == pytest.approx(expected)
    assert [label.roc_auc for label in scores.labels] == pytest.approx(
        metrics.roc_auc_score(labels, values, average=None)
    )
    assert scores.headline == {
        "exact_match": pytest.approx(metrics.accuracy_score(labels, given)),
        "macro_f1": pytest.approx(metrics.f1_score(labels, given, average="macro")),
        "mean_average_precision": pytest.approx(metrics.average_precision_score(labels, values)),
    }


def mistakes(labels, outputs, kind="probabilities", threshold=None):
    split = Split("test", ArrayInputs(np.zeros((len(labels), 2), np.float32)), labels)
    (found,) = TASK.mistakes(split, outputs, Question(("sky", "sea", "sun"), kind, threshold))
    return found


def test_mistakes_have_the_loss_of_scikit_learn_the_highest_first():
    from sklearn.metrics import log_loss

    rng = np.random.default_rng(5)
    labels, values = rng.integers(0, 2, (40, 3), dtype=np.uint8), rng.uniform(0.01, 0.99, (40, 3)).astype(np.float32)
    found = mistakes(labels, values)
    wrong = np.flatnonzero(((values > 0.5) != labels).any(axis=1))
    expected = {
        place: log_loss(labels[place], values[place].astype(np.float64), labels=[0, 1]) for place in wrong.tolist()
    }
    assert [one.place for one in found.worst] == sorted(expected, key=lambda place: -expected[place])
    assert [one.value for one in found.worst] == pytest.approx(sorted(expected.values(), reverse=True), abs=1e-9)
    assert found.about == f"{len(wrong)} of 40 examples of test are given other labels than they have."


def test_a_mistake_names_what_is_true_what_is_called_and_first_the_label_that_is_most_wrong():
    labels, outputs = np.array([[1, 0, 0], [1, 1, 0]], np.uint8), np.array([[0.9, 0.6, 0.2], [0.6, 0.1, 0.2]], "f4")
    first, second = mistakes(labels, outputs).worst
    assert (first.true, first.called, first.said) == ("sky, sea", "sky", 1)
    assert (second.true, second.called, second.said) == ("sky", "sky, sea", 1)
    assert [name for name, _ in first.best] == ["sea", "sky", "sun"]
    assert [value for _, value in first.best] == pytest.approx([0.1, 0.6, 0.2])
    assert mistakes(labels, outputs, threshold=(0.5, 0.05, 0.5)).worst[0].place == 0  # the second is right by it


def test_mistakes_of_a_hinge_loss_are_ordered_by_it():
    labels, scores = np.array([[1, 0, 0], [1, 0, 0]], np.uint8), np.array([[-0.1, -1, -1], [-2, -1, -1]], np.float32)
    found = mistakes(labels, scores, "scores").worst
    assert [(one.place, one.value) for one in found] == [(1, None), (0, None)]
