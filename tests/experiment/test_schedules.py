"""What counts epochs becomes steps, and `decay` the schedule that it was."""

import pytest

from kerasrun.components import Component
from kerasrun.experiment.schedules import epoch_arguments, in_steps
from kerasrun.keras_catalogue import names


def rate(name, arguments, steps_per_epoch=40):
    optimizer, notes = in_steps(Component("SGD", {"learning_rate": {name: arguments}}), steps_per_epoch)
    return optimizer.arguments["learning_rate"][name], notes


@pytest.mark.parametrize(
    ("name", "epochs", "steps"),
    [
        ("ExponentialDecay", {"decay_epochs": 10}, {"decay_steps": 400}),
        ("PiecewiseConstantDecay", {"boundaries_epochs": [1, 2.5]}, {"boundaries": [40, 100]}),
        ("CosineDecay", {"decay_epochs": 0.001, "warmup_epochs": 0}, {"decay_steps": 1, "warmup_steps": 0}),
        ("CosineDecayRestarts", {"first_decay_epochs": 3}, {"first_decay_steps": 120}),
        ("PolynomialDecay", {"decay_steps": 7}, {"decay_steps": 7}),
    ],
)
def test_epochs_become_steps(name, epochs, steps):
    assert rate(name, epochs)[0] == steps


def test_a_change_is_told():
    assert rate("ExponentialDecay", {"decay_epochs": 10})[1] == (
        "decay_epochs: 10 of ExponentialDecay is decay_steps: 400, at 40 steps an epoch",
    )
    assert rate("PolynomialDecay", {"decay_steps": 7})[1] == ()


def test_every_schedule_of_keras_counts_something_that_may_be_epochs():
    assert all(epoch_arguments(name) for name in names("schedules") if name != "LearningRateSchedule")


@pytest.mark.parametrize(("given", "initial"), [({"learning_rate": 0.5}, 0.5), ({}, 0.01)])
def test_decay_is_the_schedule_that_it_was(given, initial):
    inner = Component("SGD", {**given, "decay": 1e-4, "momentum": 0.9})
    schedule = {"initial_learning_rate": initial, "decay_steps": 1, "decay_rate": 1e-4}
    expected = {"momentum": 0.9, "learning_rate": {"InverseTimeDecay": schedule}}
    optimizer, notes = in_steps(inner, 40)
    assert optimizer.arguments == expected
    assert f"decay: 0.0001 of SGD is the schedule {initial} / (1 + 0.0001 · step)" in notes[0]
    wrapped, _ = in_steps(Component("LossScaleOptimizer", {"inner_optimizer": {"SGD": dict(inner.arguments)}}), 40)
    assert wrapped.arguments == {"inner_optimizer": {"SGD": expected}}


def test_no_decay_is_no_schedule():
    assert in_steps(Component("SGD", {"decay": 0}), 40) == (Component("SGD", {}), ())
