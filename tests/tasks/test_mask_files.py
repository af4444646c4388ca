"""Masks as files: which colours, which size, which name."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kerasrun.errors import UsageError
from kerasrun.reading.data import ImageFormat
from kerasrun.reading.images import fit
from kerasrun.report.figures import class_colors
from kerasrun.report.predictions import Question
from kerasrun.results.prediction import save_picture
from kerasrun.tasks._files import unfit
from kerasrun.tasks.masks import TASK, mask_prediction

NUMBERS = np.array([[0, 1, 1], [0, 0, 2]])


def predicted(numbers, names, file, *sizes):
    image_format = ImageFormat(2, 3, "rgb", fit_mode="resize")
    known = {"paths": ["a.jpg"], "files": [file], "sizes": sizes, "image_format": image_format, "save": save_picture}
    return mask_prediction(0, numbers, Question(names, "probabilities", **known))


def test_class_numbers_are_grey_values_with_a_palette(tmp_path):
    found = predicted(NUMBERS, ("ground", "cat", "dog"), tmp_path / "new" / "a.png")
    with Image.open(found.mask) as mask:
        assert np.asarray(mask).tolist() == NUMBERS.tolist()
        assert mask.convert("RGB").getpixel((1, 0)) == tuple(class_colors(3)[1]) == (128, 0, 0)
    assert found.as_row() == {"path": "a.jpg", "mask": found.mask, "ground": 0.5, "cat": 2 / 6, "dog": 1 / 6}


def test_two_classes_are_black_and_white(tmp_path):
    found = predicted(NUMBERS % 2, ("ground", "cat"), tmp_path / "a.png")
    with Image.open(found.mask) as mask:
        assert (mask.mode, np.asarray(mask).tolist()) == ("L", [[0, 255, 255], [0, 0, 0]])


def test_a_mask_comes_back_to_the_size_of_its_image(tmp_path):
    found = predicted(NUMBERS, ("ground", "cat", "dog"), tmp_path / "a.png", (6, 4))
    with Image.open(found.mask) as mask:
        assert np.asarray(mask).tolist() == NUMBERS.repeat(2, axis=0).repeat(2, axis=1).tolist()


def test_what_was_padded_is_cut_off_again():
    image_format = ImageFormat(8, 8, "grayscale", "nearest", "pad")
    original = Image.fromarray(np.repeat([[1, 2], [3, 4], [5, 6], [7, 8]], 2, axis=1).astype(np.uint8))
    assert (
        np.asarray(unfit(fit(original, image_format), image_format, original.size, Image.Resampling.NEAREST)).tolist()
        == np.asarray(original).tolist()
    )


def test_masks_lie_as_their_images_do():
    files = TASK.files(Path("out"), ["photos/a.jpg", "photos/more/b.jpg"], [])
    assert files == [Path("out/a.png"), Path("out/more/b.png")]


def test_two_images_of_one_mask_are_refused():
    with pytest.raises(UsageError, match=r"a\.jpg and photos/a\.png would both have the mask out/a\.png"):
        TASK.files(Path("out"), ["photos/a.jpg", "photos/a.png"], [])


def test_an_image_is_never_written_over():
    with pytest.raises(UsageError, match=r"photos/a\.png would replace an image"):
        TASK.files(Path("photos"), ["photos/a.png"], [Path("photos/a.png")])
