"""The shipped pairs are digits with their strokes."""

from pathlib import Path

import h5py
import numpy as np
from PIL import Image

DATA = Path(__file__).parents[2] / "data"


def test_a_mask_is_where_its_digit_is_bright():
    with np.load(DATA / "digits" / "digits.npz", allow_pickle=False) as digits:
        for split, count in (("train", 48), ("test", 16)):
            masks = sorted((DATA / "digit_masks" / split / "masks").glob("*.png"))
            images = sorted((DATA / "digit_masks" / split / "images").glob("*.png"))
            assert [path.name for path in masks] == [path.name for path in images]
            assert len(masks) == count
            found = np.stack([np.asarray(Image.open(path)) for path in masks])
            np.testing.assert_array_equal(found == 255, digits[f"x_{split}"][:count] > 127)
            assert set(np.unique(found)) == {0, 255}
            with h5py.File(DATA / "digit_masks.h5") as file:
                np.testing.assert_array_equal(file[f"y_{split}"], found)
                np.testing.assert_array_equal(file[f"x_{split}"], [np.asarray(Image.open(path)) for path in images])
