import csv
import hashlib
import itertools
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from kerasrun.errors import DataError
from kerasrun.experiment.load import parse
from kerasrun.experiment.resolved import resolved_yaml
from kerasrun.reading.data import Feature, RowFormat
from kerasrun.sources._rows import LABEL_KINDS
from kerasrun.sources.csv import Csv, delimiter_of
from tests.sources.pixels import pixels

DATA = Path(__file__).parents[2] / "data"


def sample(folder):
    for name, numbers in (("train", range(4)), ("test", range(4, 6))):
        rows = [",".join(["ab"[number % 2], *map(str, pixels(number)[0])]) for number in numbers]
        (folder / f"{name}.csv").write_text("\n".join([",".join(["class", *"stuvwxyz"]), *rows]), encoding="utf-8")
    return {"train": folder / "train.csv", "test": folder / "test.csv", "label": "class"}


def change(folder):
    path = folder / "train.csv"
    path.write_text(path.read_text(encoding="utf-8").replace("\na,", "\na,1", 1), encoding="utf-8")


def short_experiment(folder):
    return f"""
data: {{csv: {{train: {DATA}/customers/train.csv, label: left, columns: {{signup: date}}, limit: 60}}}}
preprocessing: [Normalization]
model: {{MLP: {{units: [4]}}}}
"""


PLANTS = """length, width, species
1.5, 2, rose
3, 4.25, "oak"
-5e-1, 6, rose
"""


@pytest.fixture
def opened(tmp_path):
    """Write texts as `<split>.csv` and open them; `fields` are those of the experiment file."""

    def open_rows(train, fields=None, **others):
        paths = {}
        for name, text in {"train": train, **others}.items():
            paths[name] = tmp_path / f"{name}.csv"
            paths[name].write_bytes(text if isinstance(text, bytes) else text.encode())
        return Csv(**paths, **({"label": "species"} if fields is None else fields)).open()

    return open_rows


@pytest.fixture
def fails(opened):
    def check(expected, *arguments, **others):
        with pytest.raises(DataError) as error:
            opened(*arguments, **others)
        assert expected in str(error.value)

    return check


def rows(data, split="train"):
    inputs = data.splits[split].inputs
    return inputs.take(np.arange(len(inputs))).tolist()


def test_text_labels_become_numbers_of_sorted_classes(opened):
    data = opened(PLANTS)
    assert rows(data) == [[1.5, 2], [3, 4.25], [-0.5, 6]]
    assert data.classes == ("oak", "rose")
    assert data.splits["train"].labels.tolist() == [1, 0, 1]
    columns = (Feature(mean=4 / 3), Feature(mean=12.25 / 3))
    assert data.row_format == RowFormat(("length", "width"), True, ",", columns, missing="fill", labels=("species",))


def test_labels_that_are_numbers_are_sorted_as_numbers(opened):
    assert opened("x,y\n1,10\n1,9\n1,-1\n", {"label": "y"}).classes == ("-1", "9", "10")


def test_listed_classes_decide_the_order(opened):
    data = opened(PLANTS, {"label": "species", "classes": ["rose", "oak"]})
    assert data.splits["train"].labels.tolist() == [0, 1, 0]


def test_columns_are_given_by_name_or_number(opened):
    for features in (["width", "length"], [1, 0], [-2, "length"]):
        data = opened(PLANTS, {"label": -1, "features": features})
        assert rows(data)[0] == [2, 1.5]
        assert data.row_format.features == ("width", "length")


def test_other_files_are_read_by_the_names_of_their_columns(opened):
    data = opened(PLANTS, test="extra,species,width,length\nx,oak,8,7\n")
    assert rows(data, "test") == [[7, 8]]
    assert data.splits["test"].labels.tolist() == [0]


def test_one_hot_columns_at_the_end_of_rows_without_header(opened):
    fields = {"header": False, "delimiter": "whitespace", "one_hot": 3}
    data = opened(" 0.5 0.25\t0 1 0 \n\n 1   2     0 0 1\n", fields)
    assert rows(data) == [[0.5, 0.25], [1, 2]]
    assert data.splits["train"].labels.tolist() == [1, 2]
    assert data.classes == ("0", "1", "2")
    columns = (Feature(mean=0.75), Feature(mean=1.125))
    assert data.row_format == RowFormat(("0", "1"), False, None, columns, missing="fill", labels=("2", "3", "4"))


def test_one_hot_columns_give_the_classes_their_names(opened):
    data = opened("cat,x,dog\n1,5,0\n0,6,1\n", {"one_hot": ["dog", "cat"]})
    assert data.classes == ("dog", "cat")
    assert data.splits["train"].labels.tolist() == [1, 0]


def test_several_labels_may_hold_together(opened):
    data = opened("x,left,up\n5,1,1\n6,0,0\n", {"multi_label": 2})
    assert data.label_kind == "multi_label"
    assert data.classes == ("left", "up")
    assert data.splits["train"].labels.tolist() == [[1, 1], [0, 0]]
    assert data.splits["train"].labels.dtype == np.uint8


@pytest.mark.parametrize(("target", "labels"), [("y", [[0.1], [7]]), (["y", "x"], [[0.1, 5], [7, 6]])])
def test_targets_are_numbers(opened, target, labels):
    data = opened("x,y,z\n5,0.1,1\n6,7,2\n", {"target": target, "features": ["z"]})
    assert data.label_kind == "numbers"
    np.testing.assert_array_equal(data.splits["train"].labels, np.array(labels, np.float32))
    assert data.classes == tuple(target)


def test_a_column_of_weights_is_no_feature(opened):
    data = opened("x,w,y\n5,2,a\n6,0.5,b\n", {"label": "y", "sample_weight": "w"}, test="y,x\na,1\n")
    assert data.splits["train"].sample_weight.tolist() == [2, 0.5]
    assert data.splits["test"].sample_weight is None
    assert rows(data) == [[5], [6]]


def test_quotes_hold_delimiters_and_line_ends(opened):
    data = opened('x;y\r\n"1.5";"a;b"\r\n2;"c\r\nd"\r\n', {"label": "y", "delimiter": ";"})
    assert data.classes == ("a;b", "c\r\nd")


def test_a_byte_order_mark_does_not_count(opened):
    fields = {"header": False, "label": 1}
    assert rows(opened(b"\xef\xbb\xbf1,a\n2,b\n", fields)) == [[1], [2]]


@pytest.mark.parametrize("text", ['x,y\n"1.25",a\n\n 2 ,"b\nc"\n3e-3,a', "x,y\r\n1.25,a\r\n2,b\r\n0.003,a\r\n"])
def test_rows_that_would_fill_the_memory_are_read_as_they_are_asked_for(opened, monkeypatch, text):
    in_memory = opened(text, {"label": "y"})
    monkeypatch.setattr("kerasrun.reading.rows.memory_budget", lambda: 0)
    on_demand = opened(text, {"label": "y"})
    inputs = on_demand.splits["train"].inputs
    assert not hasattr(inputs, "array")
    assert inputs.dtype == np.float32
    assert inputs.example_shape == (1,)
    for indices in ([0, 1, 2], [2, 0, 2], []):
        expected = in_memory.splits["train"].inputs.take(np.array(indices, np.int64))
        np.testing.assert_array_equal(inputs.take(np.array(indices, np.int64)), expected)
    assert on_demand.fingerprint == in_memory.fingerprint


def test_the_first_row_is_read_on_demand_without_its_byte_order_mark(opened, monkeypatch):
    monkeypatch.setattr("kerasrun.reading.rows.memory_budget", lambda: 0)
    assert rows(opened(b"\xef\xbb\xbf1,a\n2,b\n", {"header": False, "label": 1})) == [[1], [2]]


def test_a_file_that_changed_since_is_told(opened, monkeypatch, tmp_path):
    monkeypatch.setattr("kerasrun.reading.rows.memory_budget", lambda: 0)
    inputs = opened("x,y\n1,a\n2,b\n", {"label": "y"}).splits["train"].inputs
    (tmp_path / "train.csv").write_text("x,y\n1,a\n?,b\n")
    with pytest.raises(DataError, match=r"train\.csv: was changed after the data were opened"):
        inputs.take(np.array([1]))


def test_more_rows_than_are_read_at_once(opened, monkeypatch):
    monkeypatch.setattr("kerasrun.reading.rows._TOGETHER", 3)
    text = "x,y\n" + "".join(f"{number},{number % 2}\n" for number in range(8))
    assert rows(opened(text, {"label": "y"})) == [[number] for number in range(8)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x,y\n1,a\n2\n", "train.csv:3: 1 value; expected 2, as in the header"),
        ("x,y\n1,a\n2,b,c\n", "train.csv:3: 3 values; expected 2"),
        ("x,y\n1,a\n,b\n", "train.csv:3: column 'x': a missing value"),
        ("x,y\n1,a\n2, \n", "train.csv:3: column 'y': a missing value"),
        ("x,y\n1,a\n\none,b\n", "train.csv:4: column 'x': 'one'; expected a number"),
        ("x,y\n1,a\n1_000,b\n", "train.csv:3: column 'x': '1_000'; expected a number"),
        ("x,y\n1,a\n1e39,b\n", "train.csv:3: column 'x': '1e39'; expected a finite number"),
        ("x,y\n1,a\nnan,b\n", "train.csv:3: column 'x': 'nan'; expected a finite number"),
        ("x,y\n1,a\n2,a\n", "every row is of the class 'a'"),
        ("x,x,y\n1,2,a\n", "train.csv:1: the header has 'x' more than once"),
        (",x,y\n0,1,a\n", "column 0 has no name in the header"),
        ("y\na\n", "no column is left for the features"),
        ("x,y\n", "has a header, but no rows below it"),
        ("\n", "train.csv: is empty; expected a header"),
        ('x,y\n1,"a\n2,b\n', "train.csv:2: unexpected end of data"),
        (b"x,y\n1,a\n2,\xe9\n", "train.csv:3: is not UTF-8 text"),
    ],
)
def test_what_is_wrong_in_a_file_is_told_with_line_and_column(fails, text, message):
    fails(message, text, {"label": "y", "missing": "error"})


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"label": "specie"}, "no column 'specie' for `label`; the header has length, width, species; did you mean"),
        ({"label": 3}, "no column 3 for `label`: there are 3, from 0"),
        ({"label": "species", "features": ["length", "species"]}, "'species' is a feature, and something else"),
        ({"label": "species", "features": ["length", 0]}, "'length' is twice in `features`"),
        ({"label": "species", "sample_weight": "species"}, "'species' is `sample_weight`, and a label as well"),
        ({"label": "species", "classes": ["oak", "elm"]}, "no row of the class 'elm'"),
        ({"label": "species", "classes": ["rose", "lily"]}, "no row of the class 'lily'"),
        ({"label": "species", "sample_weight": "length"}, "train.csv:4: the weight is -0.5; expected a finite number"),
        ({"one_hot": ["width"]}, "`one_hot` is column 'width' alone"),
        ({"one_hot": 4}, "no column -4 for `one_hot`"),
        ({"one_hot": ["length", "width"], "features": [0]}, "'length' is a feature, and something else"),
    ],
)
def test_columns_that_cannot_be_are_told(fails, fields, message):
    fails(message, PLANTS, fields)


def test_a_header_that_was_not_announced_is_told(fails):
    fails("set `header: true`", "x,y\n1,2\n", {"header": False, "label": -1})
    fails("without a header columns are numbers", "1,2\n", {"header": False, "label": "y"})


@pytest.mark.parametrize("row", ["1,1,0", "0,0,0", "0.5,0.5,0", "2,-1,0"])
def test_rows_that_are_not_one_hot_are_told(fails, row):
    text = f"x,a,b,c\n5,1,0,0\n6,{row}\n"
    fails(
        f"train.csv:3: column 'a' to column 'c' hold {row.replace(',', ', ')}; expected a single 1",
        text,
        {"one_hot": 3},
    )


def test_labels_that_are_neither_0_nor_1_are_told(fails):
    fails("train.csv:2: column 'a' to column 'b' hold 1, 2; expected 0 or 1", "x,a,b\n5,1,2\n", {"multi_label": 2})


def test_a_class_that_train_does_not_have_is_told(fails):
    fails(
        "test.csv:3: the class 'elm' is not one of those to train on: oak, rose",
        PLANTS,
        test=PLANTS.replace("oak", "elm"),
    )


def test_other_files_must_have_the_columns(fails):
    fails("test.csv: no column 'width' for `features`", PLANTS, test="length,species\n1,oak\n")
    fields = {"header": False, "label": -1}
    fails("test.csv: has 3 values in a row; expected 2, as in", "1,a\n2,b\n", fields, test="1,2,a\n")


def test_a_missing_file_is_told_with_the_nearest_name(tmp_path):
    (tmp_path / "rows.csv").write_text(PLANTS)
    with pytest.raises(DataError, match=r"row\.csv: does not exist; .*did you mean .*rows\.csv"):
        Csv(train=tmp_path / "row.csv", label="species").open()


@pytest.mark.parametrize("pair", list(itertools.combinations(LABEL_KINDS, 2)))
def test_one_key_says_where_the_labels_are(pair):
    with pytest.raises(ValidationError, match="expected one of label, one_hot, multi_label, target"):
        Csv(train="a.csv", **dict.fromkeys(pair, 1))


def test_the_experiment_must_say_where_the_labels_are():
    with pytest.raises(ValidationError, match="expected one of label"):
        Csv(train="a.csv")
    with pytest.raises(ValidationError, match="expected no classes beside target"):
        Csv(train="a.csv", target="y", classes=["a", "b"])


@pytest.mark.parametrize("delimiter", ["", ", ", '"', "\n"])
def test_a_delimiter_is_one_character(delimiter):
    with pytest.raises(ValidationError, match="expected one character, whitespace or auto"):
        Csv(train="a.csv", label="y", delimiter=delimiter)


def test_the_text_tells_that_the_labels_are_numbers():
    text = "data: {csv: {train: a.csv, target: y}}\nmodel: {MLP: {units: []}}\ncheckpoint: {monitor: val_mae}\n"
    assert parse(text, "a.yaml").experiment.data.label_kind == "numbers"


def test_columns_survive_the_resolved_experiment():
    text = 'data: {csv: {train: a.csv, features: [0, "0", -1, no], label: "7", delimiter: "\\t"}}\nmodel: MLP\n'
    experiment = parse(text, "a.yaml").experiment
    assert experiment.data.features == (0, "0", -1, "no")
    assert experiment.data.label == "7"
    assert experiment.data.delimiter == "\t"
    assert parse(resolved_yaml(experiment), "a.yaml").experiment.data == experiment.data


def test_the_fingerprint_is_of_every_byte_as_it_was_read(opened, monkeypatch):
    """Reading the file once more could find another one."""
    text = f"{PLANTS}\n 7, 8, 'rose'\n\n"
    content = hashlib.sha256(text.encode()).hexdigest()
    monkeypatch.setattr(hashlib, "file_digest", None)
    assert opened(text).fingerprint == hashlib.sha256(f"train {content}\n".encode()).hexdigest()


def test_decimal_numbers_are_no_classes_unless_they_are_listed(opened):
    rows = "x,price\n1,2.5\n2,3\n3,2.5\n"
    with pytest.raises(DataError, match=r"train\.csv: the column of `label` holds decimal numbers, .*: take `target`"):
        opened(rows, {"label": "price"})
    assert opened(rows, {"label": "price", "classes": ["2.5", "3"]}).classes == ("2.5", "3")


def test_columns_by_which_rows_are_divided_are_not_features(opened):
    text = "x,y,who,when\n1,a,p,3\n2,b,q,1\n3,a,p,2\n"
    data = opened(text, {"label": "y", "group": "who", "features": None}, test=text.replace("p", "r").replace("q", "s"))
    train = data.splits["train"]
    assert (train.groups.tolist(), train.inputs.example_shape) == ([0, 1, 0], (2,))
    data = opened(text.replace("p", "7").replace("q", "8"), {"label": "y", "time": "when", "limit": 2})
    assert data.splits["train"].times.tolist() == [3, 2]
    with pytest.raises(
        DataError, match=r"test\.csv:3: the group 'q' is in test, and in train as well \(.*train\.csv:3\)"
    ):
        opened(text, {"label": "y", "group": "who"}, test=text.replace("p", "r"))
    with pytest.raises(DataError, match=r"no column 'whom' for `group`.*did you mean 'who'"):
        opened(text, {"label": "y", "group": "whom"})


def test_times_may_be_dates_of_a_country(opened, fails):
    rows = "x,when,species\n1,28.02.2026,a\n2,01.12.2025,b\n3,03.02.2026 ,a\n"
    times = opened(rows, {"label": "species", "time": "when"}).splits["train"].times
    days = [date(2026, 2, 28), date(2025, 12, 1), date(2026, 2, 3)]
    assert times.tolist() == [(day - date(1970, 1, 1)).days * 86_400 for day in days]
    fails(
        "train.csv:2: `time` is '01/02/2026', and every date may be of the forms %d/%m/%Y and %m/%d/%Y",
        "x,when,species\n1,01/02/2026,a\n2,03/04/2026,b\n",
        {"label": "species", "time": "when"},
    )
    fails(
        "train.csv:3: `time` is '01.12.2025'; expected a number in every row, or a date such as 2026-01-31",
        "x,when,species\n1,2026-02-28,a\n2,01.12.2025,b\n",
        {"label": "species", "time": "when"},
    )


def test_the_sniffer_gets_little_of_long_lines(tmp_path, monkeypatch):
    # Its time grows with the square of the quotes in a line.
    samples, sniff = [], csv.Sniffer.sniff
    monkeypatch.setattr(csv.Sniffer, "sniff", lambda self, *given: samples.append(given[0]) or sniff(self, *given))
    file = tmp_path / "quotes.csv"
    file.write_text(40 * (20_000 * ';"a' + "\n"))
    delimiter_of(file, "utf-8", ".")
    assert [len(line) for line in samples[0].split("\n")] == 30 * [300]


def test_a_quote_that_is_never_closed_is_told(tmp_path):
    file = tmp_path / "open.csv"
    file.write_text('a,x\n"' + 5_000 * "1,2\n")
    with pytest.raises(DataError, match="is a quote not closed"):
        Csv.first_rows(file)


def test_a_wide_table_is_recognized_without_work_for_each_column_that_none_needs(tmp_path, monkeypatch):
    looked, first_rows = [], Csv.first_rows.__func__
    monkeypatch.setattr(Csv, "first_rows", classmethod(lambda *args: looked.append("file") or first_rows(*args)))
    monkeypatch.setattr("kerasrun.reading.rows.note_rounded", lambda *args: looked.append(args))
    (tmp_path / "wide.csv").write_text("a,b,c,y\n1,2,3,x\n4,5,6,z\n", encoding="utf-8")
    assert Csv.recognize(tmp_path / "wide.csv").shape == (3,)
    assert looked == ["file"]
