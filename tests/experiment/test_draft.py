"""An experiment for data that were looked at: it has no mistakes, and says what was seen."""

import shutil
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kerasrun.errors import DataError, UsageError
from kerasrun.experiment.draft import draft_experiment, recognize
from kerasrun.experiment.load import load, parse
from kerasrun.experiment.photos import PRETRAINED, cached

DIGITS = Path(__file__).parents[2] / "data" / "digits"


@pytest.fixture(autouse=True)
def _kinds():
    """The kinds that there are, instead of those of the other tests in this folder."""


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """Keras's folder of downloaded weights, empty; and nothing can be downloaded."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("init used the network"))
    (tmp_path / "keras/models").mkdir(parents=True)
    return tmp_path / "keras/models"


@pytest.fixture
def drafted(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def draft(data, label=None, **options):
        target = draft_experiment(data, None, label, **options)
        return load(target).experiment, target.read_text(encoding="utf-8")

    return draft


@pytest.fixture
def arrays(tmp_path):
    def save(x, y, **others):
        np.savez(tmp_path / "a.npz", x_train=x, y_train=y, **others)
        return Path("a.npz")

    return save


def photos(folder, sizes, mode="RGB", classes=("cat", "dog")):
    for name in classes:
        (folder / name).mkdir(parents=True)
        for number, size in enumerate(sizes):
            Image.new(mode, size).save(folder / name / f"{number}.png")
    return folder


def test_class_folders_of_the_digits(drafted):
    experiment, text = drafted(DIGITS / "png")
    assert (experiment.data.kind, experiment.data.color_mode) == ("directory", "grayscale")
    assert experiment.model.kind == "LeNet"
    assert experiment.data.path == DIGITS / "png"
    assert "1,438 training images of 10 classes, 32×32 and grey" in text
    assert experiment.fit.validation_split == 0.1


@pytest.mark.parametrize(("name", "kind"), [("idx", "idx"), ("digits.npz", "npz"), ("digits.h5", "hdf5")])
def test_arrays_of_the_digits(drafted, name, kind):
    experiment, text = drafted(DIGITS / name)
    assert (experiment.data.kind, experiment.model.kind) == (kind, "LeNet")
    assert "1,438 training examples of 32×32×1, 10 classes" in text


def test_a_folder_with_a_file_for_each_array(drafted, tmp_path):
    (tmp_path / "npy").mkdir()
    with np.load(DIGITS / "digits.npz") as digits:
        for name, saved in (("train", "train"), ("test", "val")):
            np.save(tmp_path / "npy" / f"x_{saved}.npy", digits[f"x_{name}"])
            np.save(tmp_path / "npy" / f"y_{saved}.npy", digits[f"y_{name}"])
    np.save(tmp_path / "npy" / "x_test.npy", np.zeros(3))  # without labels it is passed over
    experiment, text = drafted(Path("npy"))
    assert experiment.data.kind == "npy"
    assert experiment.data.y_validation == tmp_path / "npy" / "y_val.npy"
    assert experiment.data.x_test is None
    assert "1,438 training examples of 32×32×1, 10 classes" in text
    assert experiment.fit.validation_split is None


def test_arrays_of_their_own_names_come_before_folders_of_images(drafted, tmp_path):
    for split, seed in (("train", 1), ("test", 2)):
        np.save(tmp_path / f"x_{split}.npy", np.random.default_rng(seed).integers(0, 256, (8, 6, 6), np.uint8))
        np.save(tmp_path / f"y_{split}.npy", np.arange(8) % 2)
    photos(tmp_path / "images", [(6, 6)])
    photos(tmp_path / "masks", [(6, 6)])
    experiment, _ = drafted(tmp_path)
    assert experiment.data.kind == "npy"


def test_images_with_masks(drafted):
    experiment, text = drafted(DIGITS.parent / "digit_masks")
    assert (experiment.data.kind, experiment.data.color_mode) == ("image_masks", "grayscale")
    assert "48 training examples of 32×32×1, masks of 2 classes; the images are 32×32 and grey" in text


def test_masks_under_another_name_and_of_an_odd_size(drafted, tmp_path):
    pixels = np.zeros((21, 30), np.uint8)
    pixels[5:9] = 255
    for folder in ("imgs", "annotations"):
        (tmp_path / "cells" / folder).mkdir(parents=True)
        for number in range(5):
            Image.fromarray(pixels).save(tmp_path / "cells" / folder / f"{number}.png")
    experiment, _ = drafted(Path("cells"))
    assert (experiment.data.images, experiment.data.masks) == ("imgs", "annotations")
    assert experiment.data.image_size == (20, 28)


def test_a_folder_of_labels_beside_one_of_images_is_no_class(drafted, tmp_path):
    for own, name in (("images", "image"), ("masks", "label")):
        shutil.copytree(DIGITS.parent / "digit_masks/train" / own, tmp_path / "membrane" / name)
    experiment, _ = drafted(tmp_path / "membrane")
    assert (experiment.data.kind, experiment.data.images, experiment.data.masks) == ("image_masks", "image", "label")


def test_images_of_several_sizes_are_brought_to_one(drafted, tmp_path):
    photos(tmp_path / "photos", [(200, 150), (180, 140), (140, 200)])
    experiment, text = drafted(Path("photos"))
    assert experiment.data.image_size == (128, 128)
    assert experiment.data.path == tmp_path / "photos"
    assert "path: photos\n" in text
    assert "of several sizes" in text
    assert [metric.name for metric in experiment.compile.metrics] == ["accuracy", "AUC"]


def test_splits_of_the_data_validate(drafted, tmp_path):
    for split in ("train", "val"):
        photos(tmp_path / "photos" / split, [(20, 20)] * 4)
    experiment, _ = drafted(Path("photos"))
    assert experiment.fit.validation_split is None
    assert [callback.name for callback in experiment.callbacks] == ["EarlyStopping"]


@pytest.mark.parametrize(
    ("files", "side", "mode", "name", "alpha", "size"),
    [
        (["mobilenet_2_5_224_tf_no_top.h5"], 100, "RGB", "MobileNet", 0.25, 224),
        (["mobilenet_2_5_224_tf_no_top.h5", "mobilenet_5_0_160_tf_no_top.h5"], 192, "L", "MobileNet", 0.5, 160),
        ([f"mobilenet_1_0_{n}_tf_no_top.h5" for n in (128, 160, 224)], 150, "RGB", "MobileNet", 1.0, 160),
        (
            ["mobilenet_1_0_224_tf_no_top.h5", "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_96_no_top.h5"],
            *(70, "RGB", "MobileNetV2", 1.0, 96),
        ),
        (
            ["efficientnetb0_notop.h5", "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5"],
            *(300, "RGB", "EfficientNetB0", None, 224),
        ),
    ],
)
def test_photos_are_for_the_best_network_whose_weights_are_there(
    drafted, cache, tmp_path, files, side, mode, name, alpha, size
):
    for file in files:
        (cache / file).touch()
    photos(tmp_path / "photos", [(side, side)] * 4, mode)
    experiment, text = drafted(Path("photos"))
    assert (experiment.model.kind, getattr(experiment.model, "alpha", None)) == (name, alpha)
    assert (experiment.model.weights, experiment.data.image_size) == ("imagenet", (size, size))
    assert experiment.data.color_mode == "rgb"
    assert [stage.trainable for stage in experiment.stages] == [False, True]
    first = experiment.augmentation[0].name  # what is grey may be writing
    assert first == ("RandomFlip" if mode == "RGB" else "RandomTranslation")
    assert "scratch" not in text


def test_photos_without_weights_are_for_a_network_from_scratch_and_that_is_said(drafted, tmp_path, caplog):
    photos(tmp_path / "photos", [(600, 400)] * 4)
    caplog.set_level("INFO", "kerasrun")
    experiment, text = drafted(Path("photos"))
    assert (experiment.model.kind, experiment.data.image_size) == ("layers", (128, 128))
    assert "# The network begins from scratch, because no ImageNet weights are in Keras's cache." in text
    assert f"no ImageNet weights that serve are in {tmp_path / 'keras/models'}" in caplog.text
    assert "filters: 64" in text
    assert "filters: 128" not in text
    assert "RandomFlip" in text


def test_photos_may_be_for_a_network_whose_weights_training_downloads(drafted, tmp_path):
    photos(tmp_path / "photos", [(150, 150)] * 4)
    experiment, text = drafted(Path("photos"), download=True)
    assert (experiment.model.kind, experiment.model.weights) == ("MobileNetV2", "imagenet")
    assert experiment.data.image_size == (160, 160)
    assert "scratch" not in text


def test_many_images_of_each_class_are_for_more_filters(drafted, tmp_path):
    photos(tmp_path / "photos", [(50, 50)])
    for folder in (tmp_path / "photos").iterdir():
        for number in range(1, 5_000):
            (folder / f"{number}.png").hardlink_to(folder / "0.png")
    _, text = drafted(Path("photos"))
    assert "augmentation" not in text
    assert "filters: 64" in text


@pytest.mark.long
@pytest.mark.tensorflow
@pytest.mark.parametrize("name", sorted({network.name for network in PRETRAINED}))
def test_files_of_weights_are_called_as_keras_calls_them(monkeypatch, cache, name):
    from keras import applications

    def get_file(fname, *_, **__):
        raise LookupError(fname)

    monkeypatch.setattr("keras.src.utils.file_utils.get_file", get_file)
    network = next(one for one in PRETRAINED[::-1] if one.name == name)
    own = {} if network.alpha is None else {"alpha": network.alpha}
    size = network.sizes[0]
    with pytest.raises(LookupError) as asked:
        getattr(applications, name)(**own, weights="imagenet", include_top=False, input_shape=(size, size, 3))
    (cache / asked.value.args[0]).touch()
    assert cached(size) == (network, size)


@pytest.mark.tensorflow
@pytest.mark.long
def test_a_draft_with_pretrained_weights_trains(cache, tmp_path, monkeypatch):
    import h5py
    from keras import applications
    from keras.src.legacy.saving import legacy_h5_format

    import kerasrun

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("keras.src.backend.config._KERAS_DIR", str(cache.parent))
    network = applications.MobileNet(alpha=0.25, weights=None, include_top=False, input_shape=(128, 128, 3))
    with h5py.File(cache / "mobilenet_2_5_128_tf_no_top.h5", "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, network)
    target = draft_experiment(photos(tmp_path / "photos", [(60, 60)] * 8))
    run = kerasrun.train(target, overrides=["stages.0.epochs=1", "stages.1.epochs=1"], output=tmp_path / "runs")
    assert run.read_run()["status"] == "finished"


@pytest.mark.parametrize(
    ("split", "validation", "test"), [("80/20", 0.2, None), ("80/10/10", 0.111111, 0.1), ("6/2/2", 0.25, 0.2)]
)
def test_the_shares_of_the_splits_can_be_said(drafted, tmp_path, split, validation, test):
    photos(tmp_path / "photos", [(20, 20)] * 10)
    experiment, _ = drafted(Path("photos"), split=split)
    assert (experiment.fit.validation_split, experiment.fit.test_split) == (validation, test)


def test_shares_are_refused_where_they_are_none_or_the_data_have_their_own(drafted, tmp_path):
    for name in ("train", "test"):
        photos(tmp_path / "photos" / name, [(20, 20)] * 4)
    for split in ("80", "80/", "80/0", "a/b", "1/1/1/1", "-1/2", "9" * 5000 + "/1"):
        with pytest.raises(UsageError, match="such as 80/10/10"):
            drafted(Path("photos"), split=split)
    with pytest.raises(UsageError, match="the data have test examples of their own"):
        drafted(Path("photos"), split="80/10/10")
    experiment, _ = drafted(Path("photos"), split="80/20")
    assert experiment.fit.validation_split == 0.2


@pytest.mark.parametrize(
    ("labels", "kind", "said"),
    [
        (np.arange(40) % 3, "classes", "3 classes"),
        (np.eye(4)[np.arange(40) % 4], "classes", "4 classes"),
        (None, "multi_label", "2 labels that may hold together"),
        (np.linspace(0, 1, 40), "numbers", "1 number to be predicted"),
        (np.arange(40) * 1000, "numbers", "1 number to be predicted"),
    ],
)
def test_what_labels_are_is_seen(drafted, arrays, labels, kind, said):
    if kind == "multi_label":
        labels = np.stack([np.arange(40) % 2, np.arange(40) % 4 == 0], axis=1)
    experiment, text = drafted(arrays(np.random.default_rng(1).normal(size=(40, 5)), labels))
    assert experiment.data.label_kind == kind
    assert said in text
    assert "40 training examples of 5 numbers" in text


def test_a_folder_of_tables_with_named_columns(drafted):
    experiment, text = drafted(DIGITS.parent / "iris")
    assert experiment.data.label == "species"
    assert experiment.data.test == DIGITS.parent / "iris" / "test.csv"
    assert "120 training examples of 4 numbers, 3 classes" in text


def test_tables_of_splits_have_several_spellings(drafted, tmp_path):
    for split, name in (("train", "Training_Set"), ("test", "testing")):
        (tmp_path / "iris").mkdir(exist_ok=True)
        shutil.copy(DIGITS.parent / "iris" / f"{split}.csv", tmp_path / "iris" / f"{name}.csv")
    experiment, _ = drafted(Path("iris"))
    assert experiment.data.test == tmp_path / "iris/testing.csv"
    shutil.copy(tmp_path / "iris/testing.csv", tmp_path / "iris/test.csv")
    with pytest.raises(DataError, match=r"iris: two files for test: test\.csv and testing\.csv; keep one of them"):
        recognize(Path("iris"))


ROWS = "\n".join(f"{n};{n % 7};{'abc'[n % 3]};{n / 7:.3f}" for n in range(40))


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        (ROWS, {"header": False, "delimiter": ";", "target": -1, "features": None, "columns": {}}),
        (
            "id;when;x;y\n" + "\n".join(f"{n};{n % 28 + 1}.03.2024;1.{n:03},5;{'ab'[n % 2]}" for n in range(40)),
            {"decimal": ",", "thousands": ".", "columns": {"id": "left_out", "when": "date"}, "label": "y"},
        ),
        ("a,b,c\nx,yes,no\nx,no,yes\nz,no,yes\nz,no,no\n", {"header": True, "label": "c"}),
        (  # what may be thousands in one column is decimals in another
            "a;b;y\n" + "\n".join(f"{n},5;-{n % 9},{n:03};{'ab'[n % 2]}" for n in range(40)),
            {"decimal": ",", "thousands": None, "columns": {}, "label": "y"},
        ),
        (
            "a;b;y\n" + "\n".join(f"{n % 9},{n:03};{n};{'ab'[n % 2]}" for n in range(1, 40)),
            {"decimal": ",", "thousands": None, "label": "y"},
        ),
        (f"n;rest;Label;part\n{ROWS}", {"delimiter": ";", "label": "Label", "features": None}),
        ("\n".join(f"{n} 0 {n % 2} {1 - n % 2}" for n in range(20)), {"delimiter": "whitespace", "one_hot": 2}),
        ("\n".join(f"{n}.5,{n % 3}" for n in range(20)), {"delimiter": "auto", "label": -1}),
    ],
)
def test_what_columns_are_is_seen(drafted, tmp_path, text, keys):
    (tmp_path / "rows.csv").write_text(text + "\n")
    experiment, _ = drafted(Path("rows.csv"))
    assert {key: getattr(experiment.data, key) for key in keys} == keys


def test_what_the_columns_are_is_said(drafted, tmp_path):
    (tmp_path / "rows.csv").write_text(ROWS)
    experiment, text = drafted(Path("rows.csv"))
    assert "40 training examples of 3 columns" in text
    assert "(0, 1: numbers; 2 (3 values): categories)" in text
    assert [layer.name for layer in experiment.preprocessing] == ["Normalization"]
    assert experiment.fit.scale_targets


@pytest.mark.parametrize(("label", "key"), [("rest", "label"), ("part", "target"), ("Label", "label")])
def test_the_column_to_predict_can_be_named(drafted, tmp_path, label, key):
    (tmp_path / "rows.csv").write_text(f"n;rest;Label;part\n{ROWS}\n")
    experiment, _ = drafted(Path("rows.csv"), label)
    assert getattr(experiment.data, key) == label
    assert experiment.fit.scale_targets is (key == "target")


def test_a_column_that_is_not_there_is_told(drafted, arrays, tmp_path):
    (tmp_path / "rows.csv").write_text(f"n;rest;Label;part\n{ROWS}\n")
    with pytest.raises(DataError, match=r"no column 'labl' for --label; there are n, rest, Label, part"):
        drafted(Path("rows.csv"), "labl")
    with pytest.raises(DataError, match=r"a\.npz: not recognized as a table, so it has no column 'y'"):
        drafted(arrays(np.zeros((3, 2)), np.array([0, 1, 2])), "y")


@pytest.mark.parametrize(("rows", "batch_size", "patience"), [(400, 16, 30), (3000, 32, 15), (20_000, 128, 8)])
def test_batch_size_and_patience_fit_the_number_of_rows(drafted, tmp_path, rows, batch_size, patience):
    (tmp_path / "rows.csv").write_text("x,y\n" + "".join(f"{n}.5,{n % 2}\n" for n in range(rows)))
    experiment, _ = drafted(Path("rows.csv"))
    assert experiment.fit.batch_size == batch_size
    assert experiment.callbacks[0].arguments["patience"] == patience


@pytest.mark.parametrize("names", [("Training", "testing", "Valid"), ("train_set", "test-set", "validation set")])
def test_tables_of_splits_are_found_in_any_spelling(drafted, tmp_path, names):
    (tmp_path / "rows").mkdir()
    for name in names:
        (tmp_path / "rows" / f"{name}.csv").write_text("x,y\n" + "".join(f"{n}.5,{n % 2}\n" for n in range(20)))
    experiment, _ = drafted(Path("rows"))
    data = experiment.data
    assert [path.stem for path in (data.train, data.test, data.validation)] == list(names)


def test_the_one_table_of_a_folder_trains_and_one_without_labels_is_for_predict(drafted, tmp_path):
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "sales.csv").write_text("x,z,y\n" + "".join(f"{n}.5,{n},{n % 2}\n" for n in range(20)))
    experiment, _ = drafted(Path("shop"))
    assert experiment.data.train == tmp_path / "shop" / "sales.csv"
    (tmp_path / "shop" / "sales.csv").rename(tmp_path / "shop" / "train.csv")
    (tmp_path / "shop" / "test.csv").write_text("x,z\n1.5,1\n2.5,2\n")
    (tmp_path / "shop.yaml").unlink()
    experiment, text = drafted(Path("shop"))
    assert experiment.data.test is None
    assert "test.csv has no column 'y': it is for predict" in text


@pytest.mark.parametrize(
    ("shape", "sequences"),
    [
        ((40, 128, 9), True),  # accelerometers, as of UCI HAR
        ((40, 20, 3), True),
        ((40, 8, 8), False),  # scikit-learn's load_digits
        ((40, 28, 20), False),
        ((40, 3, 20), False),
        ((40, 128, 9, 1), False),  # the axis of colours says that they are pictures
    ],
)
def test_arrays_too_narrow_for_pictures_are_sequences(drafted, arrays, shape, sequences):
    labels = np.arange(40) % 2
    experiment, text = drafted(arrays(np.random.default_rng(1).normal(size=shape), labels))
    assert (experiment.data.examples == "sequences") is sequences
    assert ("Conv1D" in text, "Conv2D" in text or "LeNet" in text) == (sequences, not sequences)
    assert len(experiment.data.open().splits["train"].inputs.example_shape) == (2 if sequences else 3)


def test_too_few_examples_to_keep_some_are_all_trained_on(drafted, arrays):
    experiment, _ = drafted(arrays(np.zeros((3, 2)), np.array([0, 1, 2])))
    assert experiment.fit.validation_split is None
    assert experiment.callbacks == ()


def test_an_odd_path_is_quoted(drafted, tmp_path):
    photos(tmp_path / "no: it's #1, {really}", [(20, 20)] * 4)
    experiment, _ = drafted(Path("no: it's #1, {really}"))
    assert experiment.data.path == tmp_path / "no: it's #1, {really}"


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("notes.md", "x", r"notes\.md: not recognized as data; expected .*class folders"),
        ("notes.txt", "x", r"notes\.txt: has a single row; expected a text file of rows"),
        ("notes.csv", "\n", r"notes\.csv: is empty; expected a text file of rows"),
        ("notes.csv", "a,b,a\n1,2,yes\n3,4,no\n", r"notes\.csv:1: the header has 'a' more than once; rename"),
        ("notes.csv", "a,b\n1,2,3\n", r"notes\.csv: row 2 has 3 values, the first one 2"),
        ("notes.csv", "a\n1\n", r"notes\.csv: a single column"),
        ("series.csv", ",y\n0,1\n1,2\n", r"series\.csv: labels and an index alone; expected features"),
        ("none", None, "none: does not exist"),
        ("a.npz", "x", r"a\.npz: is not an \.npz file"),
    ],
)
def test_what_is_no_data_is_told(drafted, tmp_path, name, content, said):
    if content:
        (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=said):
        drafted(Path(name))


def test_nothing_is_written_over(drafted, tmp_path):
    photos(tmp_path / "photos", [(20, 20)] * 4)
    drafted(Path("photos"))
    with pytest.raises(DataError, match=r"photos\.yaml: is there already"):
        drafted(Path("photos"))


def padded(random, vocabulary, place):
    """Sequences of 5 to 20 tokens from 1, filled up with 0."""
    tokens = np.zeros((60, 20), np.int32)
    for row, length in zip(tokens, random.integers(5, 21, 60), strict=True):
        row[slice(length) if place == "post" else slice(20 - length, 20)] = random.integers(1, vocabulary, length)
    return tokens


@pytest.mark.parametrize(
    ("made", "are_tokens"),
    [
        (lambda random: random.integers(0, 5000, (60, 20)), True),
        (lambda random: random.integers(0, 400, (60, 20)).astype(np.float32), True),
        (lambda random: padded(random, 30, "pre"), True),
        (lambda random: padded(random, 3000, "post"), True),
        (lambda random: random.integers(0, 256, (60, 64)), False),  # pixels
        (lambda random: random.poisson(0.3, (60, 64)), False),  # counts
        (lambda random: random.integers(0, 10 ** random.integers(1, 6, 20), (60, 20)), False),  # columns of a table
        (lambda random: random.integers(0, 5000, (60, 6)), False),
        (lambda random: random.integers(-50, 5000, (60, 20)), False),
        (lambda random: random.integers(0, 5000, (60, 20)) + 0.5, False),
        (lambda random: np.arange(20) < random.integers(1, 20, (60, 1)), False),  # steps that are reached
    ],
)
def test_tokens_are_embedded(drafted, tmp_path, made, are_tokens):
    x = made(np.random.default_rng(1))
    np.savez(tmp_path / "texts.npz", x_train=x[:50], y_train=np.arange(50) % 2, x_test=x[50:], y_test=np.arange(10) % 2)
    experiment, text = drafted(Path("texts.npz"))
    assert ("Embedding" in text, "Normalization" in text) == (are_tokens, not are_tokens)
    if are_tokens:
        assert f"which are tokens from 0 to {int(x.max()):,}" in text.splitlines()[1]
        assert f"Embedding: {{input_dim: {int(x.max()) + 1}, output_dim: 32}}" in text
        assert experiment.data.open().splits["train"].inputs.example_shape == (20,)


def test_a_folder_of_images_with_their_list_is_that_list(drafted, tmp_path):
    (tmp_path / "photos/all").mkdir(parents=True)
    rows = []
    for number in range(8):
        name = f"all/{number}.png"
        Image.new("RGB", (8, 8), (number, 0, 0)).save(tmp_path / "photos" / name)
        rows.append(f"{name},{'ab'[number % 2]},{'test' if number > 5 else 'train'}")
    (tmp_path / "photos/labels.csv").write_text("\n".join(["file,label,split", *rows]))
    experiment, _ = drafted(Path("photos"))
    assert (experiment.data.kind, experiment.data.split) == ("image_table", "split")
    (tmp_path / "photos/README.txt").write_text("Photos of 2 kinds, see labels.csv.")
    assert recognize(Path("photos")).paths == {"train": Path("photos/labels.csv")}
    (tmp_path / "photos/labels.csv").unlink()
    for split, those in (("Train", rows[:6]), ("val", rows[6:])):
        (tmp_path / f"photos/{split}.csv").write_text(
            "\n".join(["file,label", *(row.rpartition(",")[0] for row in those)])
        )
    found = recognize(Path("photos"))
    assert found.paths == {"train": Path("photos/Train.csv"), "validation": Path("photos/val.csv")}
    assert found.about.startswith("6 training examples of 8×8×3, 2 classes; the images are 8×8")


def test_lists_beside_folders_of_splits_are_those_of_a_competition(drafted, tmp_path):
    for number in range(8):
        for split in ("train", "test"):
            (tmp_path / f"cup/{split}").mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (8, 8), (number, 0, 0)).save(tmp_path / f"cup/{split}/{split}{number}.png")
    (tmp_path / "cup/train.csv").write_text("id,y\n" + "".join(f"train{n},{'ab'[n % 2]}\n" for n in range(8)))
    (tmp_path / "cup/test.csv").write_text("id\n" + "".join(f"test{n}\n" for n in range(8)))
    (tmp_path / "cup/sample_submission.csv").write_text("id,y\n" + "".join(f"test{n},a\n" for n in range(8)))
    experiment, text = drafted(Path("cup"))
    assert (experiment.data.kind, experiment.data.folder) == ("image_table", tmp_path / "cup/train")
    assert experiment.data.test is None
    assert "8 training examples of 8×8×3, 2 classes" in text


@pytest.mark.tensorflow
@pytest.mark.parametrize("masks", [False, True])
def test_a_draft_trains(tmp_path, arrays, monkeypatch, masks):
    import kerasrun

    monkeypatch.chdir(tmp_path)
    x = np.random.default_rng(1).integers(0, 256, (60, 56, 56, 3), np.uint8)
    target = draft_experiment(DIGITS.parent / "digit_masks" if masks else arrays(x, np.arange(60) % 3))
    run = kerasrun.train(target, overrides=["fit.epochs=1"], output=tmp_path / "runs")
    assert run.read_run()["status"] == "finished"


def test_an_image_that_pillow_cannot_even_open_is_left_to_training(drafted, tmp_path):
    for name in ("a/1", "a/2", "b/1", "b/2"):
        (tmp_path / "x" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (16, 16)).save(tmp_path / "x" / f"{name}.png")
    sound = (tmp_path / "x/a/1.png").read_bytes()
    # An animation's chunk, which Pillow expects to be 8 bytes long.
    broken = sound[:33] + struct.pack(">I", 1) + b"acTL\0" + struct.pack(">I", zlib.crc32(b"acTL\0")) + sound[33:]
    (tmp_path / "x/a/1.png").write_bytes(broken)
    experiment, _ = drafted(tmp_path / "x")
    assert experiment.data.image_size == (16, 16)


@pytest.mark.parametrize(
    ("content", "words"),
    [("a,y\nx,0\nz,1\n", "no column is left for the features"), ("a,y\n1,0\n2," + "1" * 200_000, "field larger")],
)
def test_a_table_that_gives_no_features_is_told_with_its_path(drafted, tmp_path, content, words):
    (tmp_path / "a.csv").write_text(content)
    with pytest.raises(DataError, match=rf"a\.csv: {words}"):
        drafted(tmp_path / "a.csv")


def test_words_of_booleans_at_the_end_of_rows_are_columns_of_zeros_and_ones(tmp_path):
    """`float("True")` ended in a traceback."""
    (tmp_path / "a.csv").write_text("1.5,True,False\n2.5,False,True\n3.5,False,True\n")
    found = recognize(tmp_path / "a.csv")
    assert (found.keys["header"], found.keys["one_hot"]) == (False, 2)


def test_a_name_of_a_column_that_no_line_can_hold_is_written_otherwise(tmp_path):
    Image.new("RGB", (8, 6)).save(tmp_path / "a.png")
    Image.new("RGB", (8, 6), (9, 9, 9)).save(tmp_path / "b.png")
    (tmp_path / "a.csv").write_text("file,\0,class\na.png,1,2\nb.png,2,1\n")
    text = draft_experiment(tmp_path / "a.csv", tmp_path / "a.yaml").read_text()
    assert "\0" not in text
    assert parse(text, tmp_path / "a.yaml").experiment.data.kind == "image_table"


@pytest.mark.parametrize("end", ["\n", "\r", "\x85", "\u2028"])
def test_a_name_of_data_with_ends_of_lines_adds_no_keys(tmp_path, monkeypatch, end):
    monkeypatch.chdir(tmp_path)
    Path(f"a{end}time_limit: 1s{end}.csv").write_text("x,y\n" + 20 * "1,2\n3,4\n")
    Path("link.csv").symlink_to(f"a{end}time_limit: 1s{end}.csv")
    assert load(draft_experiment(Path("link.csv"))).experiment.time_limit is None
