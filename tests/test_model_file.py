"""The self-contained model file; without Keras, which is tried in tests/results."""

import json
import os
import zipfile
from dataclasses import replace
from types import SimpleNamespace

import pytest

from kerasrun.errors import ModelFileError
from kerasrun.model_file import ENTRY, check, copy_with, read_info, read_input_shape, save
from kerasrun.reading.data import RowFormat

INFO = {
    "format": 2,
    "classes": ["cat", "dog"],
    "image_format": {"height": 8, "width": 8, "color_mode": "rgb", "interpolation": "bilinear", "fit_mode": "resize"},
    "batch_size": 32,
    "outputs": "probabilities",
    "label_kind": "classes",
    "row_format": None,
    "experiment": "pets",
    "epoch": 3,
    "metrics": {"loss": 0.5},
    "kerasrun": "0.1.0",
}


def model_file(tmp_path, info):
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "{}")
        if info is not None:
            archive.writestr(ENTRY, json.dumps(info))
    return path


def test_it_says_what_the_network_was_trained_on(tmp_path):
    info = read_info(model_file(tmp_path, INFO))
    assert info.classes == ("cat", "dog")
    assert info.image_format.shape == (8, 8, 3)
    assert info.row_format is None
    assert (info.batch_size, info.epoch, info.metrics) == (32, 3, {"loss": 0.5})


def test_a_file_that_does_not_say_how_images_are_decoded_means_exact(tmp_path):
    assert read_info(model_file(tmp_path, INFO)).image_format.decode == "exact"
    scaled = {**INFO, "image_format": {**INFO["image_format"], "decode": "scaled"}}
    assert read_info(model_file(tmp_path, scaled)).image_format.decode == "scaled"


def test_a_newer_format_is_refused_in_one_sentence(tmp_path):
    with pytest.raises(ModelFileError, match=r"format 3 .*reads format 2; use the version that wrote it"):
        read_info(model_file(tmp_path, {**INFO, "format": 3}))


def test_a_foreign_keras_file_is_refused(tmp_path):
    with pytest.raises(ModelFileError, match="kerasrun did not write"):
        read_info(model_file(tmp_path, None))


def test_a_task_that_is_not_known_is_refused_with_the_file(tmp_path):
    with pytest.raises(ModelFileError, match=r"model\.keras: .* names a task .* 'ranks'"):
        read_info(model_file(tmp_path, {**INFO, "label_kind": "ranks"}))


def test_a_task_of_a_long_name_is_told_in_a_sentence(tmp_path):
    with pytest.raises(ModelFileError) as error:
        read_info(model_file(tmp_path, {**INFO, "label_kind": "x" * 100_000}))
    assert len(str(error.value)) < 1000


@pytest.mark.parametrize("missing", ["classes", "batch_size", "image_format"])
def test_an_entry_that_lacks_something_is_damaged(tmp_path, missing):
    with pytest.raises(ModelFileError, match="damaged"):
        read_info(model_file(tmp_path, {key: value for key, value in INFO.items() if key != missing}))


WRONG = {
    "classes": ["cat", 3],
    "image_format": {**INFO["image_format"], "height": 10**400},
    "batch_size": 0,
    "outputs": "logits",
    "row_format": {"features": "width", "header": True, "delimiter": ","},
    "epoch": float("nan"),
    "metrics": {"loss": []},
    "plugins": [],
    "parts": [{"name": "a", "columns": 0, "label_kind": "classes", "outputs": "values"}],
}


@pytest.mark.parametrize("key", WRONG)
def test_an_entry_of_another_structure_is_told_with_its_key(tmp_path, key):
    with pytest.raises(ModelFileError, match=rf"model\.keras: kerasrun\.json inside it is damaged: {key}.*received"):
        read_info(model_file(tmp_path, {**INFO, key: WRONG[key]}))


@pytest.mark.parametrize("text", ["[]", "3", "[" * 10**5, "{", '{"format": 2}'])
def test_an_entry_of_no_structure_is_damaged(tmp_path, text):
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(ENTRY, text)
    with pytest.raises(ModelFileError, match=r"model\.keras: (format nothing of|kerasrun.json inside it is damaged)"):
        read_info(path)


@pytest.mark.parametrize("shape", [None, [], [None, -1], [None, 10**400], [None, "8"], 3])
def test_an_input_shape_that_is_none_is_told(tmp_path, shape):
    path = tmp_path / "model.keras"
    layer = {"class_name": "InputLayer", "config": {"batch_shape": shape}}
    config = {"class_name": "Sequential", "config": {"layers": [] if shape == [] else [layer]}}
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps(config))
    with pytest.raises(ModelFileError, match="does not say what shape its input has"):
        read_input_shape(path)


def test_every_flipped_bit_is_noticed_or_is_one_that_nobody_reads(tmp_path):
    path = model_file(tmp_path, INFO)
    content, info, config = path.read_bytes(), read_info(path), entry(path, "config.json")
    noticed = 0
    for place in range(8 * len(content)):
        damaged = bytearray(content)
        damaged[place // 8] ^= 1 << place % 8
        path.write_bytes(damaged)
        try:
            assert read_info(path) == info, place
            assert entry(path, "config.json") == config, place
        except ModelFileError as error:
            assert str(path) in str(error)  # noqa: PT017  either will do
            noticed += 1
    assert noticed > 8 * len(json.dumps(INFO))


def entry(path, name):
    with zipfile.ZipFile(path) as archive:
        return archive.read(name)


def test_a_missing_file_a_folder_and_no_zip_are_told_apart(tmp_path):
    (tmp_path / "text.keras").write_text("no zip")
    (tmp_path / "folder.keras").mkdir()
    os.mkfifo(tmp_path / "pipe.keras")
    with pytest.raises(ModelFileError, match="a named pipe"):
        read_info(tmp_path / "pipe.keras")
    for name, words in [("none", "no such model file"), ("folder", "a folder"), ("text", "not a readable .keras file")]:
        with pytest.raises(ModelFileError, match=words):
            read_info(tmp_path / f"{name}.keras")


def test_it_says_how_a_row_of_a_text_file_is_read(tmp_path):
    rows = {"features": ["width", "height"], "header": True, "delimiter": ","}
    info = read_info(model_file(tmp_path, {**INFO, "image_format": None, "row_format": rows}))
    assert info.row_format == RowFormat(("width", "height"), header=True, delimiter=",")


ROWS = {"features": ["width"], "header": True, "delimiter": ","}
DATE = {"kind": "date", "form": "%d.%m.%Y", "first": "2024-03-31T00:00:00"}


@pytest.mark.parametrize(
    "wrong",
    [
        *({"encoding": one} for one in ("rot13", "undefined", "idna", "nosuch", "utf-16", "punycode", "a\0b", "")),
        *({"delimiter": one} for one in ("", "ab", "auto", "whitespace", '"')),
        *({"decimal": "1"}, {"thousands": ""}, {"thousands": "("}, {"decimal": ",", "thousands": ","}),
        *({"features": []}, {"header": False}, {"header": False, "features": ["9" * 5000]}),
        *({"columns": [{}, {}]}, {"features": ["width", "height"], "columns": [{}]}),
        *({"columns": [{**DATE, "form": form}]} for form in ("%d%d", "%Q", "%d %")),
        *({"columns": [{"mean": mean}]} for mean in (1e308, -3.5e38, float("nan"), float("inf"))),
        *({"columns": [{**DATE, "first": first}]} for first in ("", "x", "2024-03-31T00:00:00+01:00")),
    ],
)
def test_rows_that_no_experiment_can_have_are_refused(tmp_path, wrong):
    info = {**INFO, "image_format": None}
    read_info(model_file(tmp_path, {**info, "row_format": {**ROWS, "columns": [DATE]}}))
    with pytest.raises(ModelFileError, match=r"kerasrun\.json inside it is damaged"):
        read_info(model_file(tmp_path, {**info, "row_format": {**ROWS, **wrong}}))


@pytest.mark.parametrize(
    "wrong", [{"row_format": ROWS}, {"image_format": None, "row_format": {**ROWS, "image": "file"}}]
)
def test_a_column_of_images_belongs_to_a_network_that_takes_them(tmp_path, wrong):
    read_info(model_file(tmp_path, {**INFO, "row_format": {**ROWS, "image": "file"}}))
    with pytest.raises(ModelFileError, match=r"row_format\.image: expected the column of the images, where there are"):
        read_info(model_file(tmp_path, {**INFO, **wrong}))


FEATURES = ["width", "height", "grown"]
DATES = {**ROWS, "features": FEATURES, "columns": [{}, {}, DATE]}


@pytest.mark.parametrize(
    ("wrong", "shape", "made"),
    [
        ({}, [8, 9, 3], "8 × 8"),
        ({}, [64], "8 × 8"),
        ({"image_format": {**INFO["image_format"], "height": 2**16}}, [8, 8, 3], "65536 × 8"),
        ({"image_format": None, "row_format": {**ROWS, "features": FEATURES[:2]}}, [3], "2"),
        ({"image_format": None, "row_format": DATES}, [3], "6"),
        ({"image_format": None, "row_format": DATES}, [6, 1], "6"),
    ],
)
def test_examples_of_another_shape_than_the_network_takes_are_refused(tmp_path, wrong, shape, made):
    check(with_inputs(tmp_path, {**INFO, **wrong}, [int(side) for side in made.split(" × ")] + [2] * ("×" in made)))
    with pytest.raises(
        ModelFileError, match=rf"damaged: it makes examples of {made}, but its network takes {shape[0]}"
    ):
        check(with_inputs(tmp_path, {**INFO, **wrong}, shape))


def test_images_with_columns_beside_them_need_a_network_of_both(tmp_path):
    info = {**INFO, "row_format": {**ROWS, "features": FEATURES[:2], "image": "file"}}
    check(with_inputs(tmp_path, info, [2], [8, 8, 3]))  # in whichever order the layers stand
    for shapes in ([[8, 8, 3]], [[8, 8, 3], [3]], [[8, 8, 3], [8, 8, 3]], [[8, 8, 3], [2], [2]]):
        with pytest.raises(ModelFileError, match=r"damaged: it makes examples of 8 × 8 and 2, but its network takes"):
            check(with_inputs(tmp_path, info, *shapes))
    with pytest.raises(
        ModelFileError, match=r"damaged: it makes examples of 8 × 8, but its network takes 8 × 8 × 3 and"
    ):
        check(with_inputs(tmp_path, INFO, [8, 8, 3], [2]))


def with_inputs(folder, info, *shapes):
    """Write a model file whose network takes examples of these shapes."""
    layers = [{"class_name": "InputLayer", "config": {"batch_shape": [None, *shape]}} for shape in shapes]
    path = model_file(folder, None)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps({"class_name": "Functional", "config": {"layers": layers}}))
        archive.writestr(ENTRY, json.dumps(info))
    return path


def test_images_that_fill_the_memory_are_refused(tmp_path):
    read_info(model_file(tmp_path, {**INFO, "image_format": {**INFO["image_format"], "height": 2**16}}))
    size = {"height": 2**16, "width": 2**16}
    with pytest.raises(ModelFileError, match=r"image_format: expected at most 89,478,485 pixels"):
        read_info(model_file(tmp_path, {**INFO, "image_format": {**INFO["image_format"], **size}}))


def test_a_machine_without_a_clock_writes_it_too(tmp_path, monkeypatch):
    """Its time is of 1970, and an archive can have none before 1980."""
    info = read_info(model_file(tmp_path, INFO))
    model = SimpleNamespace(save=lambda path: zipfile.ZipFile(path, "w").close())
    monkeypatch.setattr("time.time", lambda: 0.0)
    save(model, info, tmp_path / "other.keras")
    assert read_info(tmp_path / "other.keras").classes == ("cat", "dog")


def test_a_file_without_a_threshold_decides_by_a_half(tmp_path):
    info = read_info(model_file(tmp_path, INFO))
    assert (info.threshold, info.question().threshold) == (None, None)
    assert info.question(0.3).threshold == 0.3


def test_a_copy_with_a_threshold_has_all_else_as_it_was(tmp_path):
    source, copied = model_file(tmp_path, INFO), tmp_path / "copied.keras"
    with zipfile.ZipFile(source, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.weights.h5", bytes(range(256)) * 1000)
    info = replace(read_info(source), threshold=0.1 + 0.2)
    copy_with(info, source, copied)
    assert read_info(copied) == info
    assert info.question().threshold == 0.1 + 0.2
    with zipfile.ZipFile(source) as before, zipfile.ZipFile(copied) as after:
        assert sorted(before.namelist()) == sorted(after.namelist())
        for name in ("config.json", "model.weights.h5"):
            assert after.read(name) == before.read(name)
            assert after.getinfo(name).compress_type == before.getinfo(name).compress_type


@pytest.mark.parametrize("kind", [{}, {"label_kind": "multi_label"}])
def test_thresholds_that_decide_are_read(tmp_path, kind):
    assert read_info(model_file(tmp_path, {**INFO, **kind, "threshold": 0.25})).threshold == 0.25
    each = {**INFO, "label_kind": "multi_label", "threshold": [0.25, 1]}
    assert read_info(model_file(tmp_path, each)).threshold == (0.25, 1)


@pytest.mark.parametrize(
    "wrong",
    [
        *({"threshold": one} for one in (-0.1, 1.5, float("nan"), "0.5", [0.5, 0.5], [], True)),
        *({"label_kind": "multi_label", "threshold": one} for one in ([0.5], [0.5, 2], [0.5, float("nan")])),
        {"classes": ["cat", "dog", "fox"], "threshold": 0.5},
        {"outputs": "scores", "threshold": 0.5},
        {"label_kind": "numbers", "outputs": "values", "threshold": 0.5},
        {"label_kind": "masks", "threshold": [0.5, 0.5]},
    ],
)
def test_a_threshold_that_cannot_decide_is_damage(tmp_path, wrong):
    with pytest.raises(ModelFileError, match=r"kerasrun\.json inside it is damaged: threshold"):
        read_info(model_file(tmp_path, {**INFO, **wrong}))
