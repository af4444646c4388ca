"""What every source yields: named splits of examples that can be read in any order."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from kerasrun.components import Kind

if TYPE_CHECKING:  # an experiment file is checked without NumPy: its import alone takes 0.1 s
    import numpy as np
    from numpy.typing import NDArray

ColorMode = Literal["grayscale", "rgb", "rgba"]
Interpolation = Literal["nearest", "bilinear", "bicubic", "lanczos"]
FitMode = Literal["resize", "pad"]
CHANNELS: Mapping[ColorMode, int] = {"grayscale": 1, "rgb": 3, "rgba": 4}


@dataclass(frozen=True)
class ImageFormat:
    """How an image file becomes an array: uint8 of shape (height, width, channels). Travels in the model file."""

    height: int
    width: int
    color_mode: ColorMode
    interpolation: Interpolation = "bilinear"
    fit_mode: FitMode = "resize"

    @property
    def shape(self) -> tuple[int, int, int]:
        return (self.height, self.width, CHANNELS[self.color_mode])


class Inputs(Protocol):
    """The examples of a split, readable in any order."""

    @property
    def example_shape(self) -> tuple[int, ...]:
        """Shape of one example: (height, width, channels) or (features,)."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """uint8 for images from files; arrays keep uint8, every other dtype becomes float32."""

    def __len__(self) -> int: ...

    def take(self, indices: NDArray[np.int64]) -> NDArray[Any]:
        """The examples at `indices`, in that order: shape (len(indices), *example_shape)."""


@dataclass(frozen=True)
class SkippedFile:
    """A file left out under `on_bad_file: skip`."""

    path: Path
    reason: str


@dataclass(frozen=True)
class Split:
    """Examples with their labels; `labels` are class numbers, int64 of shape (examples,)."""

    name: str
    inputs: Inputs
    labels: NDArray[np.int64]
    names: tuple[str, ...] | None = None
    """Where each example comes from (a path relative to the data), for messages; None for arrays."""
    skipped: tuple[SkippedFile, ...] = ()

    def __len__(self) -> int:
        return len(self.inputs)


@dataclass(frozen=True)
class Data:
    """An opened source. `splits` always has `train`, and `validation` and `test` where the source has them."""

    splits: Mapping[str, Split]
    classes: tuple[str, ...]
    """Class names; a label is an index into them. The order is the same in every split."""
    image_format: ImageFormat | None
    """How a file must be read to fit these examples; None where examples are not images."""
    fingerprint: str
    """sha256 over the names, sizes and contents of everything read; moving the data changes nothing."""

    @property
    def skipped(self) -> tuple[SkippedFile, ...]:
        return tuple(file for split in self.splits.values() for file in split.skipped)


class Source(Kind):
    """Base of the kinds of data. Fields of type `Path` hold absolute paths once the experiment is loaded."""

    @abstractmethod
    def open(self) -> Data:
        """Find and check everything; read what is small.

        Raises:
            DataError: if anything is missing, damaged or contradicts itself; the message names the file.
        """
