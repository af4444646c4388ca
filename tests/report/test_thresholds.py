"""The threshold that each rule chooses: the best of all by formulas, and by the curves of scikit-learn."""

import numpy as np
import pytest

from kerasrun.errors import DataError, UsageError
from kerasrun.report.thresholds import asked, chosen

DRAW = np.random.default_rng(3)
POSITIVE = DRAW.random(300) < 0.3
VALUES = np.clip(np.where(POSITIVE, 0.55, 0.4) + DRAW.normal(scale=0.2, size=300), 0, 1).round(2)  # many are equal


def counts(threshold):
    called = threshold < VALUES
    return (called & POSITIVE).sum(), (called & ~POSITIVE).sum(), (~called & POSITIVE).sum()


def test_best_f1_is_the_best_point_of_the_precision_recall_curve():
    from sklearn.metrics import f1_score, precision_recall_curve

    precision, recall, thresholds = precision_recall_curve(POSITIVE, VALUES)
    f1 = 2 * precision[:-1] * recall[:-1] / np.maximum(precision[:-1] + recall[:-1], 1e-9)
    found = chosen(POSITIVE, VALUES, asked("best-f1"))
    assert f1_score(POSITIVE, found < VALUES) == pytest.approx(f1.max(), abs=1e-9)
    place = f1.argmax()  # scikit-learn calls what is at least the threshold
    assert thresholds[place - 1] < found < thresholds[place]


def test_youden_is_the_point_of_the_roc_curve_that_is_furthest_above_the_diagonal():
    from sklearn.metrics import roc_curve

    false_rate, true_rate, thresholds = roc_curve(POSITIVE, VALUES, drop_intermediate=False)
    found = chosen(POSITIVE, VALUES, asked("youden"))
    hits, alarms, _ = counts(found)
    there = hits / POSITIVE.sum() - alarms / (~POSITIVE).sum()
    assert there == pytest.approx((true_rate - false_rate).max(), abs=1e-9)
    place = (true_rate - false_rate).argmax()
    assert thresholds[place + 1] < found < thresholds[place]


@pytest.mark.parametrize("costs", [(5, 1), (1, 5), (1, 1), (0.5, 2.25)])
def test_a_cost_is_the_lowest_of_all_thresholds(costs):
    missed, alarm = costs

    def cost(threshold):
        _, alarms, misses = counts(threshold)
        return missed * misses + alarm * alarms

    found = chosen(POSITIVE, VALUES, asked(f"cost={missed}:{alarm}"))
    assert cost(found) == pytest.approx(min(map(cost, np.linspace(-0.005, 1.005, 102))), abs=1e-9)


def test_what_a_missed_positive_costs_stands_first():
    thresholds = [chosen(POSITIVE, VALUES, asked(rule)) for rule in ("cost=20:1", "cost=1:1", "cost=1:20")]
    assert thresholds == sorted(thresholds)
    assert len(set(thresholds)) == 3


@pytest.mark.parametrize("rule", ["best-f1", "youden", "cost=1:1"])
def test_of_classes_that_are_apart_it_is_the_middle_between_them(rule):
    assert chosen(np.array([0, 1, 0, 1]), np.array([0.25, 0.75, 0.125, 0.875]), asked(rule)) == 0.5


def test_where_nothing_is_worth_calling_nothing_is_called():
    assert chosen(np.array([1, 0]), np.array([0.1, 0.9]), asked("cost=1:5")) == 1


def test_between_neighbours_it_is_the_lower_one():
    low = 0.5
    high = np.nextafter(low, 1)
    assert chosen(np.array([0, 1]), np.array([low, high]), asked("youden")) == low


def test_a_probability_of_0_is_above_no_threshold():
    """To call all would be best, but nothing tells 0 from what is not called."""
    found = chosen(np.array([1, 1, 1, 0]), np.array([0.0, 0.0, 0.5, 0.0]), asked("cost=9:1"))
    assert 0 <= found < 0.5


@pytest.mark.parametrize("positive", [[0, 0], [1, 1]])
def test_examples_of_one_kind_choose_nothing(positive):
    with pytest.raises(DataError, match=rf"of 2 examples {sum(positive)} are positive"):
        chosen(np.array(positive), np.array([0.1, 0.9]), asked("best-f1"))


def test_a_number_is_a_threshold_too():
    assert (asked("0.25"), asked(0.3), asked(None)) == (0.25, 0.3, None)


@pytest.mark.parametrize(
    "text", ["best", "f1", "cost", "cost=5", "cost=0:1", "cost=1:0", "cost=-1:2", "cost=1e9:1", ""]
)
def test_what_is_no_rule_is_refused_with_those_that_are(text):
    with pytest.raises(UsageError, match=r"expected a probability, best-f1, youden, .* such as cost=5:1"):
        asked(text)
