"""Errors of numbers by hand."""

import json
import math

import numpy as np
import pytest

from kerasrun.results.scores.numbers import regression_scores

TRUE = np.array([[1, 5], [2, 5], [3, 5], [6, 5]], np.float32)
PREDICTED = np.array([[1, 5], [3, 4], [3, 5], [4, 5]], np.float32)


@pytest.fixture
def scores():
    return regression_scores(TRUE, PREDICTED, ["price", "rooms"])


def test_errors_of_each_target(scores):
    price, rooms = scores.targets
    assert (price.mae, price.mse, price.rmse) == (0.75, 1.25, math.sqrt(1.25))
    # The mean is 3, the squared distances from it 4 + 1 + 0 + 9.
    assert price.r2 == pytest.approx(1 - 5 / 14)
    assert (rooms.mae, rooms.mse) == (0.25, 0.25)


def test_r2_is_not_defined_for_equal_values(scores):
    assert scores.targets[1].r2 is None
    assert scores.headline == {"mae": 0.5, "rmse": math.sqrt(0.75), "r2": None}
    assert json.loads(json.dumps(scores.as_dict()))["targets"][1]["r2"] is None
    assert scores.to_text().splitlines()[-1].split() == ["rooms", "0.25", "0.25", "0.5", "-"]


def test_each_target_has_a_panel(scores):
    figure = scores.figures()["predicted"]
    assert [axes.get_title() for axes in figure.axes] == ["price", "rooms"]
