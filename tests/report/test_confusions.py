"""Which classes are confused: the pairs, and the picture of all."""

import numpy as np
import pytest

from kerasrun.report import figures
from kerasrun.report.confusions import confused
from kerasrun.tasks.classes import ClassificationScores, class_score


def test_the_pairs_that_are_confused_are_counted_in_their_class():
    matrix = np.array([[6, 2, 0], [1, 9, 0], [0, 0, 0]])
    assert [(one.true, one.called, one.count, one.share) for one in confused(matrix, "abc", 9)] == [
        ("a", "b", 2, 0.25),
        ("b", "a", 1, 0.1),
    ]


def texts(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def test_a_cell_has_the_count_and_the_share_of_its_true_class():
    figure = figures.confusions(np.array([[6, 2], [0, 9]]), ["a", "b"])
    assert texts(figure) == ["6\n75%", "2\n25%", "0", "9\n100%"]
    assert figure.axes[1].get_ylabel() == "share of the true class"


def test_of_many_classes_those_that_are_confused_are_neighbours_and_the_pairs_are_listed():
    counts = np.diag(np.full(40, 20))
    for one in range(20):  # 0 and 20, 1 and 21, …
        counts[one, one + 20] = one + 1
    figure = figures.confusions(counts, [f"class {number}" for number in range(40)])
    names = [int(label.get_text().removeprefix("class ")) for label in figure.axes[0].get_xticklabels()]
    assert sorted(names) == list(range(40))
    assert all(abs(names.index(one) - names.index(one + 20)) == 1 for one in range(20))
    assert figure._supxlabel.get_text().splitlines()[:2] == [
        "Confused most often:",
        "class 19 taken for class 39: 20 (50%)",
    ]
    assert not texts(figure)


def test_many_classes_without_a_mistake_stay_in_their_order():
    figure = figures.confusions(np.eye(40, dtype=np.int64), [f"c{number}" for number in range(40)])
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == [f"c{number}" for number in range(40)]


@pytest.mark.parametrize(("columns", "is_whole"), [(80, True), (20, False)])
def test_a_terminal_gets_no_matrix_wider_than_itself(columns, is_whole, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    matrix = np.array([[6, 2, 0], [1, 9, 0], [0, 0, 3]])
    scores = ClassificationScores(18 / 21, tuple(class_score(name * 9, 1, 1, 1) for name in "abc"), matrix)
    text = scores.to_text()
    assert ("confusion matrix" in text) is is_whole
    assert ("aaaaaaaaa  bbbbbbbbb         2         25.0%" in text) is not is_whole
