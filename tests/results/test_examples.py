"""Rows without a header, which need no model to be read."""

import numpy as np
import pytest

from kerasrun.errors import DataError
from kerasrun.model_file import ModelInfo
from kerasrun.reading.data import RowFormat
from kerasrun.results.examples import read_examples


@pytest.fixture
def read(tmp_path):
    def rows(text, *features, delimiter=None):
        info = ModelInfo(
            ("a", "b"), None, 32, "probabilities", "small", 1, row_format=RowFormat(features, False, delimiter)
        )
        (tmp_path / "rows.txt").write_text(text)
        found = read_examples([tmp_path / "rows.txt"], info, tmp_path / "a.keras")
        return found.inputs.take(np.arange(len(found.paths))).tolist()

    return rows


def test_columns_are_found_by_their_numbers(read):
    assert read("1 2 3 4\n5 6 7 8\n", "1", "3") == [[2, 4], [6, 8]]


def test_a_file_of_nothing_but_features_needs_no_numbers(read):
    assert read("2 4\n6 8\n", "1", "3") == [[2, 4], [6, 8]]


def test_a_file_of_too_few_columns_is_an_error(read):
    with pytest.raises(DataError, match=r"rows\.txt: no column 3"):
        read("1 2 3\n", "1", "3")
