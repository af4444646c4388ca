"""The mask of an example as a PNG file."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kerasrun.errors import UsageError
from kerasrun.model_file import ModelInfo
from kerasrun.reading.data import ImageFormat
from kerasrun.reading.images import inner_size
from kerasrun.results.palette import class_colors
from kerasrun.results.predictions.base import Prediction
from kerasrun.runs import atomic

MaskSize = Literal["original", "input"]
Size = tuple[int, int]
"""Width and height, as Pillow has it."""


@dataclass(frozen=True)
class MaskPrediction(Prediction):
    """Which class the model takes each pixel for."""

    mask: str
    """The file with the class numbers."""
    shares: tuple[tuple[str, float], ...]
    """Every class with its share of the pixels."""

    def as_dict(self) -> dict[str, Any]:
        return {"path": self.path, "mask": self.mask, "shares": dict(self.shares)}

    def as_row(self) -> Mapping[str, Any]:
        return {"path": self.path, "mask": self.mask, **dict(self.shares)}

    def as_cells(self) -> Mapping[str, str]:
        there = sorted((item for item in self.shares if item[1]), key=lambda item: -item[1])
        return {"mask": self.mask, "shares": ", ".join(f"{name} {share:.4f}" for name, share in there)}


def mask_files(folder: Path, paths: Sequence[str], originals: Sequence[Path]) -> list[Path]:
    """Where the mask of each example goes: as deep below `folder` as the example lies below the folder of all.

    Args:
        paths: what the examples are called.
        originals: files that must not be written over.

    Raises:
        UsageError: if two examples would have one mask, or a mask would replace an original.
    """
    absolute = [Path(path).absolute() for path in paths]
    common = Path(os.path.commonpath([path.parent for path in absolute]))
    files = [folder / path.relative_to(common).with_suffix(".png") for path in absolute]
    kept = {original.resolve() for original in originals}
    owners: dict[Path, str] = {}
    for file, path in zip(files, paths, strict=True):
        if file in owners:
            raise UsageError(f"{owners[file]} and {path} would both have the mask {file}; predict them one by one")
        if file.resolve() in kept:
            raise UsageError(f"the mask {file} would replace an image; name another folder with --masks FOLDER")
        owners[file] = path
    return files


def mask_prediction(
    path: str, numbers: NDArray[np.int64], info: ModelInfo, file: Path, original: Size | None
) -> MaskPrediction:
    """Write one mask.

    Args:
        numbers: class numbers, (height, width) of the network's input.
        original: the size to bring it back to; None for the input's.

    Raises:
        RunDirectoryError: if the disk refuses.
    """
    mask = _picture(numbers, len(info.classes))
    if original and info.image_format:
        mask = unfit(mask, info.image_format, original)
    with atomic.explained(file.parent):
        file.parent.mkdir(parents=True, exist_ok=True)
    with atomic.replacing(file) as private:
        mask.save(private)
    counts = np.bincount(numbers.reshape(-1), minlength=len(info.classes)) / numbers.size
    return MaskPrediction(
        path, str(file), tuple((name, float(share)) for name, share in zip(info.classes, counts, strict=True))
    )


def unfit(mask: Image.Image, image_format: ImageFormat, original: Size) -> Image.Image:
    """Back to the size of the image that was fitted; by the nearest pixel, because there is no class between two."""
    if image_format.fit_mode == "pad":
        inner = inner_size(original, mask.size)
        left, top = ((whole - part) // 2 for whole, part in zip(mask.size, inner, strict=True))
        mask = mask.crop((left, top, left + inner[0], top + inner[1]))
    return mask.resize(original, Image.Resampling.NEAREST)


def _picture(numbers: NDArray[np.int64], classes: int) -> Image.Image:
    """0 and 255 for two classes; of more, class numbers with a palette, so that they are told apart by eye too."""
    if classes == 2:
        return Image.fromarray((numbers * 255).astype(np.uint8))
    height, width = numbers.shape
    picture = Image.frombytes("P", (width, height), numbers.astype(np.uint8).tobytes())
    picture.putpalette(class_colors(classes).tobytes())
    return picture
