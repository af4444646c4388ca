"""Images and labels that were saved in another dtype mean what they say."""

import h5py
import numpy as np
import pytest

from kerasrun.errors import DataError
from kerasrun.reading.inputs import _say_rounded
from kerasrun.sources.hdf5 import Hdf5
from kerasrun.sources.npz import Npz

BYTES = np.random.default_rng(0).integers(0, 256, (6, 4, 5, 3), np.uint8)
LABELS = np.array([0, 1, 2, 0, 1, 2])


def opened(folder, x=BYTES, y=LABELS, **fields):
    np.savez(folder / "a.npz", x_train=x, y_train=y)
    return Npz(path=folder / "a.npz", **fields).open()


def inputs(data):
    return data.splits["train"].inputs.take(np.arange(6))


@pytest.mark.parametrize("dtype", ["int16", "int32", "int64", "uint16", "uint32", "float16", "float32", "float64"])
def test_pixels_of_0_to_255_are_bytes_in_whatever_dtype(dtype, tmp_path):
    data = opened(tmp_path, BYTES.astype(dtype))
    assert inputs(data).dtype == np.uint8
    np.testing.assert_array_equal(inputs(data), BYTES)
    assert data.image_format is not None


@pytest.mark.parametrize(("train", "test"), [("int64", "uint8"), ("uint8", "float32"), ("int64", "int64")])
def test_splits_of_different_dtypes_are_the_same_bytes(train, test, tmp_path):
    dark = BYTES % 2  # a split without a bright pixel is no split of another kind
    np.savez(
        tmp_path / "a.npz",
        x_train=BYTES.astype(train),
        y_train=LABELS,
        x_test=dark.astype(test),
        y_test=LABELS,
    )
    data = Npz(path=tmp_path / "a.npz").open()
    for name, expected in (("train", BYTES), ("test", dark)):
        found = data.splits[name].inputs.take(np.arange(len(LABELS)))
        assert found.dtype == np.uint8
        np.testing.assert_array_equal(found.reshape(expected.shape), expected)


def test_16_bits_keep_their_high_byte_as_image_files_do(tmp_path):
    np.testing.assert_array_equal(inputs(opened(tmp_path, BYTES.astype(np.uint16) * 257)), BYTES)


@pytest.mark.parametrize(
    "array", [BYTES / 255, BYTES.astype(float) - 127, BYTES * 2.0, (BYTES > 127).astype(float), BYTES + 0.5]
)
def test_other_numbers_stay_numbers(array, tmp_path):
    np.testing.assert_array_equal(inputs(opened(tmp_path, array)), array.astype(np.float32))


def test_rows_are_not_pixels(tmp_path):
    rows = BYTES[:, 0, 0].astype(float)
    assert inputs(opened(tmp_path, rows)).dtype == np.float32


def test_an_array_in_a_file_is_read_as_bytes_too(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x_train"], file["y_train"] = BYTES.astype(np.int64), LABELS
    np.testing.assert_array_equal(inputs(Hdf5(path=tmp_path / "a.h5").open()), BYTES)


@pytest.mark.parametrize("names", [np.array(["cat", "dog", "ant"]), np.array([b"cat", b"dog", b"ant"])])
def test_labels_may_be_names(names, tmp_path):
    data = opened(tmp_path, y=names[LABELS])
    assert data.classes == ("ant", "cat", "dog")
    assert data.splits["train"].labels.tolist() == [1, 2, 0, 1, 2, 0]
    assert opened(tmp_path, y=names[LABELS], classes=("dog", "cat", "ant")).splits["train"].labels[0] == 1


def test_names_that_are_numbers_are_equal_by_value_and_sorted_so(tmp_path):
    data = opened(tmp_path, y=np.array(["10", "2.0", "2", "10", "2", "1e1"]))
    assert data.classes == ("2", "10")
    assert data.splits["train"].labels.tolist() == [1, 0, 0, 1, 0, 1]


@pytest.mark.parametrize("missing", ["", "nan", "NA"])
def test_a_name_that_means_a_missing_value_is_no_class(missing, tmp_path):
    with pytest.raises(DataError, match=f"the label at index 1, '{missing}', means a missing value"):
        opened(tmp_path, y=np.array(["cat", missing, "dog"])[LABELS])


def test_a_name_that_is_not_a_class_is_said_with_its_index(tmp_path):
    with pytest.raises(DataError, match="the label at index 0 is 'cat'; expected dog, ant"):
        opened(tmp_path, y=np.array(["cat", "dog", "ant"])[LABELS], classes=("dog", "ant"))


def test_labels_from_1_are_not_given_a_class_without_examples(tmp_path):
    with pytest.raises(DataError, match="the labels are 1 to 3, so class 0 would have no example; subtract 1"):
        opened(tmp_path, y=LABELS + 1)


def test_a_virtual_data_set_needs_its_sources(tmp_path):
    with h5py.File(tmp_path / "source.h5", "w") as file:
        file["x"] = BYTES
    layout = h5py.VirtualLayout(BYTES.shape, np.uint8)
    layout[:] = h5py.VirtualSource("source.h5", "x", BYTES.shape)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_virtual_dataset("x_train", layout)
        file["y_train"] = LABELS
    np.testing.assert_array_equal(inputs(Hdf5(path=tmp_path / "a.h5").open()), BYTES)
    (tmp_path / "source.h5").unlink()
    with pytest.raises(DataError, match=r"x_train: its values are in another file, source\.h5, which is not there"):
        Hdf5(path=tmp_path / "a.h5").open()


def test_a_virtual_data_set_needs_the_arrays_of_its_sources(tmp_path):
    with h5py.File(tmp_path / "source.h5", "w") as file:
        file["another"] = BYTES
    layout = h5py.VirtualLayout(BYTES.shape, np.uint8)
    layout[:] = h5py.VirtualSource("source.h5", "x", BYTES.shape)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_virtual_dataset("x_train", layout)
        file["y_train"] = LABELS
    with pytest.raises(DataError, match=r"x_train: its values are in x of another file, source\.h5, which has none"):
        Hdf5(path=tmp_path / "a.h5").open()


@pytest.mark.parametrize(
    ("array", "fields"),
    [
        (np.full((6, 3), 2**24 + 1), {}),
        (np.full((6, 3), 1_700_000_000_000_000_001), {}),  # nanoseconds since 1970
        (np.full((6, 3), 2.0**24 + 1), {}),
        (np.full((6, 4, 4), 2**31 + 1, np.uint32), {}),
        (np.ones((6, 3)), {"y": np.full(6, 1_700_000_001), "labels": "numbers"}),
    ],
)
def test_whole_numbers_that_float32_rounds_are_said(array, fields, tmp_path, caplog):
    _say_rounded.cache_clear()
    opened(tmp_path, array, **fields)
    (line,) = [line for line in caplog.messages if "as float32, so examples that differ may become equal" in line]
    assert "a.npz: x_train: " in line or "a.npz: y_train: 1700000001 becomes 1700000000" in line


def test_a_class_number_that_no_example_has_is_said(tmp_path, caplog):
    opened(tmp_path, y=np.array([0, 1, 3, 0, 1, 3]))
    assert any("y_train: the labels are 0 to 3, but no training example is of class 2" in m for m in caplog.messages)


def test_init_takes_labels_that_are_names(tmp_path):
    np.savez(tmp_path / "a.npz", x_train=BYTES, y_train=np.array(["cat", "dog", "ant"])[LABELS])
    found = Npz.recognize(tmp_path / "a.npz")
    assert (found.classes, found.label_kind, found.keys) == (3, "classes", {})


def test_numbers_beyond_float32_are_told_without_a_warning(tmp_path):
    with pytest.raises(DataError, match=r"y_train: the row at index 1 is \[1e\+300\]; expected finite numbers"):
        opened(tmp_path, y=np.array([0, 1e300, 2, 3, 4, 5]), labels="numbers")


def test_class_numbers_of_16_bits_are_read_without_a_warning(tmp_path):
    data = opened(tmp_path, y=LABELS.astype(np.float16))
    assert data.splits["train"].labels.tolist() == LABELS.tolist()
