"""What is compared of examples: their contents, and for pictures how they look."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kerasrun.pipeline.selection import SelectedInputs
from kerasrun.reading.data import Inputs, Split
from kerasrun.reading.image_files import ImageFiles, ImageInputs
from kerasrun.reading.inputs import in_batches

SIDE = 32
"""Pictures are compared at this height and width."""
_LOW = 8
_SPREAD = 2.0
"""The values of a blank picture have a smaller standard deviation, of 255."""
_AT_ONCE = 1024
_BITS = np.uint64(1) << np.arange(_LOW * _LOW, dtype=np.uint64)


@dataclass(frozen=True)
class Examples:
    """The examples of all splits, one after the other."""

    splits: tuple[str, ...]
    split_of: NDArray[np.int64]
    """The number of the split of each example."""
    names: tuple[str, ...]
    labels: NDArray[Any] | None
    """As in `Split.labels`; None for masks."""
    digests: NDArray[np.uint64]
    """Two numbers that are the same for the same contents, (examples, 2)."""
    looks: NDArray[np.uint8] | None
    """Small pictures, (examples, 32, 32, channels); None where examples are not pictures."""
    hashes: NDArray[np.uint64]
    """The `perceptual_hashes` of the pictures, (examples,)."""
    is_blank: NDArray[np.bool_]
    """Whether a picture has nothing in it, (examples,)."""
    sizes: NDArray[np.int32] | None
    """Width and height in the file, (examples, 2); None where examples are not files of images."""
    paths: tuple[Path, ...] | None
    """The files of images."""

    def __len__(self) -> int:
        return len(self.split_of)


def examples_of(splits: list[Split]) -> Examples:
    """Read every example once; of pictures small copies are kept, 3 kB each."""
    digests, looks, sizes, paths = [], [], [], []
    names: list[str] = []
    for split in splits:
        files, places = _files(split.inputs)
        names += split.names or (f"{split.name}[{place}]" for place in places)
        if files:
            digests.append(_digests_of_files(files, places))
            sizes.append(files.sizes[places])
            paths += [files.paths[place] for place in places]
        is_picture = _is_picture(split.inputs)
        for batch in in_batches(split.inputs, _AT_ONCE):
            digests += [] if files else [_digests(batch)]
            looks += [_looks(batch)] if is_picture else []
    pictures = np.concatenate(looks) if looks else None
    batches = [] if pictures is None else np.array_split(pictures, 1 + len(pictures) // _AT_ONCE)
    arrays = [split.labels for split in splits if isinstance(split.labels, np.ndarray)]
    return Examples(
        tuple(split.name for split in splits),
        np.repeat(np.arange(len(splits)), [len(split) for split in splits]),
        tuple(names),
        np.concatenate(arrays) if arrays else None,
        np.concatenate(digests),
        pictures,
        np.concatenate([perceptual_hashes(batch) for batch in batches] or [np.array([], np.uint64)]),
        np.concatenate([_is_blank(batch) for batch in batches] or [np.array([], np.bool_)]),
        np.concatenate(sizes) if sizes else None,
        tuple(paths) or None,
    )


def digests_of(inputs: Inputs) -> NDArray[np.uint64]:
    """Return two numbers for each example that are the same for the same contents, (examples, 2).

    They are of the bytes of files where examples are files of images, which must have been read; else of the values.
    """
    files, places = _files(inputs)
    if files:
        return _digests_of_files(files, places)
    return np.concatenate([_digests(batch) for batch in in_batches(inputs, _AT_ONCE)])


def perceptual_hashes(looks: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Return 64 bits for each picture, which differ in few places for pictures that look alike.

    They are those of `phash` in the ImageHash library: which of the 64 lowest frequencies of the cosine transform of
    the grey picture of 32×32 are above their median.
    """
    grey = looks.mean(axis=-1)
    frequencies = np.arange(_LOW)[:, np.newaxis]
    cosines = np.cos(np.pi * frequencies * (2 * np.arange(SIDE) + 1) / (2 * SIDE))
    low = (cosines @ grey @ cosines.T).reshape(len(looks), -1)
    above = low > np.median(low, axis=1, keepdims=True)
    hashes: NDArray[np.uint64] = np.bitwise_or.reduce(np.where(above, _BITS, np.uint64(0)), axis=1)
    return hashes


def _is_blank(looks: NDArray[np.uint8]) -> NDArray[np.bool_]:
    spread: NDArray[np.float32] = looks.reshape(len(looks), -1, looks.shape[-1]).std(axis=1, dtype=np.float32)
    blank: NDArray[np.bool_] = spread.max(axis=1) < _SPREAD
    return blank


def _files(inputs: Inputs) -> tuple[ImageFiles | None, NDArray[np.int64]]:
    """Return the files of images that examples come from, if they do, and which of the files or examples they are."""
    if isinstance(inputs, SelectedInputs):
        files, places = _files(inputs.inputs)
        return files, places[inputs.indices]
    if isinstance(inputs, ImageInputs):
        return inputs.files, inputs.places
    return None, np.arange(len(inputs))


def _digests_of_files(files: ImageFiles, places: NDArray[np.int64]) -> NDArray[np.uint64]:
    return np.ascontiguousarray(files.digests[places]).view(np.uint64)[:, :2]


def _digests(batch: NDArray[Any]) -> NDArray[np.uint64]:
    rows = (hashlib.sha256(row.tobytes()).digest()[:16] for row in batch)
    return np.frombuffer(b"".join(rows), np.uint64).reshape(-1, 2)


def _is_picture(inputs: Inputs) -> bool:
    return len(inputs.example_shape) == 3 and inputs.dtype == np.uint8 and inputs.example_shape[-1] in (1, 3, 4)


def _looks(batch: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return pictures in the size that is compared; of four channels the first three."""
    batch = batch[..., :3]
    if batch.shape[1:3] == (SIDE, SIDE):
        return batch
    small = [Image.fromarray(one.squeeze(-1) if one.shape[-1] == 1 else one).resize((SIDE, SIDE)) for one in batch]
    return np.stack([np.asarray(one) for one in small]).reshape(len(batch), SIDE, SIDE, -1)
