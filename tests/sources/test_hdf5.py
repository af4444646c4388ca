from concurrent.futures import ThreadPoolExecutor

import h5py
import numpy as np
import pytest

from kerasrun.errors import DataError
from kerasrun.reading import arrays, memory, stored
from kerasrun.sources.hdf5 import Hdf5
from kerasrun.sources.npz import Npz
from tests.sources.pixels import changed, pixels


def sample(folder):
    images = np.stack([pixels(number) for number in range(6)])
    labels = np.arange(6) % 2
    with h5py.File(folder / "a.h5", "w", libver="latest") as file:
        file.create_dataset("x_train", data=images[:4], chunks=(2, 6, 8), compression="gzip")
        file.update({"y_train": labels[:4], "x_test": images[4:], "y_test": labels[4:]})
    return {"path": folder / "a.h5"}


def change(folder):
    with h5py.File(folder / "a.h5", "r+") as file:
        file["x_train"][...] = changed(file["x_train"][...])


X = np.random.default_rng(0).integers(0, 256, (6, 5, 4), dtype=np.uint8)
Y = np.array([0, 1, 2, 0, 1, 2])


@pytest.fixture
def opened(tmp_path):
    """Save arrays and open them; `fields` are those of the experiment file."""

    def open_arrays(fields=None, **arrays):
        with h5py.File(tmp_path / "a.h5", "w") as file:
            for name, array in arrays.items():
                file[name] = array
        return Hdf5(path=tmp_path / "a.h5", **fields or {}).open()

    return open_arrays


@pytest.fixture
def fails(opened, tmp_path):
    def check(expected, fields=None, **arrays):
        with pytest.raises(DataError) as error:
            opened(fields, **arrays)
        assert f"{tmp_path / 'a.h5'}: {expected}" in str(error.value)

    return check


@pytest.fixture
def on_demand(monkeypatch):
    monkeypatch.setattr(stored, "_BLOCK", 70)
    monkeypatch.setattr(arrays, "memory_budget", lambda: 0)


@pytest.mark.parametrize("array", [X, X.reshape(6, 20), X / 7, X.astype(">f4"), X > 100])
@pytest.mark.parametrize("chunks", [None, 4])
def test_what_does_not_fit_into_memory_is_read_as_it_is_asked_for(tmp_path, request, array, chunks):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        options = {"chunks": (chunks, *array.shape[1:]), "compression": "gzip"} if chunks else {}
        file.create_dataset("x_train", data=array, **options)
        file["y_train"] = Y
    in_memory = Hdf5(path=tmp_path / "a.h5").open()
    request.getfixturevalue("on_demand")
    stored = Hdf5(path=tmp_path / "a.h5").open()
    kept, read = in_memory.splits["train"].inputs, stored.splits["train"].inputs
    assert hasattr(kept, "array")
    assert not hasattr(read, "array")
    assert (read.dtype, read.example_shape, len(read)) == (kept.dtype, kept.example_shape, len(kept))
    for indices in ([0, 1, 2, 3, 4, 5], [4, 1, 4, 0], [3], []):
        indices = np.array(indices, np.int64)
        np.testing.assert_array_equal(read.take(indices), kept.take(indices))
    assert stored.fingerprint == in_memory.fingerprint


def test_the_fingerprint_is_that_of_the_same_arrays_in_npz(opened, tmp_path):
    np.savez(tmp_path / "a.npz", x_train=X, y_train=Y)
    assert opened(x_train=X, y_train=Y).fingerprint == Npz(path=tmp_path / "a.npz").open().fingerprint


def test_threads_read_at_the_same_time(opened, on_demand):
    inputs = opened(x_train=X, y_train=Y).splits["train"].inputs
    with ThreadPoolExecutor(4) as pool:
        for place, example in enumerate(pool.map(lambda place: inputs.take(np.array([place % 6])), range(200))):
            np.testing.assert_array_equal(example[0, ..., 0], X[place % 6])


def test_arrays_are_named_by_their_path(opened):
    names = {"x_train": "set/images", "y_train": "set/classes", "sample_weight": "w"}
    data = opened(names, **{"set/images": X, "set/classes": Y, "w": Y + 1})
    np.testing.assert_array_equal(data.splits["train"].sample_weight, Y + 1)
    assert data.splits["train"].labels.tolist() == Y.tolist()


def test_other_splits_are_found(opened):
    data = opened(x_train=X, y_train=Y, x_val=X[:3], y_val=Y[:3], x_test=X[:2], y_test=Y[:2])
    assert {name: len(split) for name, split in data.splits.items()} == {"train": 6, "validation": 3, "test": 2}


def test_arrays_that_cannot_be_are_told_with_their_name(fails):
    fails("no array 'x_train'; it has images, y_train", images=X, y_train=Y)
    fails("x_train has 6 examples, but", x_train=X, y_train=Y[:5])
    fails("x_train: holds object; expected numbers", x_train=["a", "b"], y_train=[0, 1])
    fails("y_train: holds complex128; expected class numbers", x_train=X, y_train=Y.astype(complex))
    fails("x_train: is empty", x_train=h5py.Empty("f4"), y_train=Y)
    fails("y_train has no labels", x_train=X, y_train=3)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda content: b"", "file signature not found"),
        (lambda content: b"hello" + content, "file signature not found"),
        (lambda content: content[: len(content) // 2], "truncated file"),
    ],
)
def test_a_damaged_file_is_told_with_its_path(opened, tmp_path, damage, words):
    opened(x_train=X, y_train=Y)
    path = tmp_path / "a.h5"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError) as error:
        Hdf5(path=path).open()
    assert f"{path}: is not an HDF5 file, or is damaged or truncated" in str(error.value)
    assert words in str(error.value)


def test_a_damaged_chunk_is_told_with_the_name_of_its_array(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("x_train", data=X, chunks=(1, 5, 4), compression="gzip", fletcher32=True)
        file["y_train"] = Y
        chunk = file["x_train"].id.get_chunk_info(3)
    with path.open("r+b") as file:
        file.seek(chunk.byte_offset)
        file.write(bytes(chunk.size))
    with pytest.raises(DataError, match=r"a\.h5: x_train: cannot be read"):
        Hdf5(path=path).open()


def test_a_missing_file_is_told_with_the_nearest_name(opened, tmp_path):
    opened(x_train=X, y_train=Y)
    (tmp_path / "a.h5").rename(tmp_path / "digits.h5")
    with pytest.raises(DataError, match=r"digit\.h5: does not exist; .*did you mean .*digits\.h5"):
        Hdf5(path=tmp_path / "digit.h5").open()


def test_labels_that_no_memory_holds_are_told_with_their_name(tmp_path, monkeypatch):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x_train"] = np.zeros((6, 4), np.uint8)
        file["y_train"] = np.zeros((6, 100))
    monkeypatch.setattr(memory, "available_memory", lambda: 4000)
    with pytest.raises(DataError, match=r"a\.h5: y_train: has 4,800 bytes, .* 4,000 bytes of memory are free"):
        Hdf5(path=tmp_path / "a.h5").open()
