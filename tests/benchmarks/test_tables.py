import numpy as np
import pytest

from benchmarks.tables import TABLES, TARGETS, _theirs


@pytest.mark.parametrize("name", [name for name in TABLES if name != "visits"])
def test_a_table_is_the_same_each_time_and_linear_models_learn_it(name):
    first, second = ([dict(row) for row in TABLES[name]()] for _ in range(2))
    assert first == second
    order = np.random.default_rng(1).permutation(len(first))
    test, train = (
        [first[place] for place in places] for places in (order[: len(order) // 4], order[len(order) // 4 :])
    )
    assert _theirs(name, train, test) > (0.3 if name == "diabetes" else 0.75)
    assert TARGETS.get(name, "label") in first[0]


def test_houses_leave_least_squares_a_known_share():
    rows = [[float(value) for value in row.values()] for row in TABLES["houses"]()]
    x, y = np.hstack([np.array(rows)[:, :-1], np.ones((len(rows), 1))]), np.array(rows)[:, -1]
    residuals = y - x @ np.linalg.lstsq(x, y, rcond=None)[0]
    assert y.mean() == pytest.approx(300_000, rel=0.1)
    assert 1 - residuals.var() / y.var() == pytest.approx(0.984, abs=0.004)
