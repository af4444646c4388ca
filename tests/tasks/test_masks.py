"""Areas by hand and by scikit-learn, counted chunk by chunk."""

import base64
import io
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from kerasrun.components import Component
from kerasrun.reading.data import Split
from kerasrun.reading.inputs import ArrayInputs
from kerasrun.report.predictions import Question
from kerasrun.tasks.masks import TASK, SegmentationScorer, example_ious
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


@pytest.mark.parametrize("classes", [2, 4])
def test_the_iou_of_each_example_is_that_of_scikit_learn(classes):
    from sklearn.metrics import jaccard_score

    draw = np.random.default_rng(8)
    true, predicted = draw.integers(0, classes, (2, 9, 5, 4))
    true[:2] = predicted[:3] = 0  # neither has the others
    true[4, 2] = 255  # without a class
    found = example_ious(true.astype(np.uint8), predicted, classes)
    for place in range(9):
        known = true[place] < classes
        a, b = true[place][known], predicted[place][known]
        there = np.union1d(a, b)
        assert found[place, there] == pytest.approx(jaccard_score(a, b, labels=there, average=None), abs=1e-12)
        assert np.isnan(np.delete(found[place], there)).all()
        assert np.nanmean(found[place]) == pytest.approx(jaccard_score(a, b, average="macro"), abs=1e-12)


def judged(split, true, predicted, names):
    judge = TASK.judge(split, Question(names, "probabilities"))
    outputs = np.eye(len(names), dtype=np.float32)[predicted]
    for chunk in (outputs[:2], outputs[2:]):
        judge.add(chunk)
    (found,) = judge.mistakes()
    return found


def test_the_masks_with_the_lowest_iou_come_first_with_both_masks_over_the_picture():
    from sklearn.metrics import jaccard_score

    draw = np.random.default_rng(9)
    true, predicted = draw.integers(0, 3, (2, 40, 6, 6))
    predicted[5] = true[5]  # no mistake
    split = Split("test", ArrayInputs(np.full((40, 6, 6, 1), 90, np.uint8)), ArrayInputs(true[..., None].astype("u1")))
    found = judged(split, true, predicted, ("ground", "cat", "dog"))
    expected = [jaccard_score(a.ravel(), b.ravel(), average="macro") for a, b in zip(true, predicted, strict=True)]
    order = sorted(range(40), key=lambda place: expected[place])[:24]
    assert [one.place for one in found.worst] == order
    assert [one.value for one in found.worst] == pytest.approx([expected[place] for place in order], abs=1e-12)
    assert not set(order) & {one.place for one in found.others}
    with Image.open(io.BytesIO(base64.b64decode(found.worst[0].masks["predicted"].partition(",")[2]))) as picture:
        colours = np.asarray(picture.convert("RGB"))
    for number, colour in enumerate([(90, 90, 90), (110, 40, 40), (40, 110, 40)]):  # 90 · 0.45 + 128 · 0.55
        assert (colours[predicted[order[0]] == number] == colour).all()
    assert found.colours == {"cat": "rgb(128, 0, 0)", "dog": "rgb(0, 128, 0)"}


def test_masks_that_are_right_are_no_mistakes_and_steps_are_named():
    true = np.array([[0, 1, 1], [1, 1, 255], [0, 0, 1]], np.uint8)
    split = Split("test", ArrayInputs(np.zeros((3, 3, 2), np.float32)), ArrayInputs(true[..., np.newaxis]))
    right = judged(split, true, np.minimum(true, 1), ("no", "yes"))
    assert (right.worst, right.about) == ([], "All masks of test are right to the pixel.")
    (found,) = judged(split, true, np.array([[0, 1, 1], [1, 0, 1], [0, 0, 1]]), ("no", "yes")).worst
    assert (found.place, found.true, found.called, found.masks) == (1, "yes, yes, –", "yes, no, yes", {})
    assert found.value == 0.25  # of yes one of two steps, of no none
