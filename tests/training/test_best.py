"""Which epoch is best."""

from types import SimpleNamespace

import pytest

from kerasrun.errors import ModelError
from kerasrun.training.best import Best, best_for


def follow(best, values):
    return [best.improves(epoch, value) for epoch, value in enumerate(values)]


def test_the_smallest_value_wins_and_a_tie_keeps_the_first():
    best = Best("val_loss", smallest=True)
    assert follow(best, [3.0, 2.0, 2.0, 4.0]) == [True, True, False, False]
    assert best.state() == {"monitor": "val_loss", "value": 2.0, "epoch": 2}


def test_the_largest_value_wins():
    assert follow(Best("accuracy", smallest=False), [0.3, 0.2, 0.5]) == [True, False, True]


def test_the_first_epoch_is_best_where_nothing_is_finite():
    best = Best("val_loss", smallest=True)
    assert follow(best, [float("nan"), float("nan"), float("inf")]) == [True, False, False]
    assert best.epoch == 0


def test_a_finite_value_beats_one_that_is_not():
    assert follow(Best("val_loss", smallest=True), [float("nan"), 9.0]) == [True, True]


def test_it_is_remembered():
    best, again = Best("loss", smallest=True), Best("loss", smallest=True)
    follow(best, [3.0, 2.0])
    again.restore(best.state())
    assert follow(again, [2.5]) == [False]


def model(**directions):
    metrics = [SimpleNamespace(name=name, _direction=direction) for name, direction in directions.items()]
    return SimpleNamespace(metrics=[SimpleNamespace(name="compile_metrics", metrics=metrics)])


@pytest.mark.parametrize(
    ("monitor", "mode", "smallest"),
    [("val_loss", "auto", True), ("val_accuracy", "auto", False), ("accuracy", "min", True), ("val_mae", "auto", True)],
)
def test_the_direction_is_the_metrics_own(monitor, mode, smallest):
    assert best_for(model(accuracy="up", mae="down"), monitor, mode).smallest is smallest


def test_a_metric_of_unknown_direction_needs_a_mode():
    with pytest.raises(ModelError, match=r"checkpoint\.mode"):
        best_for(model(odd=None), "val_odd", "auto")
