"""Permutation importance is that of scikit-learn."""

import numpy as np
from sklearn.inspection import permutation_importance as of_sklearn
from sklearn.linear_model import LogisticRegression

from kerasrun.results.importance import permutation_importance


def test_it_is_that_of_scikit_learn():
    draw = np.random.default_rng(0)
    rows = draw.normal(size=(200, 4)).astype(np.float32)
    labels = rows @ [2, -1, 0.5, 0] + draw.normal(size=200) > 0
    model = LogisticRegression().fit(rows, labels)
    found = permutation_importance(lambda x: model.score(x, labels), rows, [slice(n, n + 1) for n in range(4)], seed=7)
    expected = of_sklearn(model, rows, labels, n_repeats=5, random_state=7).importances
    assert np.abs(found - expected).max() < 1e-9
    assert found.mean(axis=1).argmax() == 0


def test_a_column_of_several_numbers_is_shuffled_as_one():
    """The sum of the two numbers of a row stays as it is, and no other column counts."""
    rows = np.array([[n, -n, 3 * n] for n in range(50)], np.float32)
    found = permutation_importance(lambda x: -float(np.abs(x[:, :2].sum(axis=1)).sum()), rows, [slice(0, 2)], seed=1)
    assert found.tolist() == [[0] * 5]
    apart = permutation_importance(lambda x: -float(np.abs(x[:, :2].sum(axis=1)).sum()), rows, [slice(0, 1)], seed=1)
    assert apart.min() > 0
