"""Layers of `augmentation` that mix examples, held against the examples, their labels and what learns from them."""

from collections.abc import Iterator

from kerasrun.components import Component
from kerasrun.experiment.keras_checks import LEAST_MIXED, MIXED_HALF
from kerasrun.experiment.outputs import written_outputs
from kerasrun.experiment.rules.base import Facts
from kerasrun.experiment.schema import Experiment
from kerasrun.keras_catalogue import identifiers
from kerasrun.tasks.base import LINEAR, SPARSE, task_named
from kerasrun.text.document import Document
from kerasrun.text.problems import Problem, shown


def check(experiment: Experiment | None, facts: Facts, places: Document) -> list[Problem]:
    """Report examples and labels that cannot be mixed, arguments without a meaning, and losses of whole classes."""
    if experiment is None or not experiment.mixing:
        return []
    found = []
    for number, layer in experiment.mixing.items():
        reason = _obstacle(facts, places)
        if reason:
            expected = f"expected layers that change each example by itself: {reason}"
            found.append(places.problem(("augmentation", number), f"received {layer.name}", expected))
        found += _argument_problems(layer, number, places)
    return [*found, *_loss_problems(experiment, places)]


def _obstacle(facts: Facts, places: Document) -> str | None:
    """Return why the examples cannot be mixed with their labels; None where they can, or it is not known yet."""
    if len(facts.inputs) > 1:
        return "only the image of an example would be mixed"
    if written_outputs(places):
        return "the labels are those of several outputs"
    if facts.label_kind is not None:
        task = task_named(facts.label_kind)
        if not (task.one_class or task.together):
            return f"labels that are {facts.label_kind} are no shares of classes"
    if facts.example_shape is not None and len(facts.example_shape) != 3:
        return "Keras mixes images, and the examples are none"
    if facts.weighted:
        return "the examples have weights of their own (sample_weight), and a mixed example would have two"
    return None


def _argument_problems(layer: Component, number: int, places: Document) -> Iterator[Problem]:
    """Report what Keras takes one by one, but makes nothing of, or nothing of use."""
    path, given = ("augmentation", number, layer.name), layer.arguments
    if layer.name == "MixUp" and not isinstance(given.get("alpha", 1), int | float | str):
        yield places.problem((*path, "alpha"), f"received {shown(given['alpha'])}", "expected a number")
    if layer.name == "MixUp" and "factor" in given:
        expected = "expected 'alpha': Keras's MixUp does nothing with a factor"
        yield places.key_problem((*path, "factor"), "received a factor", expected)
    factor = given.get("factor")
    factors = factor if isinstance(factor, list) else [factor]
    too_small = factors and all(isinstance(one, int | float) and 0 <= one < LEAST_MIXED for one in factors)
    if layer.name == "CutMix" and too_small:
        yield places.problem((*path, "factor"), f"received {shown(factor)}", f"expected {MIXED_HALF}")


def _loss_problems(experiment: Experiment, places: Document) -> Iterator[Problem]:
    loss = experiment.compile.loss
    name = identifiers("losses").get(loss.name) if isinstance(loss, Component) else None
    if isinstance(loss, Component) and name in (*SPARSE, *LINEAR):
        expected = "expected categorical_crossentropy, or binary_crossentropy: mixed examples have shares of classes"
        yield places.problem(("compile", "loss"), f"received {loss.name}", expected)
