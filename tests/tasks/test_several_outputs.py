"""Each of several outputs is measured on its own columns, as what it is."""

import numpy as np
import pytest

from kerasrun.reading.data import Split
from kerasrun.reading.inputs import ArrayInputs
from kerasrun.report.predictions import Question
from kerasrun.tasks.base import OutputPart
from kerasrun.tasks.several_outputs import SeveralOutputs
from tests.tasks.sample import Sample

PARTS = (
    OutputPart("kind", 2, "classes", "softmax logits"),
    OutputPart("urgent", 1, "multi_label", "probabilities"),
    OutputPart("hours", 1, "numbers", "values"),
)
NAMES = ("car", "bike", "urgent", "hours")
LABELS = np.array([[1, 0, 1, 2.0], [0, 1, 0, 4.0], [0, 1, 1, 6.0]], np.float32)
OUTPUTS = np.array([[3, 1, 0.9, 2.5], [2, 1, 0.4, 4.0], [-1, 1, 0.2, 5.0]], np.float32)

SAMPLE = Sample(SeveralOutputs(PARTS), NAMES, np.repeat(LABELS, 2, axis=0), np.repeat(OUTPUTS, 2, axis=0))


def test_each_has_the_scores_of_its_kind():
    scores = SeveralOutputs(PARTS).scores(LABELS, OUTPUTS, Question(NAMES, "values"))
    assert scores.outputs["kind"].confusion_matrix.tolist() == [[1, 0], [1, 1]]
    assert scores.outputs["urgent"].exact_match == pytest.approx(2 / 3)
    assert scores.outputs["hours"].targets[0].mae == pytest.approx(0.5)


def test_names_of_outputs_stand_in_front():
    scores = SeveralOutputs(PARTS).scores(LABELS, OUTPUTS, Question(NAMES, "values"))
    assert {"kind_accuracy", "urgent_exact_match", "hours_mae"} <= scores.headline.keys()
    assert list(scores.as_dict()["outputs"]) == ["kind", "urgent", "hours"]
    assert {"kind_confusion", "hours_predicted"} <= scores.figures().keys()
    assert {"kind", "urgent", "hours"} <= set(scores.to_text().splitlines())


def test_each_has_its_own_mistakes_and_names_its_columns():
    split = Split("test", ArrayInputs(np.zeros((3, 2), np.float32)), LABELS)
    kind, urgent, hours = SeveralOutputs(PARTS).mistakes(split, OUTPUTS, Question(NAMES, "values"))
    assert [one.output for one in (kind, urgent, hours)] == ["kind", "urgent", "hours"]
    assert [(one.place, one.true, one.called, NAMES[one.said]) for one in kind.worst] == [(1, "bike", "car", "car")]
    assert [(one.place, one.true, one.called, NAMES[one.said]) for one in urgent.worst] == [
        (2, "urgent", "none", "urgent")
    ]
    assert [(one.place, NAMES[one.said]) for one in hours.worst] == [(2, "hours"), (0, "hours"), (1, "hours")]
