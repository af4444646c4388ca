import io
import zipfile

import numpy as np
import pytest

from kerasrun.errors import DataError
from kerasrun.reading import arrays
from kerasrun.reading.data import ImageFormat
from kerasrun.sources.npz import Npz
from tests.sources.pixels import changed, pixels

READ_AS_A_WHOLE = True


def sample(folder):
    images = np.stack([pixels(number) for number in range(6)])
    labels = np.arange(6) % 2
    np.savez(folder / "a.npz", x_train=images[:4], y_train=labels[:4], x_test=images[4:], y_test=labels[4:])
    return {"path": folder / "a.npz"}


def change(folder):
    with np.load(folder / "a.npz") as file:
        arrays = dict(file)
    np.savez(folder / "a.npz", **arrays | {"x_train": changed(arrays["x_train"])})


X = np.random.default_rng(0).integers(0, 256, (6, 5, 4), dtype=np.uint8)
Y = np.array([0, 1, 2, 0, 1, 2])


@pytest.fixture
def opened(tmp_path):
    """Save arrays and open them; `fields` are those of the experiment file."""

    def open_arrays(fields=None, **arrays):
        np.savez(tmp_path / "a.npz", **arrays)
        return Npz(path=tmp_path / "a.npz", **fields or {}).open()

    return open_arrays


@pytest.fixture
def fails(opened, tmp_path):
    def check(*words, fields=None, **arrays):
        with pytest.raises(DataError) as error:
            opened(fields, **arrays)
        for word in (str(tmp_path / "a.npz"), *words):
            assert word in str(error.value)

    return check


def test_images_get_a_channel_and_stay_8_bit(opened):
    data = opened(x_train=X, y_train=Y)
    inputs = data.splits["train"].inputs
    np.testing.assert_array_equal(inputs.array, X[..., None])
    assert inputs.dtype == np.uint8
    assert data.classes == ("0", "1", "2")
    assert data.image_format == ImageFormat(5, 4, "grayscale")


@pytest.mark.parametrize(("channels", "color_mode"), [(1, "grayscale"), (3, "rgb"), (4, "rgba")])
def test_the_colour_mode_follows_from_the_channels(opened, channels, color_mode):
    data = opened(x_train=np.repeat(X[..., None], channels, axis=3), y_train=Y)
    assert data.image_format == ImageFormat(5, 4, color_mode)


@pytest.mark.parametrize(
    "array", [X / 255, X.astype(np.int32) - 3, X.astype(">f8") * 3, X > 100, X.astype(np.float16) / 2]
)
def test_what_are_not_pixels_becomes_float32(opened, array):
    data = opened(x_train=array, y_train=Y)
    assert data.splits["train"].inputs.dtype == np.float32
    np.testing.assert_array_equal(data.splits["train"].inputs.array[..., 0], array.astype(np.float32))
    assert data.image_format is None


def test_rows_of_features_are_no_images(opened):
    data = opened(x_train=X.reshape(6, 20), y_train=Y)
    assert data.splits["train"].inputs.example_shape == (20,)
    assert data.image_format is None


@pytest.mark.parametrize(
    "labels",
    [Y.astype(np.uint8), Y.astype(np.int8), Y.astype(np.uint64), Y[:, None], Y.astype(float), np.eye(3)[Y]],
    ids=["uint8", "int8", "uint64", "column", "float", "one-hot"],
)
def test_labels_have_many_forms(opened, labels):
    split = opened(x_train=X, y_train=labels).splits["train"]
    assert split.labels.dtype == np.int64
    assert split.labels.tolist() == Y.tolist()


def test_boolean_labels_are_two_classes(opened):
    data = opened(x_train=X, y_train=Y > 0)
    assert data.splits["train"].labels.tolist() == [0, 1, 1, 0, 1, 1]
    assert data.classes == ("0", "1")


def test_one_hot_labels_tell_how_many_classes_there_are(opened):
    assert opened(x_train=X, y_train=np.eye(5, dtype=int)[Y]).classes == ("0", "1", "2", "3", "4")


@pytest.mark.parametrize("spelling", ["validation", "valid", "val"])
def test_other_splits_are_found(opened, spelling):
    data = opened(x_train=X, y_train=Y, x_test=X[:2], y_test=Y[:2], **{f"x_{spelling}": X[:3], f"y_{spelling}": Y[:3]})
    assert {name: len(split) for name, split in data.splits.items()} == {"train": 6, "validation": 3, "test": 2}


def test_the_arrays_names_can_be_set(opened):
    data = opened({"x_train": "a", "y_train": "b", "x_test": "c", "y_test": "d"}, a=X, b=Y, c=X[:2], d=Y[:2])
    assert [len(split) for split in data.splits.values()] == [6, 2]


def test_the_fingerprint_does_not_depend_on_compression(opened, tmp_path):
    before = opened(x_train=X, y_train=Y).fingerprint
    np.savez_compressed(tmp_path / "b.npz", x_train=X, y_train=Y)
    assert Npz(path=tmp_path / "b.npz").open().fingerprint == before


def test_images_are_resized(opened):
    data = opened({"image_size": [3, 3]}, x_train=X, y_train=Y)
    assert data.splits["train"].inputs.example_shape == (3, 3, 1)
    assert data.image_format == ImageFormat(3, 3, "grayscale")


def test_images_that_would_fill_the_memory_are_resized_as_they_are_asked_for(opened, monkeypatch):
    in_memory = opened({"image_size": [9, 9]}, x_train=X, y_train=Y).splits["train"].inputs
    monkeypatch.setattr(arrays, "memory_budget", lambda: 0)
    on_demand = opened({"image_size": [9, 9]}, x_train=X, y_train=Y).splits["train"].inputs
    assert not hasattr(on_demand, "array")
    assert on_demand.example_shape == in_memory.example_shape
    np.testing.assert_array_equal(on_demand.take(np.array([4, 1])), in_memory.take(np.array([4, 1])))


def test_classes_name_the_numbers(opened):
    assert opened({"classes": ["a", "b", "c", "d"]}, x_train=X, y_train=Y).classes == ("a", "b", "c", "d")


def test_a_missing_array_is_an_error_that_lists_those_there_are(fails):
    fails("no array 'x_train'", "it has images, labels", "`x_train`", images=X, labels=Y)
    fails("no array 'y_train'", x_train=X)
    fails("no array 'x_train'", "no arrays")
    fails("no array 'x_tset'", fields={"x_test": "x_tset"}, x_train=X, y_train=Y, x_test=X, y_test=Y)


def test_examples_without_labels_are_an_error(fails):
    fails("has x_test, but no y_test", x_train=X, y_train=Y, x_test=X)
    fails("has y_val, but no x_validation", x_train=X, y_train=Y, y_val=Y)


def test_two_spellings_of_one_array_are_an_error(fails):
    fails("x_valid and x_val both name validation data", x_train=X, y_train=Y, x_val=X, x_valid=X, y_val=Y)


def test_different_lengths_are_an_error(fails):
    fails("x_train has 6 examples", "y_train has 5 labels", x_train=X, y_train=Y[:5])


def test_object_arrays_are_never_unpickled(fails):
    ragged = np.array([np.zeros(2), np.zeros(3)], dtype=object)
    fails("x_train holds Python objects", "array of numbers", x_train=ragged, y_train=Y)


@pytest.mark.parametrize("array", [X.astype(complex), np.full((6, 5), "text"), X.astype("datetime64[s]")])
def test_examples_must_be_numbers(fails, array):
    fails("x_train: holds", "expected numbers", x_train=array, y_train=Y)


@pytest.mark.parametrize("shape", [(6,), (6, 1, 5, 4, 1), (6, 0, 4)])
def test_examples_must_be_images_or_rows(fails, shape):
    fails(f"x_train: has shape {shape}", "(examples, height, width, channels)", x_train=np.zeros(shape), y_train=Y)


def test_no_examples_are_an_error(fails):
    fails("x_test: holds no examples", x_train=X, y_train=Y, x_test=X[:0], y_test=Y[:0])


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_values_that_are_not_finite_are_an_error(fails, value):
    array = X.astype(float)
    array[4, 2, 2] = value
    fails("x_train: 1 of 6 examples hold NaN or infinity", "index 4", x_train=array, y_train=Y)


@pytest.mark.parametrize("weights", [[1, 2, 0, 1, 1, 0.5], [[1], [2], [0], [1], [1], [0.5]]])
def test_training_examples_may_have_weights(opened, weights):
    data = opened({"sample_weight": "w"}, x_train=X, y_train=Y, x_test=X, y_test=Y, w=np.array(weights))
    assert data.splits["train"].sample_weight.tolist() == [1, 2, 0, 1, 1, 0.5]
    assert data.splits["train"].sample_weight.dtype == np.float32
    assert data.splits["test"].sample_weight is None
    assert data.fingerprint != opened(x_train=X, y_train=Y, x_test=X, y_test=Y).fingerprint


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ([1, 1, -1, 1, 1, 1], "w: the weight at index 2 is -1; expected a finite number of at least 0"),
        ([1, 1, 1, 1, 1, np.inf], "w: the weight at index 5 is inf"),
        ([0, 0, 0, 0, 0, 0], "all others are 0"),
        ([1, 1], "w: int64 of shape (2,); expected a number for each of the 6 training examples"),
        (["a"] * 6, "w: <U1 of shape (6,)"),
    ],
)
def test_weights_that_cannot_be_are_an_error(fails, weights, words):
    fails(words, fields={"sample_weight": "w"}, x_train=X, y_train=Y, w=np.array(weights))


def test_a_missing_array_of_weights_is_an_error(fails):
    fails("no array 'w'", "`sample_weight`", fields={"sample_weight": "w"}, x_train=X, y_train=Y)


@pytest.mark.parametrize("label", [-1, 0.5, np.nan, 2**40])
def test_labels_must_be_whole_numbers_from_0(fails, label):
    labels = Y.astype(float)
    labels[3] = label
    fails("y_train: the label at index 3 is", "whole numbers from 0", x_train=X, y_train=labels)


def test_labels_out_of_range_are_an_error(fails):
    fails("y_test: the label at index 1 is 7", "0 to 2", x_train=X, y_train=Y, x_test=X[:2], y_test=np.array([0, 7]))
    fails("y_train: the label at index 2 is 2", "2 classes", fields={"classes": ["a", "b"]}, x_train=X, y_train=Y)


def test_labels_that_are_no_class_numbers_are_an_error(fails):
    fails("largest label is 5000 among 6 examples", x_train=X, y_train=Y * 2500)
    fails("y_train: every label is 0", x_train=X, y_train=Y * 0)
    fails("y_train: holds complex128", x_train=X, y_train=Y.astype(complex))
    fails("y_train: has shape (6, 2, 2)", x_train=X, y_train=np.zeros((6, 2, 2)))


def test_rows_that_are_not_one_hot_are_an_error(fails):
    labels = np.eye(3)[Y]
    labels[2] = [0.5, 0.5, 0]
    fails("y_train", "row at index 2 is not one-hot", x_train=X, y_train=labels)
    fails("one-hot labels of 3 classes; expected 2", fields={"classes": ["a", "b"]}, x_train=X, y_train=np.eye(3)[Y])


def test_splits_must_have_one_shape(fails):
    fails("x_test", "(2, 4, 4) does not go with", x_train=X, y_train=Y, x_test=X[:2, :4], y_test=Y[:2])
    fails("float64", "does not go with", x_train=X, y_train=Y, x_test=X[:2] / 2, y_test=Y[:2])


def test_splits_may_differ_in_size_where_images_are_resized(opened):
    data = opened({"image_size": [3, 3]}, x_train=X, y_train=Y, x_test=X[:2, :4], y_test=Y[:2])
    assert data.splits["test"].inputs.example_shape == (3, 3, 1)


def test_rows_of_features_have_no_image_size(fails):
    fails("x_train", "`image_size` needs images", fields={"image_size": [3, 3]}, x_train=X.reshape(6, 20), y_train=Y)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda content: b"", "is empty"),
        (lambda content: content[: len(content) // 2], "is damaged or truncated"),
        (lambda content: b"hello" + content, "is not an .npz file; it begins with b'hello"),
        (lambda content: content.replace(X.tobytes(), bytes(len(X.tobytes()))), "x_train is damaged or truncated"),
    ],
)
def test_a_damaged_file_is_told_with_its_path(tmp_path, damage, words):
    path = tmp_path / "a.npz"
    np.savez(path, x_train=X, y_train=Y)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError) as error:
        Npz(path=path).open()
    assert f"{path}: {words}" in str(error.value)


def test_a_single_array_is_no_archive(tmp_path):
    np.save(tmp_path / "a.npy", X)
    with pytest.raises(DataError, match=r"a\.npy: is a single array"):
        Npz(path=tmp_path / "a.npy").open()


def test_a_missing_file_is_told_with_the_nearest_name(tmp_path):
    np.savez(tmp_path / "digits.npz", x_train=X, y_train=Y)
    with pytest.raises(DataError, match=r"digit\.npz: does not exist; .*did you mean .*digits\.npz"):
        Npz(path=tmp_path / "digit.npz").open()
    with pytest.raises(DataError, match="cannot be read: Is a directory"):
        Npz(path=tmp_path).open()


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda header: header.replace(b"}", b" "), "x_train is damaged or truncated"),
        (lambda header: header.replace(b"(6,", b"(10**9,"), "x_train is damaged or truncated"),
        (lambda header: b"\x93NUMPY\1\0" + b"\4\0[[[[", "x_train is damaged or truncated"),
        (
            lambda header: np_header((10**7, 10**7)),
            "x_train is damaged or truncated: its header promises 100,000,000,000,000 bytes",
        ),
    ],
)
def test_a_damaged_header_in_a_sound_archive_is_told_with_its_array(tmp_path, damage, words):
    np.savez(tmp_path / "a.npz", x_train=X, y_train=Y)
    with zipfile.ZipFile(tmp_path / "a.npz") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, damage(content) if name.startswith("x") else content)
    with pytest.raises(DataError, match=f"a.npz: {words}"):
        Npz(path=tmp_path / "a.npz").open()


def np_header(shape):
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return file.getvalue()


def test_a_pickle_that_begins_like_an_archive_is_told(tmp_path):
    (tmp_path / "a.npz").write_bytes(b"PK\0\0" + bytes(60))
    with pytest.raises(DataError, match=r"a\.npz: is damaged or truncated"):
        Npz(path=tmp_path / "a.npz").open()


def test_a_compressed_stream_that_breaks_is_told(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in (("x_train.npy", X), ("y_train.npy", Y)):
            file = io.BytesIO()
            np.save(file, array)
            archive.writestr(name, file.getvalue())
    content = bytearray((tmp_path / "a.npz").read_bytes())
    content[60:90] = bytes(30)
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.npz: x_train is damaged or truncated"):
        Npz(path=tmp_path / "a.npz").open()


@pytest.mark.parametrize(
    "labels", [np.full(6, b"\xff\xfe"), np.full(6, 0x110000, "<u4").view("<U1"), np.full(6, "\ud800")]
)
def test_labels_that_are_no_text_are_told(tmp_path, labels):
    np.savez(tmp_path / "a.npz", x_train=np.ones((6, 4), np.float32), y_train=labels)
    with pytest.raises(DataError, match="y_train: holds names that are not text of Unicode"):
        Npz(path=tmp_path / "a.npz", labels="classes").open()
