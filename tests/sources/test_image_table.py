import os
import re

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from kerasrun.errors import DataError, ExperimentError
from kerasrun.experiment.draft import recognize
from kerasrun.experiment.load import parse
from kerasrun.reading import image_files
from kerasrun.reading.data import ImageFormat
from kerasrun.sources.directory import Directory
from kerasrun.sources.image_table import ImageTable
from tests.sources.pixels import changed, pixels


def sample(folder):
    for number in range(6):
        Image.fromarray(pixels(number)).save(folder / f"{number}.png")
    for name, numbers in (("train", range(4)), ("test", range(4, 6))):
        rows = [f"{number}.png,{'ab'[number % 2]}\n" for number in numbers]
        (folder / f"{name}.csv").write_text("".join(["photo,class\n", *rows]), encoding="utf-8")
    return {"train": folder / "train.csv", "test": folder / "test.csv"}


def change(folder):
    Image.fromarray(changed(np.asarray(Image.open(folder / "0.png")))).save(folder / "0.png")


def short_experiment(folder):
    rows = ["name,class,where"]
    (folder / "photos").mkdir(exist_ok=True)
    for number in range(60):
        Image.fromarray(pixels(number)).save(folder / "photos" / f"{number}.png")
        rows.append(f"{number}.png,{'ab'[number % 2]},{'train' if number % 5 else 'val'}")
    (folder / "photos.csv").write_text("\n".join(rows), encoding="utf-8")
    return """
data: {image_table: {train: photos.csv, folder: photos, label: class, split: where}}
model: {MLP: {units: [4]}}
"""


@pytest.fixture
def listed(tmp_path, write_image):
    """Write six images, and texts as `<split>.csv` beside them, and open them; `fields` are those of the file."""
    for number, name in enumerate(["a.png", "b.png", "sub/c.jpg", "d.png", "e.png", "file.png"]):
        write_image(tmp_path / name, seed=number)

    def open_listed(train, fields=None, **others):
        paths = {}
        for name, text in {"train": train, **others}.items():
            paths[name] = tmp_path / f"{name}.csv"
            paths[name].write_bytes(text if isinstance(text, bytes) else text.encode())
        return ImageTable(**paths, **(fields or {})).open()

    return open_listed


def told(listed, tmp_path, *words, train, **others):
    with pytest.raises(DataError) as error:
        listed(train, **others)
    for word in words:
        assert str(word) in str(error.value)
    assert str(tmp_path) in str(error.value)
    return str(error.value)


CATS = "file,animal\na.png,dog\nb.png,cat\nsub/c.jpg,dog\n"


def test_the_order_is_that_of_the_rows_and_classes_are_sorted(listed, tmp_path):
    data = listed(CATS)
    train = data.splits["train"]
    assert (data.classes, train.labels.tolist()) == (("cat", "dog"), [1, 0, 1])
    assert train.names == ("a.png", "b.png", "sub/c.jpg")
    for place, name in enumerate(train.names):
        np.testing.assert_array_equal(train.inputs.take(np.array([place]))[0], np.asarray(Image.open(tmp_path / name)))


@pytest.mark.parametrize(
    "text",
    [
        "a.png dog\nb.png cat\nsub/c.jpg dog\n",
        "a.png\tdog\r\nb.png\tcat\r\nsub/c.jpg\tdog\r\n",
        "a;dog\nb;cat\nsub/c;dog",
        "\ufeffid,class\na,dog\nb,cat\nsub\\c,dog\n",
        ",x,label\n0,a.png,dog\n1,b.png,cat\n2,./sub/../sub/c.jpg,dog\n",
        'label|"the path"\ndog|a.png\ncat|b.png\ndog|sub/c.jpg\n',
    ],
)
def test_lists_are_read_as_they_are_usually_written(listed, text, request):
    data = listed(text)
    plain = listed(CATS)
    assert data.classes == plain.classes
    assert data.splits["train"].names == plain.splits["train"].names
    assert data.splits["train"].labels.tolist() == plain.splits["train"].labels.tolist()


def test_numbers_of_classes_are_sorted_as_numbers(listed):
    data = listed("a.png 10\nb.png 9\nsub/c.jpg 10\n")
    assert (data.classes, data.splits["train"].labels.tolist()) == (("9", "10"), [1, 0, 1])


def test_a_list_of_class_folders_has_the_examples_and_labels_of_directory(class_folders):
    folders = Directory(path=class_folders).open()
    for name, split in folders.splits.items():
        rows = [f"{file} {label}" for file, label in zip(split.names, split.labels, strict=True)]
        (class_folders / f"{name}.txt").write_text("\n".join(rows))
    table = ImageTable(train=class_folders / "train.txt", test=class_folders / "test.txt", classes=["0", "1"]).open()
    assert table.image_format == folders.image_format
    for name, split in folders.splits.items():
        every = np.arange(len(split))
        assert table.splits[name].names == split.names
        assert table.splits[name].labels.tolist() == split.labels.tolist()
        np.testing.assert_array_equal(table.splits[name].inputs.take(every), split.inputs.take(every))


def test_columns_of_zeros_and_ones_are_several_labels(listed):
    data = listed("x,cat,dog\na.png,1,0\nb.png,0,0\nsub/c.jpg,1,1\n", {"multi_label": ["dog", "cat"]})
    assert (data.label_kind, data.classes) == ("multi_label", ("dog", "cat"))
    assert data.splits["train"].labels.tolist() == [[0, 1], [0, 0], [1, 1]]
    assert data.splits["train"].labels.dtype == np.uint8


def test_one_column_may_name_several_labels(listed):
    text = 'x,what\na.png,cat\nb.png,\n"sub/c.jpg","dog; cat"\n'
    data = listed(text, {"multi_label": "what"}, test="x,what\nd.png,dog;dog\n")
    assert (data.label_kind, data.classes) == ("multi_label", ("cat", "dog"))
    assert data.splits["train"].labels.tolist() == [[1, 0], [0, 0], [1, 1]]
    assert data.splits["test"].labels.tolist() == [[0, 1]]
    data = listed("a.png cat|dog\nb.png dog\n", {"multi_label": 1, "separator": "|"})
    assert data.splits["train"].labels.tolist() == [[1, 1], [0, 1]]


def test_numbers_may_be_one_or_several(listed):
    data = listed("x,age,size\na.png,1.5,3\nb.png,2,-4e1\n", {"target": "age"})
    assert (data.label_kind, data.classes, data.splits["train"].labels.tolist()) == ("numbers", ("age",), [[1.5], [2]])
    data = listed("x,age,size\na.png,1.5,3\nb.png,2,-4e1\n", {"target": ["size", "age"]})
    assert data.splits["train"].labels.tolist() == [[3, 1.5], [-40, 2]]


def test_one_hot_columns_are_classes(listed):
    data = listed("x,cat,dog\na.png,0,1\nb.png,1,0\n", {"one_hot": ["cat", "dog"]})
    assert (data.label_kind, data.classes, data.splits["train"].labels.tolist()) == ("classes", ("cat", "dog"), [1, 0])


def test_a_column_may_say_the_split(listed):
    text = "x,y,part\na.png,cat,test\nb.png,cat,train\nsub/c.jpg,dog,Val\nd.png,dog,train\n"
    data = listed(text, {"split": "part", "label": "y"})
    assert list(data.splits) == ["train", "validation", "test"]
    assert [split.names for split in data.splits.values()] == [("b.png", "d.png"), ("sub/c.jpg",), ("a.png",)]
    assert [split.labels.tolist() for split in data.splits.values()] == [[0, 1], [1], [0]]


def test_weights_count_for_training(listed):
    text = "x,y,w\na.png,cat,2\nb.png,dog,0.5\n"
    data = listed(text, {"label": "y", "sample_weight": "w"}, test=text.replace("a.", "d.").replace("b.", "e."))
    assert data.splits["train"].sample_weight.tolist() == [2, 0.5]
    assert data.splits["test"].sample_weight is None


def test_what_is_used_of_the_table_is_in_the_fingerprint_and_nothing_else(listed):
    text = "x,y,z\na.png,1,5\nb.png,2,6\n"
    before = listed(text, {"label": "y"}).fingerprint
    assert listed(text.replace("5", "7"), {"label": "y"}).fingerprint == before
    assert listed("x,y,z\na.png,2,5\nb.png,1,6\n", {"label": "y"}).fingerprint != before
    assert listed("x,y,z\nb.png,2,6\na.png,1,5\n", {"label": "y"}).fingerprint != before
    assert listed(text, {"target": "y"}).fingerprint != listed(text, {"target": ["y", "z"]}).fingerprint


def test_missing_files_are_listed_by_row(listed, tmp_path):
    message = told(
        listed,
        tmp_path,
        f"2 of 4 listed images are not in {tmp_path}:\n  {tmp_path}/train.csv:3: x.png\n",
        f"\n  {tmp_path}/test.csv:2: gone\n",
        "Say with `folder` where they are",
        train="f,y\na.png,1\nx.png,2\nb.png,2\n",
        test="f,y\ngone,1\n",
    )
    assert "mean" not in message
    told(listed, tmp_path, f"Did you mean `folder: {tmp_path}/sub`?", train="c.jpg 1\nd.png 2\n")


def test_missing_files_are_looked_for_in_the_folder_of_their_list(tmp_path, write_image):
    for name in ("one", "two"):
        write_image(tmp_path / name / f"{name}.png")
    (tmp_path / "one/list.csv").write_text("f,y\none.png,1\ngone.png,2\n")
    (tmp_path / "two/list.csv").write_text("f,y\ntwo.png,1\n")
    source = ImageTable(train=tmp_path / "one/list.csv", test=tmp_path / "two/list.csv", target="y")
    with pytest.raises(DataError, match=re.escape(f"1 of 3 listed images are not in {tmp_path}/one:\n")):
        source.open()


def test_missing_files_may_be_skipped_and_are_listed(listed, tmp_path):
    data = listed("f,y\na.png,1\nx.png,2\nb.png,2\n", {"on_bad_file": "skip"})
    assert data.splits["train"].names == ("a.png", "b.png")
    assert [(file.path, file.reason) for file in data.skipped] == [
        (tmp_path / "x.png", f"is not there, but listed in {tmp_path}/train.csv:3")
    ]
    told(
        listed,
        tmp_path,
        "none of the 2 images for train",
        train="x.png 1\ny.png 2",
        fields={"on_bad_file": "skip"},
    )
    (tmp_path / "b.png").write_text("no image")
    told(
        listed,
        tmp_path,
        "no image of the class '2' can be read",
        train="a.png 1\nb.png 2",
        fields={"on_bad_file": "skip"},
    )


@pytest.mark.parametrize("name", ["../away.png", "sub/../../away.png", "/etc/passwd", "..\\away.png", "."])
def test_a_path_outside_the_folder_is_refused_with_its_row(listed, tmp_path, write_image, name):
    write_image(tmp_path.parent / "away.png")
    fields = {"header": True, "on_bad_file": "skip"}
    told(listed, tmp_path, "train.csv:3: column 'f': ", "is outside", train=f"f,y\na.png,1\n{name},2\n", fields=fields)


def test_an_absolute_path_in_the_folder_is_taken(listed, tmp_path):
    assert listed(f"{tmp_path}/a.png 1\n{tmp_path}/b.png 2\n").splits["train"].names == ("a.png", "b.png")


def test_a_name_without_extension_that_two_files_have_is_refused(listed, tmp_path, write_image):
    write_image(tmp_path / "a.jpg")
    told(listed, tmp_path, "train.csv:2: column 'f': 'a' may be a.jpg or a.png", train="f,y\na,1\nb,2\n")


@pytest.mark.parametrize(
    ("train", "fields", "words"),
    [
        ("f,y\n", {}, ["has a header, but no rows"]),
        ("", {}, ["train.csv: is empty"]),
        ("f,y\na.png,1\nb.png,1\n", {}, ["every row is of the class '1'"]),
        ("f,y\na.png,1\nb.png,\n", {}, ["train.csv:3: column 'y': a missing value"]),
        ("f,y\na.png,1\n,2\n", {}, ["train.csv:3: column 'f': a missing value"]),
        ("f,y\na.png,1\nb.png,2,3\n", {}, ["train.csv:3: 3 values; expected 2"]),
        ("f,y\na.png,1\nb.png,2\n", {"label": "z"}, ["no column 'z' for `label`"]),
        ("f,y\na.png,1\nb.png,2\n", {"image": "z"}, ["no column 'z' for `image`"]),
        ("f,y\na.png,1\nb.png,2\n", {"label": "f", "image": "f"}, ["column 'f' is `label`, and `image` as well"]),
        ("f,u,v\na.png,1,3\nb.png,2,4\n", {}, ["expected one of label, one_hot", "there are the columns f, u, v"]),
        ("f\na.png\nb.png\n", {}, ["there is none beside the names"]),
        ("f,y\na.png,1.5\nb.png,2.5\n", {}, ["holds decimal numbers", "`target`"]),
        ("f,y\na.png,3\nb.png,3\n", {"target": "y"}, ["column 'y' is 3 in every row"]),
        ("f,y\na.png,x\nb.png,3\n", {"target": "y"}, ["train.csv:2: column 'y': 'x'; expected a number"]),
        ("f,y,z\na.png,1,2\nb.png,0,1\n", {"multi_label": ["y", "z"]}, ["train.csv:2", "expected 0 or 1"]),
        ("f,y\na.png,cat\nb.png,\n", {"multi_label": "y"}, ["column 'y' has 1 different labels"]),
        (
            "f,y\na.png,cat;nan\nb.png,dog\n",
            {"multi_label": "y"},
            ["train.csv:2: column 'y': the label 'nan' means a missing"],
        ),
        ("f,y,s\na.png,1,train\nb.png,2,later\n", {"label": "y", "split": "s"}, ["train.csv:3: column 's': 'later'"]),
        (
            "f,y,s\na.png,1,test\nb.png,2,val\n",
            {"label": "y", "split": "s"},
            ["no row is for train in the column `split`"],
        ),
        (b"f,y\na.png,1\n\xff.png,2\n", {}, ["train.csv:3: is not UTF-8"]),
        ("f,f\na.png,1\nb.png,2\n", {}, ["'f' more than once"]),
    ],
)
def test_what_is_wrong_with_a_table_is_told_with_its_place(listed, tmp_path, train, fields, words):
    told(listed, tmp_path, *words, train=train, fields=fields)


def test_labels_of_other_splits_must_be_those_to_train_on(listed, tmp_path):
    told(listed, tmp_path, "test.csv:2: the class 'cow'", train=CATS, test="file,animal\nd.png,cow\n")
    fields = {"multi_label": "animal"}
    told(
        listed,
        tmp_path,
        "test.csv:2: column 'animal': the label 'cow'",
        train=CATS,
        test="file,animal\nd.png,cow\n",
        fields=fields,
    )


def test_an_image_in_two_splits_is_refused_with_both_rows(listed, tmp_path):
    message = told(listed, tmp_path, "test.csv:3", train=CATS, test="file,animal\nd.png,cat\nsub/c,cat\n")
    assert f"'{tmp_path}/sub/c.jpg' is in test, and in train as well ({tmp_path}/train.csv:4)" in message


def test_a_group_and_a_time_are_read_by_row(listed, tmp_path):
    text = "x,y,who,when\na.png,1,p1,2026-01-31\nb.png,2,p2,2025-12-01 10:30\nsub/c.jpg,2,p1,2026-02-01T00:00Z\n"
    grouped = listed(text, {"label": "y", "group": "who"}).splits["train"]
    assert (grouped.groups.tolist(), grouped.times) == ([0, 1, 0], None)
    timed = listed(text, {"label": "y", "time": "when"}).splits["train"]
    assert (timed.times.argsort().tolist(), timed.groups) == ([1, 0, 2], None)
    told(
        listed, tmp_path, "train.csv:3: column 'who': a missing", train=text.replace("p2", ""), fields={"group": "who"}
    )
    fields = {"label": "y", "time": "when"}
    wrong = text.replace("2025-12-01 10:30", "31.1.2026")
    told(
        listed,
        tmp_path,
        "train.csv:3: `time` is '31.1.2026'; expected a number in every row, or a date",
        train=wrong,
        fields=fields,
    )
    without = listed("x,y,who,when\na.png,1,p1,1\nb.png,2,p2,2\n", {"label": "y", "group": "who"}).fingerprint
    assert without != listed("x,y,who,when\na.png,1,p1,1\nb.png,2,p1,2\n", {"label": "y", "group": "who"}).fingerprint


def test_a_group_on_both_sides_of_given_splits_is_refused_with_both_rows(listed, tmp_path):
    text = "x,y,who\na.png,1,p1\nb.png,2,p2\n"
    fields = {"label": "y", "group": "who"}
    message = told(listed, tmp_path, "test.csv:2", train=text, test="x,y,who\nd.png,1,p2\n", fields=fields)
    assert f"the group 'p2' is in test, and in train as well ({tmp_path}/train.csv:3)" in message


def test_an_image_that_is_listed_twice_stays_on_one_side(listed):
    assert listed("a.png 1\nb.png 2\nsub/../a 1\n").splits["train"].groups.tolist() == [0, 1, 0]
    assert listed("a.png 1\nb.png 2\n").splits["train"].groups is None


def test_a_column_that_differs_in_most_rows_is_no_column_of_classes(listed, tmp_path):
    rows = "".join(f"a.png,{number}\n" for number in range(1100))
    told(listed, tmp_path, "column 'y' has 1,100 values in 1,100 rows", train=f"f,y\n{rows}")
    assert len(listed(f"f,y\n{rows}", {"target": "y"}).splits["train"]) == 1100


def test_so_many_labels_that_a_row_for_each_example_would_fill_the_memory_are_refused(listed, tmp_path):
    rows = "".join(f"a.png,{number}x;{number}y\n" for number in range(6000))
    told(listed, tmp_path, "has 12,000 different labels", train=f"f,y\n{rows}", fields={"multi_label": "y"})


def test_images_in_memory_and_decoded_on_demand_are_equal(listed, monkeypatch):
    in_memory = listed(CATS)
    monkeypatch.setattr(image_files, "memory_budget", lambda: 0)
    on_demand = listed(CATS)
    assert [data.splits["train"].inputs.is_kept for data in (in_memory, on_demand)] == [True, False]
    assert on_demand.fingerprint == in_memory.fingerprint
    indices = np.array([2, 0, 1, 1])
    np.testing.assert_array_equal(
        on_demand.splits["train"].inputs.take(indices), in_memory.splits["train"].inputs.take(indices)
    )


@pytest.mark.parametrize(
    "fields",
    [
        {"label": "y", "target": "z"},
        {"target": "y", "classes": ["a", "b"]},
        {"split": "s", "test": "test.csv"},
        {"group": "g", "time": "t"},
        {"delimiter": "ab"},
        {"separator": ""},
    ],
)
def test_keys_that_contradict_each_other_are_refused(fields):
    with pytest.raises(ValidationError):
        ImageTable(train="train.csv", **fields)


def test_the_names_of_keras_are_known(tmp_path):
    text = "data: {image_table: {train: a.csv, x_col: f, y_col: y}}\nmodel: LeNet\n"
    with pytest.raises(ExperimentError, match=r"(?s)'x_col'.*'image'.*'y_col'.*'label'"):
        parse(text, tmp_path / "a.yaml")


@pytest.mark.parametrize("split", ["validation", "test"])
def test_a_share_beside_a_file_of_the_split_is_told_before_anything_is_read(tmp_path, split):
    text = f"data: {{image_table: {{train: a.csv, {split}: b.csv}}}}\nmodel: LeNet\nfit: {{{split}_split: 0.1}}\n"
    with pytest.raises(
        ExperimentError, match=rf"a.yaml:3:\d+: fit.{split}_split: {split}_split beside {split} of data"
    ):
        parse(text, tmp_path / "a.yaml")
    parse(text.replace("0.1", "null"), tmp_path / "a.yaml")


def test_another_table_is_read_with_the_classes_of_a_model(listed, tmp_path):
    listed(CATS, {"split": None})
    source = ImageTable(train=tmp_path / "train.csv", split="part", label="animal", limit=1)
    (tmp_path / "other.csv").write_text("file,animal\nd.png,dog\ne.png,cat\n")
    split = source.other(tmp_path / "other.csv", ImageFormat(6, 8, "rgb"), None, ("dog", "cat"))
    assert (split.name, split.names, split.labels.tolist()) == ("other", ("d.png", "e.png"), [0, 1])
    (tmp_path / "other.csv").write_text("file,animal,part\nd.png,dog,train\ne.png,cat,test\n")
    split = source.other(tmp_path / "other.csv", ImageFormat(6, 8, "rgb"), None, ("dog", "cat"))
    assert (split.name, split.names, split.labels.tolist()) == ("test", ("e.png",), [1])
    assert source.other(tmp_path, ImageFormat(6, 8, "rgb"), None, ("dog", "cat")) is None


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        (CATS, {"image": "file", "label": "animal"}),
        ("a.png 0\nb.png 1\nsub/c.jpg 0\n", {"image": 0, "label": 1}),
        ("f,y\na.png,0.5\nb.png,1.5\n", {"image": "f", "target": "y"}),
        ("f,y\na.png,cat;dog\nb.png,\n", {"image": "f", "multi_label": "y"}),
        ("f,cat,dog\na.png,1,1\nb.png,0,1\nd.png,0,0\n", {"image": "f", "multi_label": ["cat", "dog"]}),
        ("f,cat,dog\na.png,1,0\nb.png,0,1\n", {"image": "f", "one_hot": ["cat", "dog"]}),
        ("f,y,s\na.png,1,train\nb.png,2,train\nd.png,2,test\n", {"image": "f", "split": "s", "label": "y"}),
        ("f,y,s\na.png,1,Training\nb.png,2,training\nd.png,2,Test set\n", {"image": "f", "split": "s", "label": "y"}),
    ],
)
def test_init_recognizes_a_table_of_images(listed, tmp_path, text, keys):
    (tmp_path / "photos.csv").write_text(text)
    listed(CATS)
    found = recognize(tmp_path / "photos.csv")
    assert (found.kind, dict(found.paths), dict(found.keys)) == (
        "image_table",
        {"train": tmp_path / "photos.csv"},
        keys,
    )


@pytest.mark.parametrize(("label", "key"), [("animal", "label"), ("age", "target"), ("wild", "label")])
def test_init_takes_the_label_that_is_named(listed, tmp_path, label, key):
    (tmp_path / "photos.csv").write_text("file,animal,age,wild,tame\na.png,cat,1.5,0,1\nb.png,dog,2,1,0\n")
    listed(CATS)
    assert recognize(tmp_path / "photos.csv", label).keys == {"image": "file", key: label}
    with pytest.raises(DataError, match=r"photos\.csv: no column 'anmal' for `--label`.*did you mean 'animal'"):
        recognize(tmp_path / "photos.csv", "anmal")
    with pytest.raises(DataError, match="no column '11111"):
        recognize(tmp_path / "photos.csv", "1" * 5000)
    with pytest.raises(DataError, match="column 'file' for --label has the names of the images"):
        recognize(tmp_path / "photos.csv", "file")


def test_init_does_not_ask_the_disk_for_each_value_of_a_wide_table(tmp_path, monkeypatch):
    asked, is_file = [], os.path.isfile
    monkeypatch.setattr(os.path, "isfile", lambda path: asked.append(path) or is_file(path))
    for name in "abc":
        (tmp_path / name).mkdir()
    names = [f"c{column}" for column in range(5000)]
    (tmp_path / "wide.csv").write_text("\n".join(map(",".join, [names, *[["1"] * 5000] * 3])), encoding="utf-8")
    assert ImageTable.recognize(tmp_path / "wide.csv") is None
    assert asked == []


def test_init_finds_the_folder_of_the_images(listed, tmp_path, write_image):
    write_image(tmp_path / "all" / "x.png")
    write_image(tmp_path / "all" / "z.png")
    (tmp_path / "photos.csv").write_text("id,y\nx,1\nz,2\n")
    assert recognize(tmp_path / "photos.csv").paths["folder"] == tmp_path / "all"


@pytest.mark.parametrize("line", [2, 4])
def test_init_tells_the_row_of_a_path_outside_the_folder(listed, tmp_path, line):
    rows = ["a.png,x", "b.png,y", "d.png,x"]
    rows.insert(line - 2, "../away.png,y")
    (tmp_path / "photos.csv").write_text("\n".join(["file,class", *rows]), encoding="utf-8")
    with pytest.raises(DataError, match=rf"photos\.csv:{line}: column 'file': '\.\./away\.png' is outside"):
        recognize(tmp_path / "photos.csv")


def test_init_tells_a_missing_image_in_the_first_row(listed, tmp_path):
    (tmp_path / "photos.csv").write_text("file,class\ngone.png,x\na.png,x\nb.png,y\n", encoding="utf-8")
    found = recognize(tmp_path / "photos.csv")
    assert (found.examples, found.keys["on_bad_file"]) == (2, "skip")
    assert found.about.endswith("listed images that are not there are left out")


def test_a_table_of_numbers_is_no_table_of_images(tmp_path):
    rows = "".join(f"{one:.3f},{one > 0}\n" for one in np.random.default_rng(1).normal(size=20))
    (tmp_path / "rows.csv").write_text(f"x,y\n{rows}")
    assert recognize(tmp_path / "rows.csv").kind == "csv"


def test_a_word_that_happens_to_be_the_name_of_an_image_makes_no_table_of_images(tmp_path):
    (tmp_path / "pictures").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "pictures" / "a.png")
    file = tmp_path / "a.csv"
    file.write_text("grade,age,label\n" + "".join(f"{'ab'[n % 2]},{n},{n % 2}\n" for n in range(20)))
    assert ImageTable.recognize(file) is None
