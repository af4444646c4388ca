"""MNIST's IDX files: read without kerasrun, cut to fewer images, written as folders of PNG."""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

PREFIXES = {"train": "train", "test": "t10k"}


def read_mnist(folder: Path, split: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Images (examples, 28, 28) and labels (examples,) of `train` or `test`; the files may be gzipped."""
    prefix = PREFIXES[split]
    images = _values(folder, f"{prefix}-images-idx3-ubyte", header=16)
    return images.reshape(-1, 28, 28), _values(folder, f"{prefix}-labels-idx1-ubyte", header=8)


def write_mnist(folder: Path, images: NDArray[np.uint8], labels: NDArray[np.uint8]) -> Path:
    """Write training images and labels as IDX files into a new folder."""
    folder.mkdir()
    prefix = PREFIXES["train"]
    _write(folder / f"{prefix}-images-idx3-ubyte", 3, images)
    _write(folder / f"{prefix}-labels-idx1-ubyte", 1, labels)
    return folder


def write_png(folder: Path, images: NDArray[np.uint8], labels: NDArray[np.uint8]) -> Path:
    """Write `<folder>/<class>/<number>.png`."""
    from PIL import Image

    for label in np.unique(labels):
        (folder / str(label)).mkdir(parents=True)
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        Image.fromarray(image).save(folder / str(label) / f"{number:05d}.png")
    return folder


def _values(folder: Path, name: str, header: int) -> NDArray[np.uint8]:
    plain = folder / name
    content = plain.read_bytes() if plain.exists() else gzip.decompress((folder / f"{name}.gz").read_bytes())
    return np.frombuffer(content, np.uint8, offset=header)


def _write(path: Path, dimensions: int, values: NDArray[Any]) -> None:
    # Two zeros, 8 for unsigned bytes, the number of dimensions; then each dimension.
    header = bytes([0, 0, 8, dimensions]) + np.array(values.shape, ">u4").tobytes()
    path.write_bytes(header + values.tobytes())
