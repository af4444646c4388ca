import hashlib
from pathlib import Path

import numpy as np
import pytest

from kerasrun.errors import DataError
from kerasrun.sources._contract import ImageFormat
from kerasrun.sources._inputs import ImageFiles

FORMAT = ImageFormat(6, 8, "rgb")


def test_files_are_decoded_in_the_asked_order(tmp_path, write_image):
    pixels = [write_image(tmp_path / f"{number}.png", seed=number) for number in range(4)]
    paths = sorted(tmp_path.iterdir())
    inputs = ImageFiles(paths, FORMAT, [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths])
    assert len(inputs) == 4
    np.testing.assert_array_equal(inputs.take(np.array([3, 0, 3])), [pixels[3], pixels[0], pixels[3]])


def test_a_file_that_went_away_is_told(tmp_path):
    with pytest.raises(DataError, match=r"gone\.png: cannot be read"):
        ImageFiles([Path(tmp_path, "gone.png")], FORMAT, [""]).take(np.array([0]))
