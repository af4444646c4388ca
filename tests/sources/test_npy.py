import numpy as np
import pytest
from pydantic import ValidationError

from kerasrun.errors import DataError
from kerasrun.reading import arrays, stored
from kerasrun.sources.npy import Npy, mapped
from kerasrun.sources.npz import Npz
from tests.sources.pixels import changed, pixels


def sample(folder):
    files = {f"{axis}_{split}": folder / f"{axis}_{split}.npy" for split in ("train", "test") for axis in "xy"}
    for split, numbers in (("train", range(4)), ("test", range(4, 6))):
        np.save(files[f"x_{split}"], np.stack([pixels(number) for number in numbers]))
        np.save(files[f"y_{split}"], np.array(numbers) % 2)
    return files


def change(folder):
    path = folder / "x_train.npy"
    np.save(path, changed(np.load(path)))


X = np.random.default_rng(0).integers(0, 256, (6, 5, 4), dtype=np.uint8)
Y = np.array([0, 1, 2, 0, 1, 2])


@pytest.fixture
def opened(tmp_path):
    """Save arrays as `<name>.npy` and open them; `fields` are those of the experiment file."""

    def open_arrays(fields=None, **arrays):
        for name, array in arrays.items():
            np.save(tmp_path / f"{name}.npy", array, allow_pickle=True)
        return Npy(**{name: tmp_path / f"{name}.npy" for name in arrays}, **fields or {}).open()

    return open_arrays


@pytest.fixture
def fails(opened):
    def check(expected, fields=None, **arrays):
        with pytest.raises(DataError) as error:
            opened(fields, **arrays)
        assert expected in str(error.value)

    return check


def everything(inputs):
    return inputs.take(np.arange(len(inputs)))


@pytest.mark.parametrize("array", [X, X[..., None], X.reshape(6, 20), X / 7, X.astype(">f4"), np.asfortranarray(X / 7)])
@pytest.mark.parametrize("fields", [{}, {"image_size": [3, 7]}])
def test_what_does_not_fit_into_memory_is_read_as_it_is_asked_for(opened, monkeypatch, array, fields):
    if fields and array.ndim == 2:
        return
    monkeypatch.setattr(stored, "_BLOCK", 70)
    in_memory = opened(fields, x_train=array, y_train=Y)
    monkeypatch.setattr(arrays, "memory_budget", lambda: 0)
    on_demand = opened(fields, x_train=array, y_train=Y)
    kept, read = in_memory.splits["train"].inputs, on_demand.splits["train"].inputs
    assert hasattr(kept, "array")
    assert not hasattr(read, "array")
    assert (read.dtype, read.example_shape, len(read)) == (kept.dtype, kept.example_shape, len(kept))
    for indices in ([0, 1, 2, 3, 4, 5], [4, 1, 4], []):
        indices = np.array(indices, np.int64)
        np.testing.assert_array_equal(read.take(indices), kept.take(indices))
    assert on_demand.fingerprint == in_memory.fingerprint
    assert on_demand.image_format == in_memory.image_format


def test_the_fingerprint_is_that_of_the_same_arrays_in_one_file(opened, tmp_path):
    np.savez(tmp_path / "a.npz", x_train=X, y_train=Y, x_test=X[:2], y_test=Y[:2])
    opened_here = opened(x_train=X, y_train=Y, x_test=X[:2], y_test=Y[:2])
    assert opened_here.fingerprint == Npz(path=tmp_path / "a.npz").open().fingerprint


def test_other_labels_and_weights_are_read(opened):
    data = opened({"labels": "numbers"}, x_train=X, y_train=Y / 2, sample_weight=Y + 1)
    assert data.label_kind == "numbers"
    np.testing.assert_array_equal(data.splits["train"].labels[:, 0], Y / 2)
    np.testing.assert_array_equal(data.splits["train"].sample_weight, Y + 1)


def test_a_file_that_was_cut_short_since_is_told(opened, monkeypatch, tmp_path):
    monkeypatch.setattr(arrays, "memory_budget", lambda: 0)
    inputs = opened(x_train=X, y_train=Y).splits["train"].inputs
    path = tmp_path / "x_train.npy"
    with path.open("r+b") as file:
        file.truncate(140)
    with pytest.raises(DataError, match=r"x_train\.npy: was changed after the data were opened"):
        inputs.take(np.array([5]))
    path.unlink()
    with pytest.raises(DataError, match=r"x_train\.npy: does not exist; expected the file that was opened"):
        inputs.take(np.array([5]))


@pytest.mark.parametrize("budget", [0, 2**30])
def test_values_that_are_not_finite_are_found_in_every_block(fails, monkeypatch, budget):
    monkeypatch.setattr(stored, "_BLOCK", 70)
    monkeypatch.setattr(arrays, "memory_budget", lambda: budget)
    array = X / 7
    array[4, 2, 2] = np.nan
    array[5, 0, 0] = 1e300
    fails(
        "x_train.npy: 2 of 6 examples hold NaN or infinity (as float32), the first at index 4", x_train=array, y_train=Y
    )


def test_arrays_that_cannot_be_are_told_with_their_file(fails):
    fails("x_train.npy has 6 examples, but", x_train=X, y_train=Y[:5])
    fails("y_train.npy has no labels", x_train=X, y_train=np.array(3))
    fails("x_train.npy: has shape ()", x_train=np.array(3), y_train=Y)
    fails("x_train.npy: holds no examples", x_train=X[:0], y_train=Y[:0])
    fails("x_train.npy: holds <U4; expected numbers", x_train=np.full((6, 5), "text"), y_train=Y)
    fails("x_train.npy: holds Python objects", x_train=np.full((6, 5), None), y_train=Y)
    fails("x_test.npy: uint8 of shape (2, 4, 4) does not go", x_train=X, y_train=Y, x_test=X[:2, :4], y_test=Y[:2])


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
@pytest.mark.parametrize("array", [X, np.asfortranarray(X), np.array(3.5), X[:0], np.array(["é", "abc"])])
def test_a_map_has_what_numpy_loads(tmp_path, array, version):
    with (tmp_path / "a.npy").open("wb") as file:
        np.lib.format.write_array(file, array, version)
    found, expected = mapped(tmp_path / "a.npy"), np.load(tmp_path / "a.npy")
    assert (found.dtype, found.shape, found.strides) == (expected.dtype, expected.shape, expected.strides)
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("kind", ["V0", "S0", "U0"])
def test_values_without_a_byte_are_refused_however_many_the_header_promises(tmp_path, kind):
    path = tmp_path / "y_train.npy"
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": f"|{kind}", "fortran_order": False, "shape": (2**40,)})
    with pytest.raises(DataError, match=r"y_train\.npy: has values of the type .* take no bytes"):
        mapped(path)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda content: b"", "is empty"),
        (lambda content: content[: len(content) // 2], "is damaged or truncated"),
        (lambda content: content[:100], "is damaged or truncated"),
        (lambda content: content[:6] + b"\x04" + content[7:], "is damaged or truncated: its format is (4, 0)"),
        (lambda content: b"hello" + content, "is not an .npy file; it begins with b'hello"),
        (lambda content: b"PK" + content, "is an archive of arrays"),
    ],
)
def test_a_damaged_file_is_told_with_its_path(opened, tmp_path, damage, words):
    opened(x_train=X, y_train=Y)
    path = tmp_path / "x_train.npy"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError) as error:
        Npy(x_train=path, y_train=tmp_path / "y_train.npy").open()
    assert f"{path}: {words}" in str(error.value)


def test_a_missing_file_is_told_with_the_nearest_name(opened, tmp_path):
    opened(x_train=X, y_train=Y)
    with pytest.raises(DataError, match=r"x_trian\.npy: does not exist; .*did you mean .*x_train\.npy"):
        Npy(x_train=tmp_path / "x_trian.npy", y_train=tmp_path / "y_train.npy").open()


@pytest.mark.parametrize(("given", "lacking"), [("x_test", "y_test"), ("y_validation", "x_validation")])
def test_examples_come_with_labels(given, lacking):
    with pytest.raises(ValidationError, match=f"expected {lacking} beside {given}"):
        Npy(x_train="a.npy", y_train="b.npy", **{given: "c.npy"})
