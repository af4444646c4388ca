"""Mask files: an image whose values are classes becomes class numbers, uint8 of shape (height, width, 1).

Values are never mixed: a palette's indices count, not its colours, and another size is reached by the nearest pixel.
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kerasrun.errors import DataError, UnreadableImageError
from kerasrun.reading.data import Inputs
from kerasrun.reading.files import listed
from kerasrun.reading.images import FORMATS, changed, opened, read_bytes
from kerasrun.reading.inputs import ArrayInputs, in_threads
from kerasrun.reading.memory import memory_budget
from kerasrun.reading.stored import Rows, StoredArray, StoredInputs

_JPEG = tuple(suffix for suffix, names in FORMATS.items() if "JPEG" in names)
_MOST_CLASSES = 256


@dataclass(frozen=True)
class MaskScan:
    """The masks after every one was read once."""

    paths: Sequence[Path]
    size: tuple[int, int]
    """Height and width."""
    digests: Sequence[str]
    """sha256 of each file's bytes, as hexadecimal text."""
    own_sizes: Sequence[tuple[int, int]]
    """Width and height in the file."""
    values: Sequence[frozenset[int]]
    """The values in each file."""
    array: NDArray[np.uint8] | None
    """The values of every mask in `size`, (masks, height, width, 1), if they fit into memory."""

    def inputs(self, begin: int, end: int, class_of_value: NDArray[np.uint8]) -> Inputs:
        """Return the masks from `begin` to before `end` as class numbers."""
        if self.array is not None:
            return ArrayInputs(class_of_value[self.array[begin:end]])

        def read(rows: Rows) -> NDArray[np.uint8]:
            indices = np.arange(begin, end)[rows]
            masks = np.empty((len(indices), *self.size, 1), np.uint8)
            for mask, index in zip(masks, indices, strict=True):
                content = read_bytes(self.paths[index])
                if hashlib.sha256(content).hexdigest() != self.digests[index]:
                    raise changed(self.paths[index])
                mask[..., 0] = class_of_value[_values(content, self.paths[index], self.size)[0]]
            return masks

        return StoredInputs(StoredArray((end - begin, *self.size, 1), np.dtype(np.uint8), read))


def scan_masks(paths: Sequence[Path], size: tuple[int, int]) -> MaskScan:
    """Read, check and hash every mask in `size`, height and width; keep them if they fit into `memory_budget()`.

    Raises:
        DataError: if a file is not a mask; lists the first ones.
    """
    array = np.empty((len(paths), *size, 1), np.uint8) if len(paths) * math.prod(size) <= memory_budget() else None
    errors: list[UnreadableImageError] = []

    def scan(index: int) -> tuple[str, tuple[int, int], frozenset[int]]:
        try:
            content = read_bytes(paths[index])
            values, own_size, found = _values(content, paths[index], size)
        except UnreadableImageError as error:
            errors.append(error)
            return "", (0, 0), frozenset()
        if array is not None:
            array[index, ..., 0] = values
        return hashlib.sha256(content).hexdigest(), own_size, found

    results = list(in_threads(scan, len(paths)))
    if errors:
        lines = sorted(f"  {error}" for error in errors)
        raise DataError(f"{len(errors)} of {len(paths)} masks cannot be used:\n" + listed(lines, separator="\n"))
    digests, own_sizes, values = zip(*results, strict=True)
    return MaskScan(paths, size, digests, own_sizes, values, array)


def _values(
    content: bytes, path: Path, size: tuple[int, int]
) -> tuple[NDArray[np.uint8], tuple[int, int], frozenset[int]]:
    """Return a mask's values in `size`, its own width and height, and every value in the file."""
    with opened(content, path) as image:
        single = _single_channel(np.asarray(image if image.mode != "1" else image.convert("L")), path)
        if single.min() < 0 or single.max() >= _MOST_CLASSES:
            wrong = single.max() if single.min() >= 0 else single.min()
            raise UnreadableImageError(path, f"has the value {wrong}; expected values of 0 to 255")
        whole = np.flatnonzero(np.bincount(single.ravel()))
        mask = Image.fromarray(single.astype(np.uint8))
    height, width = size
    resized = mask if mask.size == (width, height) else mask.resize((width, height), Image.Resampling.NEAREST)
    return np.asarray(resized), mask.size, frozenset(whole.tolist())


def _single_channel(pixels: NDArray[Any], path: Path) -> NDArray[Any]:
    if pixels.dtype.kind not in "ui":
        raise UnreadableImageError(path, "its samples are not whole numbers")
    if pixels.ndim == 2:
        return pixels
    colours = pixels[..., :3] if pixels.shape[2] != 2 else pixels[..., :1]
    if (colours != colours[..., :1]).any():
        raise UnreadableImageError(
            path, "has colours, not class numbers; save each pixel's class as a grey value, or as a palette"
        )
    return pixels[..., 0]


def classes_of_values(
    scan: MaskScan, given: Sequence[int] | Mapping[int, str] | None, names: Sequence[str] | None
) -> tuple[tuple[str, ...], NDArray[np.uint8]]:
    """Return the classes, and the class number of each of the 256 values, by `mask_values` and `classes` if given.

    Raises:
        DataError: if a mask has a value that is not of a class; names the file and the values.
    """
    found = frozenset[int]().union(*scan.values)
    if isinstance(given, Mapping):
        names = tuple(names or dict.fromkeys(given.values()))
        numbers = {value: names.index(name) for value, name in given.items()}
    elif given is not None:
        numbers = {value: number for number, value in enumerate(given)}
    elif found <= {0, 255} and 255 in found:
        numbers = {0: 0, 255: 1}
    else:
        numbers = {value: value for value in range(len(names) if names else _count_of(scan, found))}
    names = tuple(names or (str(value) for value in numbers))
    if given is None and len(names) != len(set(numbers.values())):
        raise DataError(
            f"{scan.paths[0].parent}: the masks have {len(set(numbers.values()))} classes, but `classes` names "
            f"{len(names)}: {listed(list(names))}"
        )
    _check_known(scan, numbers)
    table = np.zeros(_MOST_CLASSES, np.uint8)
    for value, number in numbers.items():
        table[value] = number
    return names, table


def _count_of(scan: MaskScan, found: frozenset[int]) -> int:
    """Return the number of classes, where the values are class numbers."""
    _refuse_jpeg(scan, {0, 255})
    if len(found) == _MOST_CLASSES:
        raise DataError(
            f"{scan.paths[0].parent}: the masks have every value from 0 to 255, as soft edges give; expected one value "
            "for each class: save them again with hard edges, or say by `mask_values` which value is which class"
        )
    count = max(found) + 1
    if len(found) < count or count < 2:
        values = listed([str(value) for value in sorted(found)])
        raise DataError(
            f"{scan.paths[0].parent}: the masks have the values {values}, which are neither 0 and 255 nor class "
            "numbers without a gap; set `mask_values`: the value of each class, in order, or `classes`"
        )
    return count


def _check_known(scan: MaskScan, known: Mapping[int, int]) -> None:
    for path, values in zip(scan.paths, scan.values, strict=True):
        unknown = sorted(values - known.keys())
        if unknown:
            _refuse_jpeg(scan, set(known))
            raise DataError(
                f"{path}: the mask has the value{'s' * (len(unknown) > 1)} {listed([str(v) for v in unknown])}, but "
                f"the classes are {listed([str(v) for v in sorted(known)])}; set `mask_values`, or mend the mask"
            )


def _refuse_jpeg(scan: MaskScan, known: set[int]) -> None:
    for path, values in zip(scan.paths, scan.values, strict=True):
        between = sorted(values - known)
        if between and path.suffix.lower() in _JPEG:
            raise DataError(
                f"{path}: a mask as JPEG, which blurs values: it has {listed([str(value) for value in between], 5)}; "
                "save the masks again as PNG, from their origin"
            )
