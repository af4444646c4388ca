"""Small experiments on the shipped digits."""

import re
from pathlib import Path

import numpy as np
import pytest

import kerasrun

DIGITS = Path(__file__).parents[2] / "data" / "digits" / "digits.npz"


@pytest.fixture
def digits(tmp_path):
    """The first 200 training and 60 test digits as `digits.npz` in the working folder."""
    return write_digits(tmp_path)


@pytest.fixture
def train(tmp_path, digits):
    """Train an experiment of a few lines; what is not given is a small MLP on the digits."""

    def run(text="", *overrides):
        return train_small(tmp_path, text, *overrides)

    return run


def write_digits(folder):
    """The same in any folder."""
    with np.load(DIGITS) as archive:
        arrays = {name: archive[name][: 200 if "train" in name else 60] for name in archive}
    np.savez(folder / "digits.npz", **arrays)
    return arrays


def train_small(folder, text="", *overrides):
    """The same in a folder with the digits."""
    return kerasrun.train(write_small(folder, text), overrides=overrides, output=folder / "runs")


def write_small(folder, text=""):
    """Write its file."""
    sections = {"data": "{npz: {path: digits.npz}}", "model": "{MLP: {units: [8]}}"}
    missing = "".join(f"{key}: {value}\n" for key, value in sections.items() if not re.search(f"^{key}:", text, re.M))
    file = folder / "small.yaml"
    file.write_text(missing + text, encoding="utf-8")
    return file
