"""Areas by hand and by scikit-learn, counted chunk by chunk."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure

from kerasrun.components import Component
from kerasrun.reading.data import Split
from kerasrun.reading.inputs import ArrayInputs
from kerasrun.report.predictions import Question
from kerasrun.tasks.masks import TASK, SegmentationScorer
from tests.tasks.sample import Sample

SAMPLE = Sample(
    TASK,
    ("ground", "cat", "dog"),
    ArrayInputs(np.random.default_rng(6).integers(0, 3, (6, 4, 4, 1), dtype=np.uint8)),
    np.random.default_rng(7).dirichlet(np.ones(3), (6, 4, 4)),
    (Component("sparse_categorical_crossentropy"), Component("categorical_crossentropy")),
)

# Two masks of 1×4 pixels and what a network of three channels says of them, as class numbers.
TRUE = np.array([[[0, 0, 1, 1]], [[0, 1, 1, 0]]], np.uint8)
PREDICTED = np.array([[[0, 1, 1, 1]], [[0, 0, 1, 0]]])


@pytest.fixture
def split():
    images = ArrayInputs(np.zeros((2, 1, 4, 3), np.uint8))
    return Split("test", images, ArrayInputs(TRUE[..., np.newaxis]), names=("a.png", "b.png"))


def scored(split, outputs, names, **arguments):
    question = Question(names, "probabilities", arguments.pop("threshold", None))
    scorer = SegmentationScorer(split, question, **arguments)
    for chunk in (outputs[:1], outputs[1:]):
        scorer.add(chunk.astype(np.float32))
    return scorer.scores()


def test_overlap_of_each_class(split):
    scores = scored(split, np.eye(3)[PREDICTED], ["ground", "cat", "dog"])
    ground, cat, dog = scores.classes
    # ground: 3 of both, 4 true, 4 predicted. cat: 3 of both, 4 true, 4 predicted.
    assert (ground.iou, ground.dice, ground.pixels) == (3 / 5, 3 / 4, 4)
    assert (cat.iou, cat.dice) == (3 / 5, 3 / 4)
    assert (dog.iou, dog.dice, dog.pixels) == (None, None, 0)
    assert scores.headline == {"pixel_accuracy": 6 / 8, "mean_iou": 3 / 5, "mean_dice": 3 / 4}


def test_pixels_without_a_class_are_neither_counted_nor_drawn(split):
    true = TRUE.copy()
    true[0, 0, 1] = true[1, 0, 0] = 255
    split = replace(split, labels=ArrayInputs(true[..., np.newaxis]))
    scores = scored(split, np.eye(3)[PREDICTED], ["ground", "cat", "dog"])
    assert [score.pixels for score in scores.classes] == [2, 4, 0]
    assert scores.pixel_accuracy == 5 / 6
    assert scores.overlays[0].true.tolist() == [[0, 0, 1, 1]]
    axes = Figure().subplots()
    TASK.draw(axes, true[0][..., np.newaxis], ["ground", "cat", "dog"])
    assert axes.images[0].get_array()[..., 3].tolist() == [[0, 0, 0.5, 0.5]]
    none = replace(split, labels=ArrayInputs(np.full((2, 1, 4, 1), 255, np.uint8)))
    assert scored(none, np.eye(3)[PREDICTED], ["ground", "cat", "dog"]).pixel_accuracy == 0


def test_one_channel_is_cut_at_the_threshold(split):
    outputs = np.where(TRUE == 1, 0.4, 0.1)[..., np.newaxis]
    assert scored(split, outputs, ["ground", "cat"]).pixel_accuracy == 0.5
    lower = scored(split, outputs, ["ground", "cat"], threshold=0.3)
    assert (lower.pixel_accuracy, lower.threshold) == (1, 0.3)
    assert "called cat above 0.3" in lower.to_text()


def test_as_many_examples_are_drawn_as_asked_for(split):
    scores = scored(split, np.eye(3)[PREDICTED], ["ground", "cat", "dog"], overlays=1)
    (shown,) = scores.overlays
    assert (shown.name, shown.predicted.tolist()) == ("a.png", PREDICTED[0].tolist())
    titles = [axes.get_title() for axes in scores.figures()["overlays"].axes]
    assert titles == ["a.png", "true", "predicted"]


def test_areas_are_those_of_scikit_learn():
    from sklearn import metrics

    scorer = SegmentationScorer(SAMPLE.split, Question(SAMPLE.classes, "probabilities"))
    for chunk in (SAMPLE.found[:2], SAMPLE.found[2:]):
        scorer.add(chunk)
    scores = scorer.scores()
    true, predicted = SAMPLE.labels.array.ravel(), SAMPLE.found.argmax(axis=-1).ravel()
    assert scores.pixel_accuracy == pytest.approx(metrics.accuracy_score(true, predicted))
    iou, dice = metrics.jaccard_score(true, predicted, average=None), metrics.f1_score(true, predicted, average=None)
    assert [score.iou for score in scores.classes] == pytest.approx(iou)
    assert [score.dice for score in scores.classes] == pytest.approx(dice)
    assert scores.headline["mean_iou"] == pytest.approx(iou.mean())
