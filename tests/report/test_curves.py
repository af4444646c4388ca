"""ROC and precision-recall curves by their definitions."""

import numpy as np
import pytest

from kerasrun.report import figures
from kerasrun.report.curves import ranking_curves

# The example of scikit-learn's documentation of roc_curve and average_precision_score.
POSITIVE = np.array([0, 0, 1, 1])
VALUES = np.array([0.1, 0.4, 0.35, 0.8])


def test_the_points_are_those_of_every_threshold():
    curves = ranking_curves(POSITIVE, VALUES)
    assert curves.roc.x.tolist() == [0, 0, 0.5, 0.5, 1]
    assert curves.roc.y.tolist() == [0, 0.5, 0.5, 1, 1]
    assert curves.precision_recall.x.tolist() == [0, 0.5, 0.5, 1, 1]
    assert curves.precision_recall.y.tolist() == pytest.approx([1, 1, 1 / 2, 2 / 3, 2 / 4])


def test_the_areas_are_those_of_their_definitions():
    curves = ranking_curves(POSITIVE, VALUES)
    assert curves.roc.area == 0.75
    assert curves.precision_recall.area == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)


def test_the_roc_area_is_the_chance_of_a_right_order_ties_counting_half():
    rng = np.random.default_rng(1)
    positive, values = rng.integers(0, 2, 200), rng.integers(0, 20, 200) / 20
    differences = values[positive == 1][:, np.newaxis] - values[positive == 0]
    expected = np.mean((differences > 0) + (differences == 0) / 2)
    assert ranking_curves(positive, values).roc.area == pytest.approx(expected)


def test_curves_and_areas_are_those_of_scikit_learn():
    from sklearn import metrics

    rng = np.random.default_rng(2)
    positive, values = rng.integers(0, 2, 200), rng.integers(0, 20, 200) / 20
    curves = ranking_curves(positive, values)
    false_rate, true_rate, _ = metrics.roc_curve(positive, values, drop_intermediate=False)
    assert curves.roc.x.tolist() == pytest.approx(false_rate.tolist())
    assert curves.roc.y.tolist() == pytest.approx(true_rate.tolist())
    precision, recall, _ = metrics.precision_recall_curve(positive, values)
    # From the other end, where every example is called positive already at the largest threshold that finds all.
    points = len(precision)
    assert curves.precision_recall.x[:points].tolist() == pytest.approx(recall[::-1].tolist())
    assert curves.precision_recall.y[:points].tolist() == pytest.approx(precision[::-1].tolist())
    assert curves.roc.area == pytest.approx(metrics.roc_auc_score(positive, values))
    assert curves.precision_recall.area == pytest.approx(metrics.average_precision_score(positive, values))


def test_the_base_rate_is_the_share_of_positives_and_a_line_in_the_picture():
    curves = ranking_curves(np.array([1, 0, 0, 0, 0]), np.array([0.9, 0.9, 0.3, 0.1, 0.1]))
    assert curves.base_rate == 1 / 5
    drawn, rate = figures.ranking({"yes": curves})["precision_recall"].axes[0].get_lines()
    assert rate.get_ydata() == [0.2, 0.2]
    assert (rate.get_linestyle(), rate.get_color()) == (":", drawn.get_color())


def test_equal_values_are_one_point():
    curves = ranking_curves(np.array([0, 1, 1, 0]), np.array([0.5, 0.5, 0.5, 0.5]))
    assert (curves.roc.area, curves.precision_recall.area) == (0.5, 0.5)


@pytest.mark.parametrize("positive", [[0, 0], [1, 1]])
def test_of_one_kind_alone_there_is_no_curve(positive):
    assert ranking_curves(np.array(positive), np.array([0.1, 0.2])) is None
