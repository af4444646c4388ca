"""How the examples that a model gets wrong look on a page."""

import numpy as np

from kerasrun.reading.data import Feature, RowFormat, Split
from kerasrun.reading.inputs import ArrayInputs
from kerasrun.report.mistakes import Judged, Mistakes
from kerasrun.results.mistakes import seen


def test_a_row_is_shown_by_its_columns_as_they_were_in_its_table():
    """A date is year, month, day of the week and days; of categories the number from 1, 0 for an unknown one."""
    columns = (Feature(), Feature("date", first="2020-01-01"), Feature("category", categories=("blue", "red")))
    rows = np.array([[1.5, 2021, 3, 1, 430, 2], [np.nan, 2022, 12, 1, 1000, 0], [7, 2020, 1, 1, 0, 1]], np.float32)
    split = Split("test", ArrayInputs(rows), np.zeros((3, 1), np.float32), ("a", "b", "c"))
    mistakes = Mistakes([Judged(1, "20", "25"), Judged(0, "10", "11")], "Two.", others=[Judged(2, "30", "30")])
    found = seen(mistakes, split, RowFormat(("size", "built", "colour"), True, ",", columns))
    assert [(one.name, one.picture) for one in (*found.worst, *found.others)] == [("b", None), ("a", None), ("c", None)]
    assert [list(one.cells.values()) for one in found.worst] == [["–", "2022-12", "unknown"], ["1.5", "2021-03", "red"]]


def test_an_example_without_a_name_is_a_place_in_its_split():
    split = Split("test", ArrayInputs(np.zeros((2, 3), np.float32)), np.zeros(2, np.int64))
    assert seen(Mistakes([Judged(1, "a", "b")], "One."), split, None).worst[0].name == "test[1]"
