import datetime
import decimal

import numpy as np
import pytest

from kerasrun.errors import DataError, MissingProgramError
from kerasrun.experiment.draft import recognize
from kerasrun.reading.memory import kept_within
from kerasrun.sources import parquet
from kerasrun.sources.csv import Csv
from kerasrun.sources.parquet import Parquet
from tests.sources.pixels import pixels


def write(path, columns, **options):
    """Write a table of these columns."""
    arrow, files = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    files.write_table(arrow.table(columns), path, **options)
    return path


def sample(folder):
    for name, numbers in (("train", range(4)), ("test", range(4, 6))):
        features = np.stack([pixels(number)[0] for number in numbers])
        labels = {"class": ["ab"[number % 2] for number in numbers]}
        write(folder / f"{name}.parquet", labels | dict(zip("stuvwxyz", features.T, strict=True)), row_group_size=3)
    return {"train": folder / "train.parquet", "test": folder / "test.parquet", "label": "class"}


def change(folder):
    read = pytest.importorskip("pyarrow.parquet").read_table
    columns = read(folder / "train.parquet").to_pydict()
    columns["s"][0] ^= 1
    write(folder / "train.parquet", columns)


def short_experiment(folder):
    write(folder / "rows.parquet", {"x": np.linspace(0, 1, 60), "z": np.arange(60) % 7, "y": np.arange(60) % 3})
    return """
data: {parquet: {train: rows.parquet, label: y}}
model: {MLP: {units: [4]}}
"""


def rows(data, split="train"):
    inputs = data.splits[split].inputs
    return inputs.take(np.arange(len(inputs))).tolist()


@pytest.fixture
def opened(tmp_path):
    """Write columns as `train.parquet` and open them."""

    def open_rows(columns, /, **fields):
        return Parquet(train=write(tmp_path / "train.parquet", columns, row_group_size=2), **fields).open()

    return open_rows


def test_it_reads_what_the_source_csv_reads_of_the_same_table(opened, tmp_path):
    values = np.random.default_rng(1).normal(size=(7, 2)) * [1e-6, 1e6]
    names = [["oak", "elm", "fir"][number % 3] for number in range(7)]
    text = [f"{first!r},{name},{second!r}" for (first, second), name in zip(values.tolist(), names, strict=True)]
    (tmp_path / "train.csv").write_text("\n".join(["a,tree,b", *text]))
    data = opened({"a": values[:, 0], "tree": names, "b": values[:, 1]}, label="tree")
    other = Csv(train=tmp_path / "train.csv", label="tree").open()
    assert rows(data) == rows(other)
    assert (data.classes, data.row_format) == (other.classes, other.row_format)
    assert data.splits["train"].labels.tolist() == other.splits["train"].labels.tolist()


def test_numbers_of_every_type_are_features(opened):
    arrow = pytest.importorskip("pyarrow")
    columns = {
        "small": arrow.array([1, 2, 3], arrow.uint8()),
        "half": np.array([0.5, 1, 1.5], np.float16),
        "true": [True, False, True],
        "exact": [decimal.Decimal("1.25"), decimal.Decimal(2), decimal.Decimal(3)],
        "kinds": arrow.array([7, 8, 7]).dictionary_encode(),
        "y": [0.25, 0.5, 1],
    }
    data = opened(columns, target="y")
    assert rows(data) == [[1, 0.5, 1, 1.25, 7], [2, 1, 0, 2, 8], [3, 1.5, 1, 3, 7]]
    assert data.splits["train"].labels.tolist() == [[0.25], [0.5], [1]]
    assert data.row_format.features == ("small", "half", "true", "exact", "kinds")
    assert [one.mean for one in data.row_format.columns] == pytest.approx([2, 1, 2 / 3, 6.25 / 3, 22 / 3])


@pytest.mark.parametrize(
    ("labels", "classes"),
    [([3, 10, 3], ("3", "10")), ([True, False, True], ("false", "true")), (list("aba"), ("a", "b"))],
)
def test_classes_are_named_by_the_values(opened, labels, classes):
    assert opened({"x": [1, 2, 3], "y": labels}, label="y").classes == classes


def test_rows_that_would_fill_the_memory_are_read_in_any_order(opened):
    columns = {"x": np.arange(7) / 3, "y": list("abababa")}
    in_memory = opened(columns, label="y").splits["train"].inputs
    with kept_within(0):
        on_demand = opened(columns, label="y").splits["train"].inputs
    assert not hasattr(on_demand, "array")
    for indices in ([6, 0, 3, 2, 0], [5], []):
        expected = in_memory.take(np.array(indices, np.int64))
        np.testing.assert_array_equal(on_demand.take(np.array(indices, np.int64)), expected)


def test_rows_of_many_groups_are_found_in_theirs(tmp_path):
    """Some hold nothing, as those of a program that writes what comes in each minute."""
    import pyarrow
    from pyarrow.parquet import ParquetWriter

    table = pyarrow.table({"x": np.arange(600) / 3, "y": list("ab") * 300, "z": [f"t{n % 7}" for n in range(600)]})
    sizes = [0, 1, 0, 0, 2, 5, *[1] * 200, 0, 392, 0]
    with ParquetWriter(tmp_path / "train.parquet", table.schema) as writer:
        for begin, size in zip(np.cumsum([0, *sizes]).tolist(), sizes, strict=False):
            writer.write_table(table.slice(begin, size))
    assert pyarrow.parquet.read_metadata(tmp_path / "train.parquet").num_row_groups > 200
    order = np.random.default_rng(1).permutation(600)[:50]
    for memory in (0, 0.25):
        with kept_within(memory):
            inputs = Parquet(train=tmp_path / "train.parquet", label="y").open().splits["train"].inputs
        assert hasattr(inputs, "array") == (memory > 0)
        np.testing.assert_allclose(inputs.take(order)[:, 0], order / 3, rtol=1e-6)


@pytest.mark.parametrize(
    ("columns", "fields", "message"),
    [
        ({"x": [1, None, 3], "y": list("aba")}, {}, "train.parquet:2: column 'x': a missing value; expected a number"),
        ({"x": [1, 2, 3], "y": ["a", "b", None]}, {}, "train.parquet:3: column 'y': a missing value"),
        (
            {"x": [1, 2, float("nan")], "y": list("aba")},
            {},
            "train.parquet:3: column 'x': nan; expected a finite number",
        ),
        ({"x": [1, 1e39, 3], "y": list("aba")}, {}, "train.parquet:2: column 'x': 1e+39; expected a finite number"),
        ({"x": ["1", "2", "3"], "y": list("aba")}, {}, "column 'x' holds values of the type string; expected numbers"),
        ({"x": [1, 2, 3], "y": [[1], [2], [1]]}, {}, "column 'y' holds values of the type list<element: int64>"),
        ({"x": [1, 2, 3], "y": [0.5, 1, 2]}, {}, "the column of `label` holds decimal numbers"),
        ({"x": [1, 2, 3], "y": list("aba")}, {"label": "z"}, "no column 'z' for `label`; the header has x, y"),
        ({"x": [], "y": []}, {}, "no rows below it"),
    ],
)
def test_what_is_wrong_in_a_file_is_told(opened, columns, fields, message):
    with pytest.raises(DataError) as error:
        opened(columns, **{"label": "y", "missing": "error", **fields})
    assert message in str(error.value)


def test_a_column_that_is_there_twice_is_told(tmp_path):
    arrow, files = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    table = arrow.Table.from_arrays([arrow.array([1, 2])] * 3, names=["x", "x", "y"])
    files.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(DataError, match=r"a\.parquet: has 'x' more than once; rename the columns"):
        Parquet(train=tmp_path / "a.parquet", label="y").open()


@pytest.mark.parametrize("content", [None, b"", b"PAR1", b"a,b\n1,2\n"])
def test_a_file_that_is_missing_or_of_another_kind_is_told(tmp_path, content):
    pytest.importorskip("pyarrow")
    if content is not None:
        (tmp_path / "a.parquet").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.parquet: (does not exist|is not a Parquet file)"):
        Parquet(train=tmp_path / "a.parquet", label="y").open()


def test_init_sees_what_the_columns_are(tmp_path):
    columns = {"when": ["mon", "tue"] * 10, "x": np.arange(20) / 3, "Label": [1, 2] * 10}
    for name in ("train", "val"):
        write(tmp_path / f"{name}.parquet", columns)
    found = recognize(tmp_path)
    assert found.kind == "parquet"
    assert found.paths == {"train": tmp_path / "train.parquet", "validation": tmp_path / "val.parquet"}
    assert found.keys == {"label": "Label"}
    assert found.about == "20 training examples of 2 columns, 2 classes (x: numbers; when (2 values): categories)"
    assert recognize(tmp_path / "train.parquet").validates is False


def test_a_missing_package_is_named_with_its_extra(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingProgramError, match=r"needs pyarrow.*pip install 'kerasrun\[parquet\]'"):
        Parquet(train=tmp_path / "a.parquet", label="y").open()


def test_a_group_is_a_column_of_text_or_numbers(tmp_path):
    columns = {"x": [1.0, 2.0, 3.0], "y": [0, 1, 0], "who": ["p", "q", "p"], "when": [3, 1, 2]}
    path = write(tmp_path / "a.parquet", columns)
    data = Parquet(train=path, label="y", features=["x"], group="who").open()
    assert data.splits["train"].groups.tolist() == [0, 1, 0]
    data = Parquet(train=path, label="y", features=["x"], time="when").open()
    assert data.splits["train"].times.tolist() == [3, 1, 2]


def test_text_gaps_and_days_are_columns_as_in_a_text_file(opened, tmp_path):
    when = [datetime.datetime(2024, 1, day) for day in (1, 2, 3, 9)]
    columns = {"x": [1.5, None, 3, 4], "city": ["a", "b", None, "b"], "day": when, "y": list("abab")}
    data = opened(columns, label="y", columns={"day": "date"})
    lines = ["x,city,day,y", "1.5,a,2024-01-01,a", ",b,2024-01-02,b", "3,,2024-01-03,a", "4,b,2024-01-09,b"]
    (tmp_path / "train.csv").write_text("\n".join(lines))
    other = Csv(train=tmp_path / "train.csv", label="y", columns={"day": "date"}).open()
    np.testing.assert_array_equal(rows(data), rows(other))
    assert data.row_format.reads_as(other.row_format)
    with kept_within(0):
        on_demand = opened(columns, label="y", columns={"day": "date"})
    np.testing.assert_array_equal(rows(on_demand), rows(data))


def test_values_that_the_file_has_once_are_once_in_memory(tmp_path):
    """60,000 rows of two texts with 100,000 characters each would be six gigabytes."""
    arrow, texts = pytest.importorskip("pyarrow"), ["x" * 100_000 + end for end in "ab"]
    column = arrow.DictionaryArray.from_arrays(np.arange(60_000) % 2, texts)  # as a column of texts is written
    path = write(tmp_path / "a.parquet", {"c": column, "x": np.arange(60_000)}, store_schema=False)
    table = Parquet(train=path, label="c").table(path)
    ((_, block),) = table.blocks([0])
    found = table.texts(0, block, range(60_000))
    assert found[:3] == [*texts, texts[0]]
    assert len({id(text) for text in found}) == 2


def test_a_value_that_is_longer_than_any_is_told_with_its_row(opened):
    with pytest.raises(DataError, match=r"train\.parquet:4: column 'c': a value of 10,000,000 char.* at most 131,072"):
        opened({"c": ["a", "b", "a", "x" * 10**7], "y": [0, 1, 0, 1]}, label="y")


def test_text_is_no_number_however_it_is_stored(opened):
    dictionary = pytest.importorskip("pyarrow").array(["a", "b", "a"]).dictionary_encode()
    with pytest.raises(DataError, match=r"column 'c' holds values of the type string; expected numbers"):
        opened({"x": [1.0, 2.0, 3.0], "c": dictionary}, target="c")


def test_numbers_in_a_dictionary_are_numbers(opened):
    numbers = pytest.importorskip("pyarrow").array([1.5, None, 1.5, 2.0]).dictionary_encode()
    data = opened({"x": numbers, "y": ["a", "b", "a", "b"]}, label="y")
    assert np.isnan(rows(data)[1][0])
    assert [row[0] for row in rows(data)[::2]] == [1.5, 1.5]


def test_dates_beyond_those_of_python_are_refused(tmp_path):
    import pyarrow
    from pyarrow import parquet as files

    times = pyarrow.array([2**62, 5], pyarrow.timestamp("us"))
    files.write_table(pyarrow.table({"a": times, "y": ["a", "b"]}), tmp_path / "x.parquet")
    with pytest.raises(DataError, match=r"x\.parquet: is not a Parquet file, or is damaged"):
        Parquet(train=tmp_path / "x.parquet", label="y").open()
