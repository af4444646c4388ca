"""Small data of every kind, made anew for each test."""

import struct

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def write_image():
    """Write an image of random pixels; returns its array of shape (height, width[, channels])."""

    def write(path, size=(6, 8), mode="RGB", seed=0, **options):
        path.parent.mkdir(parents=True, exist_ok=True)
        channels = {"L": (), "RGB": (3,), "RGBA": (4,), "CMYK": (4,)}[mode]
        pixels = np.random.default_rng(seed).integers(0, 256, (*size, *channels), dtype=np.uint8)
        Image.fromarray(pixels, mode=None if mode != "CMYK" else "CMYK").save(path, **options)
        return pixels

    return write


@pytest.fixture
def write_idx():
    """Write uint8 values as an IDX file."""

    def write(path, array):
        array = np.asarray(array, np.uint8)
        path.parent.mkdir(parents=True, exist_ok=True)
        header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
        path.write_bytes(header + array.tobytes())

    return write


@pytest.fixture
def class_folders(tmp_path, write_image):
    """`train` with 3 cats and 2 dogs, `test` with 1 of each: 6×8 RGB PNG."""
    for seed, name in enumerate(["train/cat/a", "train/cat/b", "train/cat/c", "train/dog/a", "train/dog/b"]):
        write_image(tmp_path / f"pets/{name}.png", seed=seed)
    for seed, name in enumerate(["test/cat/x", "test/dog/y"]):
        write_image(tmp_path / f"pets/{name}.png", seed=10 + seed)
    return tmp_path / "pets"
