"""Scores of classes by hand, and by scikit-learn."""

import numpy as np
import pytest

from kerasrun.components import Component
from kerasrun.reading.data import Split
from kerasrun.reading.inputs import ArrayInputs
from kerasrun.report.predictions import Question
from kerasrun.report.values import class_values, pixel_classes
from kerasrun.tasks.classes import TASK, confusion_matrix
from tests.tasks.sample import Sample

SAMPLE = Sample(
    TASK,
    ("cat", "dog", "bird"),
    np.array([0, 2, 1, 1, 0, 2]),
    np.array([[0.7, 0.2, 0.1], [0.1, 0.2, 0.7], [0.3, 0.4, 0.3], [0.5, 0.4, 0.1], [0.6, 0.2, 0.2], [0.2, 0.5, 0.3]]),
    (
        Component("categorical_crossentropy"),
        Component("sparse_categorical_crossentropy"),
        Component("CategoricalCrossentropy", {"from_logits": True}),
    ),
)
LABELS = np.array([0, 0, 0, 1, 1, 2])
PREDICTED = np.array([0, 0, 1, 1, 1, 0])


def classification_scores(labels, outputs, names, kind, threshold=None):
    return TASK.scores(labels, outputs, Question(names, kind, threshold))


def test_rows_are_true_classes_and_columns_predicted_ones():
    assert confusion_matrix(LABELS, PREDICTED, 4).tolist() == [[2, 1, 0, 0], [0, 2, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]


def test_scores_by_hand():
    scores = classification_scores(LABELS, np.eye(3)[PREDICTED], ["a", "b", "c"], "probabilities").classes
    # a: 2 of 3 called a are a; 2 of 3 that are a were called so. b: 2 of 3 called, 2 of 2 found. c: never called.
    assert [score.precision for score in scores] == pytest.approx([2 / 3, 2 / 3, 0])
    assert [score.recall for score in scores] == pytest.approx([2 / 3, 1, 0])
    assert [score.f1 for score in scores] == pytest.approx([2 / 3, 0.8, 0])
    assert [score.support for score in scores] == [3, 2, 1]


@pytest.mark.parametrize("classes", [2, 3, 12])
def test_scores_are_those_of_scikit_learn(classes):
    from sklearn import metrics

    rng = np.random.default_rng(3)
    labels, values = rng.integers(0, classes, 200), rng.dirichlet(np.ones(classes), 200).astype(np.float32)
    values[::7] = values[0]  # several examples of equal values
    names = [str(number) for number in range(classes)]
    scores, predicted = classification_scores(labels, values, names, "probabilities"), values.argmax(axis=1)
    assert scores.accuracy == metrics.accuracy_score(labels, predicted)
    assert scores.confusion_matrix.tolist() == metrics.confusion_matrix(labels, predicted).tolist()
    by_name = metrics.classification_report(labels, predicted, output_dict=True, zero_division=0)
    for score in scores.classes:
        expected = by_name[score.name]
        assert (score.precision, score.recall, score.support) == (
            pytest.approx(expected["precision"]),
            pytest.approx(expected["recall"]),
            expected["support"],
        )
        assert score.f1 == pytest.approx(expected["f1-score"])
    if classes == 2:
        assert scores.headline["roc_auc"] == pytest.approx(metrics.roc_auc_score(labels, values[:, 1]))
        expected = metrics.average_precision_score(labels, values[:, 1])
        assert scores.headline["average_precision"] == pytest.approx(expected)
    if classes > 10:
        distinct = values + rng.uniform(0, 1e-4, values.shape)  # scikit-learn orders equal values otherwise
        top = classification_scores(labels, distinct, names, "probabilities").top_5_accuracy
        assert top == metrics.top_k_accuracy_score(labels, distinct, k=5)


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


def test_a_threshold_decides_between_two_classes():
    outputs, labels = np.array([[0.2], [0.4], [0.6], [0.9]], np.float32), np.array([0, 1, 0, 1])
    by_default = classification_scores(labels, outputs, ["no", "yes"], "probabilities")
    assert (by_default.threshold, by_default.confusion_matrix.tolist()) == (0.5, [[1, 1], [1, 1]])
    lower = classification_scores(labels, outputs, ["no", "yes"], "probabilities", threshold=0.3)
    assert (lower.threshold, lower.confusion_matrix.tolist()) == (0.3, [[1, 1], [0, 2]])
    assert (lower.accuracy, lower.classes[1].recall) == (0.75, 1.0)
    assert lower.curves.roc.area == by_default.curves.roc.area == 0.75


def test_two_softmax_units_rank_as_one_unit_does():
    labels, yes = np.array([0, 1, 0, 1]), np.array([0.2, 0.4, 0.6, 0.9], np.float32)
    two = classification_scores(labels, np.stack([1 - yes, yes], axis=1), ["no", "yes"], "probabilities")
    assert two.curves.roc.area == 0.75


@pytest.mark.parametrize(
    ("outputs", "kind"),
    [
        ([[1e-30], [1e-20]], "probabilities"),
        ([[1.0, 1e-30], [1.0, 1e-20]], "probabilities"),
        ([[40.0], [50.0]], "sigmoid logits"),
        ([[0.0, 40.0], [0.0, 50.0]], "softmax logits"),
        ([[3.0, 1.0], [1.0, 0.0]], "scores"),
    ],
)
def test_the_surest_examples_are_told_apart_too(outputs, kind):
    scores = classification_scores(np.array([0, 1]), np.array(outputs, np.float32), ["no", "yes"], kind)
    assert scores.curves.roc.area == 1


def test_with_one_class_in_the_split_there_are_no_areas():
    scores = classification_scores(np.array([1, 1]), np.array([[0.2], [0.8]], np.float32), ["a", "b"], "probabilities")
    assert scores.headline == {"accuracy": 0.5, "roc_auc": None, "average_precision": None}
    assert set(scores.figures()) == {"confusion", "calibration"}


def test_the_calibration_is_that_of_the_most_probable_class_whatever_the_threshold():
    outputs, labels = np.array([[0.1], [0.4], [0.8]], np.float32), np.array([0, 1, 1])
    for threshold in (None, 0.2):
        scores = classification_scores(labels, outputs, ["no", "yes"], "probabilities", threshold)
        # Sure by 0.9, 0.6 and 0.8, each in a bin of its own; right, wrong, right.
        expected = (0.1 + 0.6 + 0.2) / 3
        assert scores.as_dict()["ece"] == pytest.approx(expected, abs=1e-7)
        assert scores.as_dict()["calibration"]["examples"] == [1, 1, 1]
        assert "expected calibration error: 0.3000" in scores.to_text()


def test_scores_that_are_no_probabilities_have_no_calibration():
    scores = classification_scores(np.array([0, 1]), np.array([[-1.0], [1.0]], np.float32), ["a", "b"], "scores")
    assert "ece" not in scores.as_dict()
    assert "calibration" not in scores.to_text()
    assert "calibration" not in scores.figures()


@pytest.mark.parametrize(("classes", "expected"), [(10, None), (11, 0.5)])
def test_being_among_the_five_best_counts_where_there_are_many_classes(classes, expected):
    outputs = np.tile(np.linspace(0, 1, classes, dtype=np.float32), (2, 1))
    labels = np.array([classes - 5, classes - 6])
    scores = classification_scores(labels, outputs, [str(i) for i in range(classes)], "probabilities")
    assert scores.top_5_accuracy == expected


@pytest.mark.parametrize(
    ("outputs", "kind", "threshold", "expected"),
    [
        ([[0.4], [0.6]], "probabilities", None, [0, 1]),
        ([[0.4], [0.6]], "probabilities", 0.3, [1, 1]),
        ([[0.6, 0.4], [0.8, 0.2]], "probabilities", 0.3, [1, 0]),
        ([[-0.1], [0.1]], "sigmoid logits", None, [0, 1]),
        ([[-0.1], [0.1]], "scores", None, [0, 1]),
        ([[3.0, 1.0, 2.0], [0.0, 1.0, 2.0]], "softmax logits", None, [0, 2]),
    ],
)
def test_every_pixel_gets_a_class(outputs, kind, threshold, expected):
    assert pixel_classes(np.array([[outputs]], np.float32), kind, threshold).tolist() == [[expected]]


def mistakes(labels, outputs, kind="probabilities", names=("a", "b", "c"), threshold=None):
    split = Split("test", ArrayInputs(np.zeros((len(labels), 2), np.float32)), np.array(labels))
    (found,) = TASK.mistakes(split, np.array(outputs, np.float32), Question(names, kind, threshold))
    return found


def test_mistakes_begin_with_the_highest_loss():
    found = mistakes([0, 1, 2, 2], [[0.1, 0.6, 0.3], [0, 1, 0], [0.5, 0.3, 0.2], [0, 1, 0]])
    assert [(one.place, one.true, one.called) for one in found.worst] == [(3, "c", "b"), (0, "a", "b"), (2, "c", "a")]
    losses = [one.value for one in found.worst]
    assert losses == [np.inf, pytest.approx(-np.log(0.1)), pytest.approx(-np.log(0.2))]
    assert [name for name, _ in found.worst[1].best] == ["b", "c", "a"]
    assert found.about == "3 of 4 examples of test are called otherwise than they are."
    assert [one.place for one in found.others] == [1]


def test_scores_of_a_hinge_loss_are_no_probabilities_of_mistakes():
    (found,) = mistakes([0], [[-1.0, 2.0, 0.5]], "scores").worst
    assert (found.value, found.best[0]) == (None, ("b", 2.0))


def test_a_label_is_likely_wrong_where_another_class_is_as_sure_as_it_usually_is():
    """Of b the own examples have 0.8 on average: 0.9 is as sure, 0.7 is not, which is but a mistake."""
    found = mistakes([1, 1, 0, 0], [[0, 0.9, 0.1], [0.2, 0.8, 0], [0.1, 0.9, 0], [0.2, 0.7, 0.1]])
    assert [(one.place, one.doubted) for one in found.worst] == [(2, True), (3, False)]
    assert found.doubts == 1


def test_a_threshold_of_the_model_file_says_what_is_called():
    found = mistakes([0, 1], [[0.3], [0.1]], names=("no", "yes"), threshold=0.2)
    assert [(one.true, one.called) for one in found.worst] == [("yes", "no"), ("no", "yes")]
    assert [one.doubted for one in found.worst] == [True, False]  # a label is doubted by what is most probable


def test_a_model_without_a_mistake_is_said_to_have_none():
    found = mistakes([0, 1], [[1, 0, 0], [0, 1, 0]])
    assert (found.worst, found.about) == ([], "The model makes no mistake on the 2 examples of test.")
