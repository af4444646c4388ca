"""Labels and columns of tables mean what they say."""

import numpy as np
import pytest

from kerasrun.errors import DataError
from kerasrun.reading.inputs import _say_rounded as say_rounded
from kerasrun.reading.labels import MISSING
from kerasrun.sources.csv import Csv


def opened(folder, text, test="", **fields):
    (folder / "train.csv").write_text(text)
    if test:
        (folder / "test.csv").write_text(test)
        fields["test"] = folder / "test.csv"
    return Csv(train=folder / "train.csv", **fields).open()


@pytest.mark.parametrize("missing", ["NaN", "nan", "NA", "N/A", "null", "None", "?", "<NA>", "#N/A", "-"])
def test_a_missing_label_is_not_a_class(missing, tmp_path):
    with pytest.raises(DataError, match=r"train\.csv:4: the label '.*' means a missing value"):
        opened(tmp_path, f"x,y\n1,a\n2,b\n3,{missing}\n", label="y")


def test_what_pandas_takes_for_missing_is_missing():
    # https://pandas.pydata.org/docs/reference/api/pandas.read_csv.html, na_values
    by_pandas = [
        "",
        "#N/A",
        "#NA",
        "<NA>",
        "-NaN",
        "-nan",
        "1.#IND",
        "N/A",
        "NA",
        "NULL",
        "NaN",
        "None",
        "n/a",
        "nan",
        "null",
    ]
    assert {value.lower() for value in by_pandas} <= MISSING


def test_a_class_that_is_listed_may_be_called_so(tmp_path):
    data = opened(tmp_path, "x,y\n1,NA\n2,EU\n", label="y", classes=("EU", "NA"))
    assert data.splits["train"].labels.tolist() == [1, 0]


def test_1_and_1_0_are_one_class_in_a_file_and_across_files(tmp_path):
    data = opened(tmp_path, "x,y\n1,0\n2,1.0\n3,1\n", "x,y\n1,0.0\n2,1.00\n", label="y")
    assert data.classes == ("0", "1")
    assert data.splits["train"].labels.tolist() == [0, 1, 1]
    assert data.splits["test"].labels.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("train", "test", "classes"),
    [
        ("1,True\n2,FALSE\n3,1\n4,false\n", "1,0\n2,true\n", 2),
        # 2**53 + 1 and what is beside it are one number as float64
        ("1,9007199254740992\n2,9007199254740993\n", "1,9007199254740993.0\n", 2),
    ],
)
def test_labels_are_equal_where_their_values_are(train, test, classes, tmp_path):
    from decimal import Decimal

    data = opened(tmp_path, f"x,y\n{train}", f"x,y\n{test}", label="y")
    value = lambda text: Decimal({"true": 1, "false": 0}.get(text.lower(), text))  # noqa: E731
    for name, rows in (("train", train), ("test", test)):
        labels = [value(row.split(",")[1]) for row in rows.split()]
        assert [value(data.classes[number]) for number in data.splits[name].labels] == labels
    assert len(data.classes) == classes


def test_listed_classes_are_found_by_their_values(tmp_path):
    data = opened(tmp_path, "x,y\n1,0.0\n2,1.0\n", label="y", classes=("1", "0"))
    assert data.splits["train"].labels.tolist() == [1, 0]


def test_one_value_in_two_spellings_is_no_choice(tmp_path):
    with pytest.raises(DataError, match="every row is of the class '1'"):
        opened(tmp_path, "x,y\n1,1\n2,1.0\n", label="y")


def test_names_that_only_look_like_numbers_stay_as_they_are(tmp_path):
    assert opened(tmp_path, "x,y\n1,007\n2,010\n", label="y").classes == ("007", "010")


def test_blanks_around_a_class_do_not_make_another(tmp_path):
    data = opened(tmp_path, 'x,y\n1," Male"\n2,Male\n3,Female\n', label="y")
    assert data.classes == ("Female", "Male")


@pytest.mark.parametrize("words", [("True", "False"), ("true", "false"), ("TRUE", "FALSE")])
def test_booleans_are_ones_and_zeros_as_pandas_writes_them(words, tmp_path):
    text = "x,a,b\n0.5,{0},{1}\n1.5,{1},{0}\n".format(*words)
    data = opened(tmp_path, text, target="x")
    np.testing.assert_array_equal(data.splits["train"].inputs.take(np.arange(2)), [[1, 0], [0, 1]])
    assert opened(tmp_path, text, one_hot=2, features=("x",)).splits["train"].labels.tolist() == [0, 1]


def test_a_number_that_is_a_name_in_the_header_is_that_name(tmp_path):
    data = opened(tmp_path, ",0,1,2\n7,10,20,30\n8,11,21,31\n", features=(0, 1), target=2)
    np.testing.assert_array_equal(data.splits["train"].inputs.take(np.arange(2)), [[10, 20], [11, 21]])
    assert data.splits["train"].labels.tolist() == [[30], [31]]


def test_without_a_header_of_numbers_a_number_is_a_place(tmp_path):
    data = opened(tmp_path, "a,b,c\n7,10,20\n8,11,21\n", features=(0, 1), target=-1)
    np.testing.assert_array_equal(data.splits["train"].inputs.take(np.arange(2)), [[7, 10], [8, 11]])


@pytest.mark.parametrize(
    ("value", "is_said"),
    [
        (2**24, False),
        (2**24 + 1, True),
        (1_700_000_060, True),
        (1_700_000_060.5, True),
        (16_777_218.25, False),
        (1.5e30, False),
        (2**30, False),
    ],
)
def test_numbers_that_float32_rounds_by_1_are_said_once(value, is_said, tmp_path, caplog):
    say_rounded.cache_clear()
    opened(tmp_path, f"t,y\n{value},1\n{value},2\n1,3\n", target="y")
    assert (abs(int(np.float32(value)) - value) >= 1 and value < 1e20) == is_said
    assert sum("as float32, so examples that differ may become equal" in line for line in caplog.messages) == is_said


def test_init_takes_the_header_that_pandas_writes(tmp_path):
    (tmp_path / "train.csv").write_text(",0,1,2\n0,1.5,2.5,0\n1,3.5,4.5,1\n2,0.5,1.5,0\n3,2.5,0.5,1\n")
    columns, values, keys = Csv.first_rows(tmp_path / "train.csv")
    assert (columns, len(values), keys) == (["", "0", "1", "2"], 4, {})


@pytest.mark.parametrize("huge", ["1e40", "1" + "0" * 60, "1e999999", "1e99999999999999999999"])
def test_a_label_of_a_huge_number_is_a_class(huge, tmp_path):
    data = opened(tmp_path, f"x,y\n1,{huge}\n2,1\n3,{huge}\n", label="y")
    assert len(data.classes) == 2
    labels = data.splits["train"].labels
    assert labels[0] == labels[2] != labels[1]
