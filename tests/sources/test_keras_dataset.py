import gzip
import hashlib
import importlib
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest

from kerasrun.errors import DataError
from kerasrun.experiment.load import parse
from kerasrun.experiment.photos import cached
from kerasrun.sources import keras_dataset
from kerasrun.sources.keras_dataset import KerasDataset
from tests.sources.pixels import changed, pixels

DATA = Path(__file__).parents[2] / "data"


READ_AS_A_WHOLE = True


def sample(folder):
    images = np.stack([pixels(number) for number in range(6)])
    labels = np.arange(6) % 2
    np.savez(folder / "mnist.npz", x_train=images[:4], y_train=labels[:4], x_test=images[4:], y_test=labels[4:])
    return {"name": "mnist", "path": folder}


def change(folder):
    with np.load(folder / "mnist.npz") as file:
        arrays = dict(file)
    np.savez(folder / "mnist.npz", **arrays | {"x_train": changed(arrays["x_train"])})


def short_experiment(folder):
    """Sixty digits of MNIST's size, as Keras keeps them."""
    with np.load(DATA / "digits" / "digits.npz") as digits:
        x, y = np.ascontiguousarray(digits["x_train"][:60].reshape(60, 32, 32)[:, 2:30, 2:30]), digits["y_train"][:60]
    np.savez(folder / "mnist.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    return """
data: {keras_dataset: {name: mnist, path: ., limit: 60}}
model: {MLP: {units: []}}
"""


X = np.random.default_rng(0).integers(0, 256, (6, 28, 28), dtype=np.uint8)
Y = np.array([0, 1, 2, 0, 1, 2])


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """The folder in which Keras would keep its downloads, and nowhere else to look."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    found = keras_dataset._caches()
    monkeypatch.setattr(keras_dataset, "_caches", lambda: found[:1])
    assert found[0] == tmp_path / "datasets"
    found[0].mkdir()
    return found[0]


@pytest.fixture
def no_download(monkeypatch):
    def fail(name, file):
        raise AssertionError(f"{name} would be downloaded")

    monkeypatch.setattr(keras_dataset, "_download", fail)


def write_cifar(path, labels, **others):
    """Rows of red, green, blue pixels: the pixel at (row, column) of an image is (row, column, the image's label)."""
    row, column = np.mgrid[:32, :32]
    rows = [np.stack([row, column, np.full_like(row, label)]).reshape(-1) for label in labels]
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {b"data": np.array(rows, np.uint8), b"labels": labels, b"fine_labels": labels}
    path.write_bytes(pickle.dumps(content | others, protocol=4))


@pytest.mark.usefixtures("no_download")
def test_mnist_is_read_from_the_cache_of_keras(cache, monkeypatch):
    np.savez(cache / "mnist.npz", x_train=X, y_train=Y, x_test=X[:2], y_test=Y[:2])
    with pytest.raises(DataError, match=r"mnist\.npz: is not the file that Keras downloads: its sha256 is another"):
        KerasDataset(name="mnist").open()
    sha256 = hashlib.sha256((cache / "mnist.npz").read_bytes()).hexdigest()
    monkeypatch.setattr(keras_dataset, "pinned_sha256", {"mnist": sha256}.get)
    data = KerasDataset(name="mnist").open()
    np.testing.assert_array_equal(data.splits["train"].inputs.array[..., 0], X)
    assert data.splits["test"].labels.tolist() == [0, 1]


@pytest.mark.usefixtures("no_download")
def test_fashion_mnist_knows_its_classes(cache):
    (cache / "fashion-mnist").mkdir()
    for prefix, images, labels in (("train", X, Y), ("t10k", X[:2], Y[:2])):
        for name, magic, array in (("images-idx3", 0x803, images), ("labels-idx1", 0x801, labels)):
            header = struct.pack(f">{1 + array.ndim}I", magic, *array.shape)
            path = cache / "fashion-mnist" / f"{prefix}-{name}-ubyte.gz"
            path.write_bytes(gzip.compress(header + array.astype(np.uint8).tobytes()))
    data = KerasDataset(name="fashion_mnist").open()
    np.testing.assert_array_equal(data.splits["train"].inputs.array[..., 0], X)
    assert len(data.classes) == 10
    assert data.classes[9] == "Ankle boot"


@pytest.mark.usefixtures("no_download")
def test_the_channels_of_cifar_come_last(cache):
    folder = cache / "cifar-10-batches-py-target" / "cifar-10-batches-py"
    for number in range(1, 6):
        write_cifar(folder / f"data_batch_{number}", [number, 0])
    write_cifar(folder / "test_batch", [7])
    data = KerasDataset(name="cifar10").open()
    train = data.splits["train"]
    assert train.inputs.array.shape == (10, 32, 32, 3)
    assert train.inputs.array[4, 5, 6].tolist() == [5, 6, 3]
    assert train.labels.tolist() == [1, 0, 2, 0, 3, 0, 4, 0, 5, 0]
    assert data.splits["test"].labels.tolist() == [7]
    assert data.classes[7] == "horse"
    assert data.image_format.color_mode == "rgb"


@pytest.mark.usefixtures("no_download")
def test_cifar100_has_its_classes_in_a_file(cache):
    folder = cache / "cifar-100-python-target" / "cifar-100-python"
    for name in ("train", "test"):
        write_cifar(folder / name, [99, 1])
    names = [f"class {number}".encode() for number in range(100)]
    (folder / "meta").write_bytes(pickle.dumps({b"fine_label_names": names}))
    data = KerasDataset(name="cifar100").open()
    assert data.splits["train"].labels.tolist() == [99, 1]
    assert data.classes[99] == "class 99"


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", ["california_housing", "boston_housing"])
def test_tables_are_divided_as_keras_divides_them(tmp_path, monkeypatch, name):
    import keras

    x = np.arange(46.0).reshape(23, 2)
    path = tmp_path / f"{name}.npz"
    np.savez(path, x=x, y=x[:, 0] * 1000)
    load_data = getattr(keras.datasets, name).load_data
    monkeypatch.setitem(load_data.__globals__, "get_file", lambda *arguments, **options: path)
    data = KerasDataset(name=name, path=tmp_path).open()
    assert data.label_kind == KerasDataset(name=name).label_kind == "numbers"
    for split, (features, numbers) in zip(("train", "test"), load_data(), strict=True):
        np.testing.assert_array_equal(data.splits[split].inputs.array, features)
        np.testing.assert_array_equal(data.splits[split].labels[:, 0], numbers)


@pytest.mark.parametrize("x", [np.zeros((3, 2)), np.zeros(())])
def test_a_table_that_does_not_go_with_its_numbers_is_told(tmp_path, x):
    np.savez(tmp_path / "boston_housing.npz", x=x, y=np.zeros(2))
    with pytest.raises(DataError, match=r"boston_housing\.npz: x has shape .* and y \(2,\)"):
        KerasDataset(name="boston_housing", path=tmp_path).open()


def test_a_pickle_that_would_run_code_is_refused(tmp_path):
    folder = tmp_path / "cifar-10-batches-py-target" / "cifar-10-batches-py"
    for number in range(1, 6):
        write_cifar(folder / f"data_batch_{number}", [1])
    write_cifar(folder / "test_batch", [1], foreign=print)
    with pytest.raises(DataError, match=r"test_batch: is damaged, .*builtins\.print, which is not taken"):
        KerasDataset(name="cifar10", path=tmp_path).open()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is damaged"),
        (pickle.dumps([1]), "is not a file of CIFAR"),
        (pickle.dumps({b"data": 1}), "'data' must hold rows of 3072 bytes"),
        (pickle.dumps({b"data": np.zeros((2, 3072), np.uint8), b"labels": [1]}, 4), "has not 2 'labels'"),
        (pickle.dumps({b"data": np.zeros((1, 3072), np.uint8), b"labels": [np.zeros(1)]}, 4), "has not 1 'labels'"),
        # A note at a place for which `pickle` would take 64 GiB.
        (pickle.dumps({b"data": 1}, 3)[:-1] + b"r\xff\xff\xff\xff.", "'data' must hold rows"),
    ],
)
def test_a_damaged_file_of_cifar_is_told(tmp_path, content, words):
    folder = tmp_path / "cifar-10-batches-py-target" / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    (folder / "test_batch").touch()
    (folder / "data_batch_1").write_bytes(content)
    with pytest.raises(DataError, match="data_batch_1: ") as error:
        KerasDataset(name="cifar10", path=tmp_path).open()
    assert words in str(error.value)


def test_a_folder_without_the_file_is_told_with_its_path(tmp_path):
    with pytest.raises(DataError, match=r"mnist\.npz: does not exist; expected the file of mnist"):
        KerasDataset(name="mnist", path=tmp_path).open()


def test_a_download_that_fails_names_the_file(cache, monkeypatch):
    monkeypatch.setattr(keras_dataset, "_PROGRAM", "import sys; sys.exit('no network for {name}')")
    with pytest.raises(DataError) as error:
        KerasDataset(name="mnist").open()
    assert f"{cache / 'mnist.npz'}: is not there, and Keras cannot download it: no network for mnist" in str(
        error.value
    )
    monkeypatch.setattr(keras_dataset, "_PROGRAM", "pass")
    with pytest.raises(DataError, match=r"mnist\.npz: is not there, although Keras has downloaded mnist"):
        KerasDataset(name="mnist").open()


@pytest.mark.long
@pytest.mark.tensorflow
def test_what_is_not_in_the_cache_is_asked_of_keras(cache, monkeypatch):
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # where nobody answers
    with pytest.raises(
        DataError, match=r"mnist\.npz: is not there, .* URL fetch failure .*put it there, or name the folder"
    ):
        KerasDataset(name="mnist").open()


@pytest.mark.parametrize("home", ["~nobody-of-this-name/x", "/" + "a" * 300])
def test_a_home_of_keras_that_cannot_be_is_one_without_files(monkeypatch, home):
    monkeypatch.setenv("KERAS_HOME", home)
    monkeypatch.setattr(keras_dataset, "_PROGRAM", "import sys; sys.exit('no network for {name}')")
    with pytest.raises(DataError, match=r"mnist\.npz: is not there, and Keras cannot download it"):
        KerasDataset(name="mnist").open()
    assert cached(224) is None


def test_the_text_tells_that_the_labels_are_numbers():
    text = (
        "data: {keras_dataset: {name: california_housing}}\nmodel: {MLP: {units: []}}\ncheckpoint: {monitor: val_mae}\n"
    )
    assert parse(text, "a.yaml").experiment.data.label_kind == "numbers"


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", ["mnist", "california_housing", "boston_housing"])
def test_the_checksum_is_the_one_that_keras_compares(name, monkeypatch, tmp_path):
    asked = {}

    def get_file(*arguments, **options):
        asked.update(options)
        raise LookupError

    load_data = importlib.import_module(f"keras.datasets.{name}").load_data
    monkeypatch.setitem(load_data.__globals__, "get_file", get_file)
    with pytest.raises(LookupError):
        load_data()
    assert keras_dataset.pinned_sha256(name) == asked["file_hash"]
    assert len(asked["file_hash"]) == 64


@pytest.mark.parametrize("name", ["fashion_mnist", "cifar10", "cifar100"])
def test_where_keras_compares_an_archive_or_nothing_there_is_no_checksum(name):
    assert keras_dataset.pinned_sha256(name) is None
