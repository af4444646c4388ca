"""Errors of numbers by hand, and by scikit-learn."""

import json
import math

import numpy as np
import pytest

from kerasrun.components import Component
from kerasrun.reading.data import Split
from kerasrun.reading.inputs import ArrayInputs
from kerasrun.report.predictions import Question
from kerasrun.tasks.numbers import TASK, NumbersPrediction
from tests.tasks.sample import Sample

SAMPLE = Sample(
    TASK,
    ("price", "rooms"),
    np.array([[1, 5], [2, 4], [3, 5], [6, 5], [2.5, 1], [0, -1]], np.float32),
    np.array([[1, 5], [3, 4], [3, 5], [4, 5], [2, 2], [0.5, 0]]),
    (Component("mean_squared_error"), Component("binary_crossentropy")),
)

TRUE = np.array([[1, 5], [2, 5], [3, 5], [6, 5]], np.float32)
PREDICTED = np.array([[1, 5], [3, 4], [3, 5], [4, 5]], np.float32)


@pytest.fixture
def scores():
    return TASK.scores(TRUE, PREDICTED, Question(["price", "rooms"], "values"))


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


def test_scores_are_those_of_scikit_learn():
    from sklearn import metrics

    rng = np.random.default_rng(5)
    true, predicted = rng.normal(size=(100, 3)), rng.normal(size=(100, 3))
    scores = TASK.scores(true, predicted, Question(["a", "b", "c"], "values"))
    for name, measure in (
        ("mae", metrics.mean_absolute_error),
        ("mse", metrics.mean_squared_error),
        ("rmse", metrics.root_mean_squared_error),
        ("r2", metrics.r2_score),
    ):
        expected = measure(true, predicted, multioutput="raw_values")
        assert [getattr(target, name) for target in scores.targets] == pytest.approx(expected)
    assert scores.headline == {
        "mae": pytest.approx(metrics.mean_absolute_error(true, predicted)),
        "rmse": pytest.approx(math.sqrt(metrics.mean_squared_error(true, predicted))),
        "r2": pytest.approx(metrics.r2_score(true, predicted)),
    }


def test_a_price_is_written_with_every_digit_before_the_point():
    written = [
        NumbersPrediction("house.csv:2", (("price", number),)).as_cells()["price"]
        for number in (372_060.31, -1_250_000.0, 99_999.7, 54_321.98, 0.123456, 2e20)
    ]
    assert written == ["372060", "-1250000", "100000", "54322", "0.12346", "2e+20"]


def test_the_numbers_that_are_furthest_off_come_first():
    """Each target by its own spread: of rooms, which are all the same, by the number itself."""
    split = Split("test", ArrayInputs(np.zeros((4, 2), np.float32)), TRUE)
    (found,) = TASK.mistakes(split, PREDICTED, Question(["price", "rooms"], "values"))
    spread = np.std([1, 2, 3, 6])
    off = [0, 1 / spread + 1, 0, 2 / spread]
    assert [one.place for one in found.worst] == sorted(range(4), key=lambda place: -off[place])
    assert (found.worst[0].true, found.worst[0].called) == ("price 2, rooms 5", "price 3, rooms 4")
