"""The files that `predict` writes for each example, as deep below a folder as the examples are below theirs."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kerasrun.errors import UsageError
from kerasrun.reading.data import ImageFormat

if TYPE_CHECKING:
    from PIL import Image

_NUMBERED = re.compile(r"(\.[^./\[]*)(?:\[(\d+)\]|:(\d+))$")
"""One of several examples in a file: its number becomes a part of the name."""


def files_below(
    folder: Path,
    paths: Sequence[str],
    originals: Sequence[Path],
    what: str,
    suffix: str,
    option: str = "--masks",
) -> Sequence[Path]:
    """Return where the file of each example goes: as deep below `folder` as the example below the folder of all.

    Args:
        what: the word for what is in such a file, for messages.
        option: that of the command line which names the folder, for messages.

    Raises:
        UsageError: as `Task.files`.
    """
    # Without `..`, which would lead out of the folder.
    absolute = [Path(os.path.normpath(Path(_NUMBERED.sub(r"_\2\3\1", path)).absolute())) for path in paths]
    common = Path(os.path.commonpath([path.parent for path in absolute]))
    files = [folder / path.relative_to(common).with_suffix(suffix) for path in absolute]
    kept = {original.resolve() for original in originals}
    owners: dict[Path, str] = {}
    for file, path in zip(files, paths, strict=True):
        if file in owners:
            raise UsageError(f"{owners[file]} and {path} would both have the {what} {file}; predict them one by one")
        if file.resolve() in kept:
            raise UsageError(f"the {what} {file} would replace an image; name another folder with {option} FOLDER")
        owners[file] = path
    return files


def unfit(
    picture: Image.Image, image_format: ImageFormat, original: tuple[int, int], resampling: Image.Resampling
) -> Image.Image:
    """Bring a picture as large as the network's input back to the size of the image that was fitted."""
    from kerasrun.reading.images import inner_size

    if image_format.fit_mode == "pad":
        inner = inner_size(original, picture.size)
        left, top = ((whole - part) // 2 for whole, part in zip(picture.size, inner, strict=True))
        picture = picture.crop((left, top, left + inner[0], top + inner[1]))
    return picture.resize(original, resampling)
