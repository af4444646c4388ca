"""The shipped digits hold the same examples in all its forms."""

import gzip
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

DIGITS = Path(__file__).parents[2] / "data" / "digits"
SPLITS = {"train": "train", "test": "t10k"}


@pytest.fixture(scope="module")
def arrays():
    with np.load(DIGITS / "digits.npz", allow_pickle=False) as file:
        return dict(file)


def test_there_are_1797_examples_of_ten_classes(arrays):
    assert len(arrays["x_train"]) + len(arrays["x_test"]) == 1797
    assert arrays["x_train"].shape[1:] == (32, 32)
    assert arrays["x_train"].dtype == np.uint8
    assert set(arrays["y_train"]) == set(arrays["y_test"]) == set(range(10))


@pytest.mark.parametrize("split", SPLITS)
def test_the_split_has_the_same_shares_of_every_class(arrays, split):
    share = {"train": 0.8, "test": 0.2}[split]
    whole = np.bincount(np.concatenate([arrays["y_train"], arrays["y_test"]]))
    assert np.abs(np.bincount(arrays[f"y_{split}"]) - share * whole).max() <= 0.5


@pytest.mark.parametrize("split", SPLITS)
def test_png_files_equal_the_arrays(arrays, split):
    paths = sorted((DIGITS / "png" / split).glob("*/*.png"), key=lambda path: path.stem)
    assert [int(path.parent.name) for path in paths] == arrays[f"y_{split}"].tolist()
    np.testing.assert_array_equal([np.asarray(Image.open(path)) for path in paths], arrays[f"x_{split}"])


def test_the_hdf5_file_equals_the_arrays(arrays):
    with h5py.File(DIGITS / "digits.h5") as file:
        assert set(file) == set(arrays)
        for name, array in arrays.items():
            assert file[name].dtype == array.dtype
            np.testing.assert_array_equal(file[name][...], array)


@pytest.mark.parametrize(("split", "prefix"), SPLITS.items())
def test_idx_files_equal_the_arrays(arrays, split, prefix):
    images = gzip.decompress((DIGITS / "idx" / f"{prefix}-images-idx3-ubyte.gz").read_bytes())
    labels = gzip.decompress((DIGITS / "idx" / f"{prefix}-labels-idx1-ubyte.gz").read_bytes())
    assert images[16:] == arrays[f"x_{split}"].tobytes()
    assert labels[8:] == arrays[f"y_{split}"].astype(np.uint8).tobytes()
