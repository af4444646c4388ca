"""Mean, deviation and interval of a metric over runs."""

import numpy as np
import pytest

from kerasrun.many.statistics import Spread, spread_of, spreads, student_95, to_text


def test_students_quantiles_are_those_of_scipy():
    from scipy import stats

    for freedom in (1, 2, 3, 4, 9, 24, 499, 1000):
        assert student_95(freedom) == pytest.approx(stats.t.ppf(0.975, freedom), rel=1e-12)


def test_the_interval_of_seeds_is_scipys_and_that_of_folds_is_wider():
    from scipy import stats

    values = np.random.default_rng(1).normal(0.9, 0.02, 10)
    seeds = spread_of(values)
    assert (seeds.mean, seeds.std) == (np.mean(values), np.std(values, ddof=1))
    assert seeds.interval == pytest.approx(stats.t.interval(0.95, 9, np.mean(values), stats.sem(values)))
    low, high = spread_of(values, folds=5).interval
    wider = np.sqrt((1 / 10 + 1 / 4) / (1 / 10))  # Nadeau and Bengio: an example validates for four that train
    assert high - low == pytest.approx(wider * (seeds.interval[1] - seeds.interval[0]))


def test_a_single_run_has_no_deviation_and_a_metric_counts_where_it_is_defined():
    found = spreads([{"accuracy": 0.5, "roc_auc": None}, {"accuracy": 0.5, "roc_auc": 0.75}])
    assert found == {"accuracy": Spread(0.5, 0.0, (0.5, 0.5), 2), "roc_auc": Spread(0.75, None, None, 1)}
    assert to_text(found).splitlines()[2].split() == ["roc_auc", "0.75", "-", "-", "-", "1"]
