"""A first look at image files: their size, and whether they are grey."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from kerasrun.errors import DataError

SIZES = (32, 48, 64, 96, 128, 160, 192, 224)
"""To which images of several sizes are brought: the largest that is no larger than most of them."""
_LOOKED_AT = 200
_MULTIPLE = 4


def image_keys(files: Sequence[Path]) -> tuple[tuple[int, int], dict[str, Any], str]:
    """Return height and width of the examples, the keys of the source, and what was seen; from some of the files."""
    step = max(1, len(files) // _LOOKED_AT)
    looked = list(_looks_of(files[::step]))
    if not looked:
        raise DataError(f"{files[0]}: not a readable image, nor are the others that were looked at")
    keys: dict[str, Any] = {}
    sizes = Counter((height, width) for height, width, _ in looked)
    (size, _), *others = sizes.most_common()
    seen = f"{size[0]}×{size[1]}"
    if others:
        shorter = sorted(min(one) for one in sizes.elements())
        side = max([one for one in SIZES if one <= shorter[len(shorter) // 2]], default=SIZES[0])
        size, seen = (side, side), f"of several sizes (such as {seen})"
        keys["image_size"] = list(size)
    elif len(files) > len(looked):
        keys["image_size"] = list(size)  # most files were not looked at
    if all(mode in ("1", "L", "LA", "I;16") for _, _, mode in looked):
        keys["color_mode"] = "grayscale"
        seen += " and grey"
    return size, keys, seen


def _looks_of(files: Sequence[Path]) -> Iterator[tuple[int, int, str]]:
    """Give height, width and Pillow's mode of the files that can be opened; training names the others."""
    from kerasrun.reading.images import look_at

    for file in files:
        try:
            yield look_at(file)
        except Exception:  # noqa: BLE001  of a damaged file Pillow raises anything
            continue


def fitting_size(size: Sequence[int]) -> tuple[int, ...]:
    """Return sides for a network that goes down twice and up again: they can be halved twice."""
    return tuple(max(_MULTIPLE, side // _MULTIPLE * _MULTIPLE) for side in size)
