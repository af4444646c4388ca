"""Tables as people have them: text, gaps, dates, and files that other programs wrote."""

import itertools
import re
import time
import tracemalloc

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from PIL import Image
from pydantic import ValidationError

from kerasrun.components import kinds
from kerasrun.errors import DataError
from kerasrun.reading.memory import kept_within
from kerasrun.sources.csv import Csv
from kerasrun.sources.image_table import listed_files

PEOPLE = """id,age,city,member,bought
a1,30,Rome,true,yes
a2,,Oslo,false,no
a3,50,Rome,true,no
a4,40,NA,true,yes
"""


@pytest.fixture
def opened(tmp_path):
    def open_table(text, test=None, **fields):
        paths = {}
        for name, content in (("train", text), ("test", test)):
            if content is not None:
                paths[name] = tmp_path / f"{name}.csv"
                paths[name].write_bytes(content if isinstance(content, bytes) else content.encode())
        return Csv(**paths, **({"label": "bought"} | fields)).open()

    return open_table


def rows(data, split="train"):
    inputs = data.splits[split].inputs
    return inputs.take(np.arange(len(inputs)))


def test_text_and_gaps_become_one_row_of_numbers(opened):
    data = opened(PEOPLE)
    nan = np.nan
    np.testing.assert_array_equal(rows(data), np.array([[30, 1, 3], [nan, 0, 2], [50, 1, 3], [40, 1, 1]], np.float32))
    assert data.row_format.features == ("age", "member", "city")
    assert [one.kind for one in data.row_format.columns] == ["number", "number", "category"]
    assert data.row_format.columns[2].categories == ("", "Oslo", "Rome")
    assert data.notes == (
        "age, member: numbers; city (2 values): categories; id left out: every value differs; with gaps: age, city",
    )


def test_numbers_alone_are_as_they_are_and_nothing_is_said(opened):
    data = opened("x,bought\n1.5,a\n-2,b\n")
    assert rows(data).tolist() == [[1.5], [-2]]
    assert data.row_format.is_plain
    assert data.notes == ()


def test_what_training_did_not_have_is_unknown_or_the_mean(opened):
    data = opened(
        "x,city,bought\n1,Rome,a\n3,Oslo,b\n5,Rome,a\n", test="city,bought,x\nBern,a,\nRome,b,7\nGenf,a,7\n,b,7\n"
    )
    assert rows(data, "test").tolist() == [[3, 0], [7, 2], [7, 0], [7, 0]]
    said = "column 'city': 3 rows with categories that training did not have, taken as unknown"
    assert [note.partition("test.csv: ")[2] for note in data.notes if "test.csv" in note] == [
        f"{said}: a missing value, 'Bern', 'Genf'"
    ]


def test_what_a_column_is_can_be_said(opened):
    text = "zip,code,day,bought\n10,a,2024-02-29,x\n20,b,2024-03-02,y\n10,c,,x\n"
    columns = {"zip": "category", "code": "category", "day": "date"}
    data = opened(text, columns=columns)
    assert data.row_format.features == ("day", "zip", "code")
    expected = [[2024, 2, 3, 0, 1, 1], [2024, 3, 5, 2, 2, 2], [np.nan] * 4 + [1, 3]]
    np.testing.assert_array_equal(rows(data), np.array(expected, np.float32))
    assert opened(text, columns={**columns, "zip": "left_out"}).row_format.features == ("day", "code")
    assert "zip left out: by the experiment" in opened(text, columns={**columns, "zip": "left_out"}).notes[0]


@pytest.mark.parametrize(
    ("dates", "kind", "days"),
    [
        (("31.12.2023", "01.01.2024"), "date", 1),
        (("12/31/2023", "01/01/2024"), "date", 1),
        (("31/12/2023", "01/01/2024"), "date", 1),
        (("2023-12-31T12:00", "2024-01-01"), "date", 0.5),
        (("2023-12-31 23:00:00+01:00", "2024-01-01 00:00:00+00:00"), "date", 1 / 12),
        (("3 Jan 24", "1 Mar 24"), "%d %b %y", 58),
    ],
)
def test_dates_are_read_in_the_form_that_they_have(opened, dates, kind, days):
    data = opened(f"day,bought\n{dates[0]},a\n{dates[1]},b\n", columns={"day": kind})
    assert abs(rows(data)[1, 3] - rows(data)[0, 3]) == pytest.approx(days)


def test_rows_on_demand_are_those_in_memory(opened):
    text = "id,x,city,day,bought\n" + "".join(
        f"a{n},{n if n % 3 else ''},{['Rome', 'Oslo', ''][n % 3]},2024-01-{n + 1:02},{n % 2}\n" for n in range(9)
    )
    columns = {"day": "date"}
    in_memory = rows(opened(text, columns=columns))
    with kept_within(0):
        on_demand = opened(text, columns=columns)
    for order in itertools.islice(itertools.permutations(range(9)), 0, 200, 50):
        np.testing.assert_array_equal(on_demand.splits["train"].inputs.take(np.array(order)), in_memory[list(order)])


@pytest.mark.parametrize(
    ("text", "delimiter", "said"),
    [
        ("x;y;bought\n1,5;2;a\n2,5;3;b\n", ";", "split at ';'"),
        ("x\ty\tbought\n1\t2\ta\n2\t3\tb\n", "\t", "split at '\\t'"),
        ('x,y,bought\n1,"2;3",a\n2,"3;4",b\n', ",", None),
        ("x y bought\n1  2 a\n2 3 b\n", None, "split at blanks"),
        ('x|y|bought\r\n1|"a|\n\nb"|a\r\n2|c|b\r\n3|c|a\r\n', "|", "split at '|'"),
    ],
)
def test_what_divides_values_is_found_and_said(opened, text, delimiter, said):
    data = opened(text, decimal="," if delimiter == ";" else ".")
    assert data.row_format.delimiter == delimiter
    assert [note for note in data.notes if "split at" in note] == ([] if said is None else [data.notes[0]])
    assert said is None or said in data.notes[0]


def test_numbers_of_other_countries(opened):
    text = 'price;bought\n"1.234,5";a\n-7,25;b\n1.000.000;a\n'
    data = opened(text, decimal=",", thousands=".")
    assert rows(data).tolist() == [[1234.5], [-7.25], [1e6]]
    with pytest.raises(DataError, match=r"train\.csv:2: column 'price': '1\.234,5'; expected a number: set `decimal:"):
        opened(text)
    french = "price;bought\n1\u202f234,5;a\n2\u202f000,25;b\n"
    with pytest.raises(DataError, match='expected a number: set `decimal: ","` and `thousands: "\u202f"`'):
        opened(french)
    assert rows(opened(french, decimal=",", thousands="\u202f")).tolist() == [[1234.5], [2000.25]]
    with pytest.raises(DataError, match=r"train\.csv:3: column 'price': '12\.34'; expected a number"):
        opened("price;bought\n1.234;a\n12.34;b\n", decimal=",", thousands=".", columns={"price": "number"})


def test_text_of_windows_names_the_line_and_the_encoding(opened):
    text = "city,x,bought\nRome,1,a\nZürich,2,b\nRome,3,a\n".encode("cp1252")
    with pytest.raises(DataError, match=r"train\.csv:3: is not UTF-8 text; .*`encoding: cp1252`, .*'Zürich,2,b'"):
        opened(text)
    assert opened(text, encoding="cp1252").row_format.columns[1].categories == ("Rome", "Zürich")


def test_a_byte_order_mark_does_not_count_however_the_encoding_is_spelt(opened):
    for encoding in ("utf-8", "UTF8", "utf-8-sig"):
        assert opened(b"\xef\xbb\xbfx,bought\n1,a\n2,b\n", encoding=encoding).row_format.features == ("x",)
    for encoding in ("utf-16", "nothing", "rot13", "hex"):
        with pytest.raises(ValidationError, match="expected an encoding"):
            opened("x,bought\n1,a\n2,b\n", encoding=encoding)


def test_a_row_of_another_length_is_told_as_it_is_divided_by_commas(opened):
    with pytest.raises(DataError, match=r"train\.csv:3: 3 values; expected 2, as in the header"):
        opened("a x,bought\n1 b,a\n2,c d,b\n")


@pytest.mark.parametrize("fields", [{"decimal": ";"}, {"thousands": "x"}, {"decimal": ",", "thousands": ","}])
def test_signs_of_numbers_that_cannot_be_are_told(opened, fields):
    with pytest.raises(ValidationError, match=r"expected (\".\" or|one of , .|thousands that differ)"):
        opened("x,bought\n1,a\n2,b\n", **fields)


def test_labels_are_answers_too(opened):
    assert opened(PEOPLE, features=["age"]).classes == ("no", "yes")
    data = opened("x,bought\n1,Yes\n2,no\n3,yes\n4,NO\n")
    assert (data.classes, data.splits["train"].labels.tolist()) == (("no", "yes"), [1, 0, 1, 0])
    data = opened("x,a,b\n1,yes,False\n2,no,true\n", label=None, multi_label=["a", "b"])
    assert data.splits["train"].labels.tolist() == [[1, 0], [0, 1]]


def test_text_behind_many_numbers_is_a_category_and_too_many_values_are_told(opened, monkeypatch):
    codes = [*(str(1000 + n) for n in range(1200)), *(f"k{n % 30}" for n in range(1500))]
    text = "code,x,bought\n" + "".join(f"{code},{n},{n % 2}\n" for n, code in enumerate(codes))
    data = opened(text)
    assert data.row_format.features == ("x", "code")
    assert len(data.row_format.columns[1].categories) == 1230
    monkeypatch.setattr("kerasrun.reading.columns.MOST_CATEGORIES", 1000)
    assert opened(text).notes == ("x: numbers; code left out: nearly every value differs",)
    with pytest.raises(DataError, match="column 'code' has more than 1,000 values"):
        opened(text, columns={"code": "category"})


@pytest.mark.parametrize(
    ("text", "fields", "message"),
    [
        (PEOPLE, {"missing": "error"}, "train.csv:3: column 'age': a missing value; expected a number"),
        ("x,bought\n1,a\n2,b\nx3,a\n", {}, "train.csv:4: column 'x': 'x3'; expected a number; where it is text, say"),
        ("x,bought\na,a\nb,b\n", {}, "no column is left for the features: x left out: every value differs"),
        ("x,bought\n,a\n,b\n", {}, "no column is left for the features: x left out: every value is missing"),
        ("x,bought\n,a\n,b\n", {"features": ["x"]}, "column 'x': every value is missing"),
        (
            "x,y\n1,5\n2,5\n",
            {"label": None, "target": "y"},
            "train.csv:3: column 'y' is 5 in this row as",
        ),
        (PEOPLE, {"columns": {"citi": "category"}}, "no column 'citi' for `columns`; .*did you mean 'city'"),
        (PEOPLE, {"columns": {"bought": "category"}}, "'bought' of `columns` is not a feature"),
        (PEOPLE, {"columns": {"city": "date"}}, "column 'city': 'Rome'; expected dates such as 2024-03-31"),
        (PEOPLE, {"columns": {"city": "number"}}, "train.csv:2: column 'city': 'Rome'; expected a number"),
        ("d,bought\n1/2/2024,a\n3/4/2024,b\n", {"columns": {"d": "date"}}, "is a date in several forms; say"),
    ],
)
def test_what_cannot_be_a_column_is_told(opened, text, fields, message):
    with pytest.raises(DataError, match=message):
        opened(text, **fields)


@pytest.mark.parametrize("form", ["%d%d", "%Q", "%Y-%m-%"])
def test_a_form_that_python_cannot_read_is_refused(opened, form):
    with pytest.raises(ValidationError, match=r"columns\.day"):
        opened("day,x,bought\n1,1,a\n2,2,b\n", columns={"day": form})


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+10:00", "9999-12-31T23:59:59-10:00"])
def test_a_date_before_the_first_or_after_the_last_in_utc_is_told(opened, text):
    with pytest.raises(DataError, match=f"'{re.escape(text)}'; expected dates"):
        opened(f"day,x,bought\n2024-03-31,1,a\n{text},2,b\n", columns={"day": "date"})


def test_a_long_text_of_digits_takes_no_time(opened):
    before = time.process_time()
    with pytest.raises(DataError, match="expected a number"):
        opened(f"x,bought\n1,a\n{'1' * 100_000}x,b\n")
    assert time.process_time() - before < 5


@pytest.mark.parametrize("encoding", ["idna", "undefined"])
def test_an_encoding_that_is_not_of_whole_texts_is_refused(opened, encoding):
    with pytest.raises(ValidationError, match="expected an encoding of Python's"):
        opened("x,bought\n1,xn--99999999\n2,b\n", encoding=encoding)


COLUMNS = {
    "file": [f"{row}.png" for row in range(8)],
    "x": [0.5 * row for row in range(8)],
    "patient": [f"p{row // 2}" for row in range(8)],
    "y": ["a", "b"] * 4,
}
KINDS = {"csv": {"features": ["x"]}, "parquet": {"features": ["x"]}, "image_table": {"image": "file"}}


@pytest.fixture(params=KINDS)
def written(request, tmp_path):
    """Open a kind of table: what to change of these columns, and of the first rows that are a test split."""
    kind = request.param
    for row in range(8):
        Image.fromarray(np.full((4, 4, 3), 9 * row, np.uint8)).save(tmp_path / f"{row}.png")
    Image.new("RGB", (4, 4)).save(tmp_path.parent / "outside.png")

    def write(name, columns):
        path = tmp_path / f"{name}.{'parquet' if kind == 'parquet' else 'csv'}"
        if kind == "parquet":
            pyarrow.parquet.write_table(pyarrow.table(columns), path)
        else:
            lines = [
                ",".join("" if one is None else str(one) for one in row) for row in zip(*columns.values(), strict=True)
            ]
            path.write_text("\n".join([",".join(columns), *lines]) + "\n")
        return path

    def open_table(changes, fields=None, test=None):
        paths = {"train": write("train", COLUMNS | changes)} | ({"test": write("test", test)} if test else {})
        fields = KINDS[kind] | {"label": "y"} | (fields or {})
        return kinds("kerasrun.sources")[kind](**paths, **fields).open()

    open_table.kind, open_table.first = kind, 1 if kind == "parquet" else 2
    return open_table


@pytest.mark.parametrize(
    ("changes", "fields", "message"),
    [
        ({}, {"label": "z"}, r"train\.\w+: no column 'z' for `label`; the header has file, x, patient, y"),
        ({}, {"group": "z"}, r"train\.\w+: no column 'z' for `group`; the header has"),
        ({}, {"time": "z"}, r"train\.\w+: no column 'z' for `time`; the header has"),
        ({}, {"sample_weight": "z"}, r"train\.\w+: no column 'z' for `sample_weight`; the header has"),
        ({name: [] for name in COLUMNS}, {}, r"train\.\w+: has a header, but no rows below it"),
        ({"y": [None] * 8}, {}, r"train\.\w+:{first}: column 'y': a missing value"),
        ({"y": [*"abab", None, *"bab"]}, {}, r"train\.\w+:{fifth}: column 'y': a missing value"),
        ({"patient": [None] * 8}, {"group": "patient"}, r"train\.\w+:{first}: column 'patient': a missing value"),
        ({"y": ["a"] * 8}, {}, r"train\.\w+: column 'y': every row is of the class 'a'; expected at least two"),
        ({"x": [1.5] * 8}, {"label": None, "target": "x", "features": ["patient"]}, "column 'x' is 1.5 in "),
    ],
)
def test_a_table_that_cannot_be_used_is_told_with_file_row_and_column(written, changes, fields, message):
    if written.kind == "image_table":
        fields = {key: value for key, value in fields.items() if key != "features"}
    message = message.replace("{first}", str(written.first)).replace("{fifth}", str(written.first + 4))
    with pytest.raises(DataError, match=message):
        written(changes, fields)


def test_a_group_on_both_sides_of_given_files_is_told_with_both_rows(written):
    test = {name: values[3:5] for name, values in COLUMNS.items()} | {"file": ["6.png", "7.png"]}
    first = written.first
    said = rf"test\.\w+:{first}: the group 'p1' is in test, and in train as well .*:{first + 2}"
    with pytest.raises(DataError, match=said):
        written({name: values[:6] for name, values in COLUMNS.items()}, {"group": "patient"}, test)


@pytest.mark.long
def test_a_class_for_each_row_is_told_or_takes_bounded_memory(written):
    count = 20_000
    labels = {"y": [f"k{row}" for row in range(count)], "x": [0.5] * count, "patient": ["p"] * count}
    tracemalloc.start()
    if written.kind == "image_table":
        with pytest.raises(DataError, match="column 'y' has 20,000 values in 20,000 rows, each of which would be a"):
            written(labels | {"file": ["1.png"] * count})
    else:
        assert len(written(labels | {"file": ["1.png"] * count}).classes) == count
    assert tracemalloc.get_traced_memory()[1] < 2000 * count
    tracemalloc.stop()


@pytest.mark.parametrize("written", ["image_table"], indirect=True)
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("../outside.png", r"train\.csv:4: column 'file': '../outside\.png' is outside .*; expected images below"),
        ("/etc/passwd", r"train\.csv:4: column 'file': '/etc/passwd' is outside"),
        ("", r"train\.csv:4: column 'file': a missing value"),
    ],
)
def test_a_path_outside_the_folder_is_told_with_its_row(written, tmp_path, name, message):
    with pytest.raises(DataError, match=message):
        written({"file": ["0.png", "1.png", name, *COLUMNS["file"][3:]]})
    with pytest.raises(DataError, match=message):
        listed_files(tmp_path / "train.csv")
