"""What predictions of each kind say, as text, JSON and CSV."""

import csv
import io
import json

import numpy as np
import pytest

from kerasrun.report.predictions import Question, to_csv, to_json, to_text
from kerasrun.tasks.base import OutputPart, task_named
from kerasrun.tasks.several_outputs import SeveralOutputs


def asked(paths, *names, outputs="probabilities", **options):
    return Question(names, outputs, paths=paths, **options)


def outputs(*rows):
    return np.array(rows, np.float32)


def rows(predictions):
    return list(csv.DictReader(io.StringIO(to_csv(predictions))))


def test_a_threshold_says_which_of_two_classes_is_named_first():
    (found,) = task_named("classes").predicted(outputs([0.4]), asked(["a.png"], "no", "yes", top=2, threshold=0.3))
    assert [name for name, _ in found.top] == ["yes", "no"]
    assert found.top[0][1] == pytest.approx(0.4)
    assert rows([found])[0]["class_2"] == "no"


def test_labels_above_the_threshold_are_given():
    values = outputs([0.9, 0.2, 0.6], [0.1, 0.2, 0.3])
    found = task_named("multi_label").predicted(values, asked(["a.png", "b.png"], "sky", "sea", "sun"))
    assert [one.labels for one in found] == [("sky", "sun"), ()]
    header, first, second = to_text(found).splitlines()
    assert header.split() == ["example", "labels", "probability"]
    assert first.split() == ["a.png", "sky,", "sun", "0.9000,", "0.6000"]
    assert second.split() == ["b.png", "-", "-"]
    assert json.loads(to_json(found))[0]["values"][1] == {"label": "sea", "probability": pytest.approx(0.2)}
    assert rows(found)[0]["labels"] == "sky;sun"
    assert float(rows(found)[1]["sun"]) == found[1].values[2][1]


def test_every_label_has_a_column_on_demand():
    (found,) = task_named("multi_label").predicted(
        outputs([0.9, 0.2]), asked(["a.png"], "sky", "sea", threshold=0.1, every=True)
    )
    assert found.labels == ("sky", "sea")
    assert to_text([found]).splitlines()[0].split() == ["example", "labels", "sky", "sea"]


def test_numbers_have_a_column_each():
    found = task_named("numbers").predicted(outputs([1.5, -2]), asked(["a.csv:2"], "price", "rooms", outputs="values"))
    assert json.loads(to_json(found)) == [{"path": "a.csv:2", "values": {"price": 1.5, "rooms": -2.0}}]
    assert to_csv(found).splitlines() == ["path,price,rooms", "a.csv:2,1.5,-2.0"]
    assert to_text(found).splitlines()[1].split() == ["a.csv:2", "1.5", "-2"]


def test_several_outputs_speak_under_their_names():
    parts = (OutputPart("kind", 2, "classes", "softmax logits"), OutputPart("hours", 1, "numbers", "values"))
    task, names = SeveralOutputs(parts), ("car", "bike", "hours")
    (found,) = task.predicted(outputs([0, np.log(3), 2]), asked(["a.csv:2"], *names, outputs="values"))
    assert to_text([found]).splitlines()[1].split() == ["a.csv:2", "bike", "0.7500", "2"]
    assert json.loads(to_json([found]))[0]["outputs"] == {
        "kind": {"class": "bike", "values": {"car": pytest.approx(0.25), "bike": pytest.approx(0.75)}},
        "hours": {"values": {"hours": 2.0}},
    }
    assert list(rows([found])[0]) == ["path", "kind", "kind.car", "kind.bike", "hours.hours"]
    (found,) = task.predicted(outputs([0, np.log(3), 2]), asked(["a.csv:2"], *names, outputs="values", every=True))
    assert found.as_cells() == {"kind": "car 0.2500, bike 0.7500", "hours": "2"}


def test_a_name_that_the_table_has_already_hides_nothing():
    question = Question(("path", "labels", "price"), "values", paths=["t.csv:2"], every=True)
    found = np.array([[1.5, 0.0, 2.5]], np.float32)
    numbers = rows(task_named("numbers").predicted(found, question))
    assert numbers == [{"path": "t.csv:2", "predicted_path": "1.5", "labels": "0.0", "price": "2.5"}]
    labels = rows(task_named("multi_label").predicted(found, question))
    assert (labels[0]["path"], labels[0]["labels"]) == ("t.csv:2", "path;price")
    assert (labels[0]["predicted_path"], labels[0]["predicted_labels"]) == ("1.5", "0.0")
