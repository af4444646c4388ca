"""Mask files: an image whose values are classes becomes class numbers, uint8 of shape (height, width, 1).

Values are never mixed: another size is reached by the nearest pixel. A palette's indices count where they mean the same
in every file; otherwise its greys do, or its colours if every file has the same ones.
"""

import logging
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kerasrun.errors import DataError, UnreadableImageError
from kerasrun.reading.data import IGNORED, ImageFormat
from kerasrun.reading.files import listed
from kerasrun.reading.image_files import ImageFiles
from kerasrun.reading.images import FORMATS, look_at, opened, orientation_of

_JPEG = tuple(suffix for suffix, names in FORMATS.items() if "JPEG" in names)
_MOST_CLASSES = 256
_PALETTES = ("P", "PA")
_WHITE, _BLACK = (255, 255, 255), (0, 0, 0)
Colour = tuple[int, int, int]
Given = Sequence[int] | Mapping[int | Literal["rest"], str] | None
"""`mask_values`: the value of each class, or the class of each value and of the rest."""

logger = logging.getLogger("kerasrun")


class MaskFiles(ImageFiles):
    """Mask files, which become class numbers, from when it is known what their values mean; else they stay values.

    Args:
        size: height and width.
        colours_of_classes: the colour of each class, None for every other colour; values are then class numbers.
    """

    named: ClassVar[str] = "masks"
    is_cached: ClassVar[bool] = False

    def __init__(
        self, paths: Sequence[Path], size: tuple[int, int], colours_of_classes: Sequence[Colour | None] | None = None
    ) -> None:
        super().__init__(paths, ImageFormat(*size, "grayscale", "nearest"), resize=True)
        self.values = [frozenset[int]()] * len(paths)
        """The values in each file, as far as it was read."""
        self.palettes: list[bytes | None] = [None] * len(paths)
        """Red, green and blue of each index, of the files that have a palette."""
        self.tables: Sequence[NDArray[np.uint8]] | None = None
        """For each file the value of each value in it, where palettes do not count by their indices; (256,) each."""
        self._colours_of_classes = colours_of_classes
        self._class_of_value = np.arange(_MOST_CLASSES, dtype=np.uint8)
        self._known: Collection[int] = range(_MOST_CLASSES)
        self._known_of_jpeg: Collection[int] = self._known

    def _image(self, place: int, content: bytes) -> Image.Image:
        path, colours = self.paths[place], self._colours_of_classes
        with opened(content, path) as image:
            if colours is not None and not image.mode.startswith(("I", "F")):
                single = _classes_of_colours(np.asarray(image.convert("RGB")), colours, path)
            else:
                single = _single_channel(np.asarray(image if image.mode != "1" else image.convert("L")), path)
            if single.min() < 0 or single.max() >= _MOST_CLASSES:
                wrong = single.max() if single.min() >= 0 else single.min()
                raise UnreadableImageError(path, f"has the value {wrong}; expected values of 0 to 255")
            mask = Image.fromarray(single.astype(np.uint8, copy=False))
            if self.tables is not None:
                mask = mask.point(self.tables[place].tolist())
            self.values[place] = frozenset(np.flatnonzero(mask.histogram()).tolist())
            has_palette = image.mode in _PALETTES and colours is None
            self.palettes[place] = bytes(image.getpalette("RGB") or ()) if has_palette else None
            self._note(place, mask.size, orientation_of(image))
        self._require_known(place)
        return mask.point(self._class_of_value.tolist())

    def translate(self, tables: Sequence[NDArray[np.uint8]]) -> None:
        """Take other values for those in the files, by a table for each."""
        self._replace(tables)
        self.values = [frozenset(table[sorted(one)].tolist()) for table, one in zip(tables, self.values, strict=True)]
        self.tables = tables

    def number(self, class_of_value: NDArray[np.uint8], known: Collection[int], of_jpeg: Collection[int]) -> None:
        """Take class numbers for values, also of files that are not read yet; in these, others than `known` are errors.

        Raises:
            DataError: if a file that was read has another value, or as JPEG another than `of_jpeg`.
        """
        self._known, self._known_of_jpeg = known, of_jpeg
        for place in range(len(self.paths)):
            self._require_known(place)
        self._replace([class_of_value] * len(self.paths))
        self._class_of_value = class_of_value

    def _replace(self, tables: Sequence[NDArray[np.uint8]]) -> None:
        for mask, table in zip(() if self.array is None else self.array, tables, strict=False):
            mask[...] = table[mask]

    def _require_known(self, place: int) -> None:
        path, values = self.paths[place], self.values[place]
        _refuse_jpeg(path, values, self._known_of_jpeg)
        if unknown := sorted(values.difference(self._known)):
            raise DataError(
                f"{path}: the mask has the value{'s' * (len(unknown) > 1)} {listed([str(v) for v in unknown])}, but "
                f"the classes are {listed([str(v) for v in sorted(self._known)])}; set `mask_values`, or leave "
                f"such pixels out by `ignore: {unknown[:5]}`"
            )

    def classes_in(self, places: Sequence[int]) -> set[int]:
        """Return the class numbers that some of the masks have, once they were read."""
        return {int(self._class_of_value[value]) for place in places for value in self.values[place]}

    def colours(self, place: int) -> Mapping[int, Colour]:
        """Return the colour of each value in a file: that of the palette, or the grey itself."""
        palette = self.palettes[place]
        if palette is None:
            return {value: (value, value, value) for value in sorted(self.values[place])}
        whole = np.frombuffer(palette.ljust(3 * _MOST_CLASSES, b"\0"), np.uint8).reshape(-1, 3)
        return {value: tuple(whole[value].tolist()) for value in sorted(self.values[place])}


def may_have_palette(path: Path) -> bool:
    """Return whether the header of a file says so, or cannot be read."""
    try:
        return look_at(path)[2] in _PALETTES
    except Exception:  # noqa: BLE001  reading the file tells what is wrong with it
        return True


def _classes_of_colours(
    pixels: NDArray[np.uint8], colours_of_classes: Sequence[Colour | None], path: Path
) -> NDArray[np.int64]:
    colours = sorted((colour, number) for number, colour in enumerate(colours_of_classes) if colour is not None)
    numbers = np.array([number for _, number in colours])
    codes, found = (
        np.array(one, np.int32) @ [1 << 16, 1 << 8, 1] for one in ([colour for colour, _ in colours], pixels)
    )
    places = np.minimum(np.searchsorted(codes, found), len(codes) - 1)
    is_known = codes[places] == found
    is_jpeg = path.suffix.lower() in _JPEG
    if not is_known.all() and (is_jpeg or None not in colours_of_classes):
        blurred = "; JPEG blurs colours: save the masks again as PNG, from their origin" if is_jpeg else ""
        raise UnreadableImageError(
            path, f"has {_most_frequent(pixels[~is_known])}, which `mask_colors` does not have{blurred}"
        )
    rest = colours_of_classes.index(None) if None in colours_of_classes else 0
    return np.where(is_known, numbers[places], rest)


def _most_frequent(pixels: NDArray[np.uint8]) -> str:
    colours, counts = np.unique(pixels.reshape(-1, 3), axis=0, return_counts=True)
    found = [str(colour.tolist()) for colour in colours[np.argsort(-counts, kind="stable")]]
    return f"the colour{'s' * (len(found) > 1)} {listed(found, 5)}"


def _single_channel(pixels: NDArray[Any], path: Path) -> NDArray[Any]:
    if pixels.dtype.kind not in "ui":
        raise UnreadableImageError(path, "its samples are not whole numbers")
    if pixels.ndim == 2:
        return pixels
    colours = pixels[..., :3] if pixels.shape[2] != 2 else pixels[..., :1]
    if (colours != colours[..., :1]).any():
        raise UnreadableImageError(
            path,
            f"has {_most_frequent(colours)}, not class numbers; say by `mask_colors` which colour is which class, or "
            "save each pixel's class as a grey value, or as a palette",
        )
    return pixels[..., 0]


def palettes_read(
    scan: MaskFiles, given: Given, names: Sequence[str] | None, ignored: Sequence[int | str] = ()
) -> None:
    """Take the greys or the colours of palettes for values, where their indices contradict each other.

    Raises:
        DataError: if they do, and it is not certain what the colours mean; with the `mask_colors` to write.
    """
    colours = [scan.colours(place) for place in range(len(scan.paths))]
    places = [place for place, palette in enumerate(scan.palettes) if palette is not None]
    used = [colours[place] for place in places]
    is_grey = all(len(set(colour)) == 1 for one in used for colour in one.values())
    if is_grey and _beside_greys(scan, used):
        places = list(range(len(scan.paths)))
    contradiction = _contradiction(scan, places, given)
    if contradiction and is_grey:
        return scan.translate([_table({value: colour[0] for value, colour in one.items()}) for one in colours])
    if contradiction:
        found = list(dict.fromkeys(colour for one in used for colour in one.values()))
        called = names if names and len(names) == len(found) else [f"class_{number}" for number in range(len(found))]
        said = listed([f"{name}: {list(colour)}" for name, colour in zip(called, found, strict=True)], 20)
        said = f"which colour is which class, in the order of the class numbers: `mask_colors: {{{said}}}`"
        if names or given or ignored or any(set(one.values()) != set(found) for one in colours):
            raise DataError(f"{contradiction}: each mask has a palette of its own; say {said}")
        logger.info("each mask has a palette of its own, with the same colours; this says %s", said)
        return scan.translate(
            [_table({value: found.index(colour) for value, colour in one.items()}) for one in colours]
        )
    first = next((one for one in used if {*one.values()} == {_WHITE, _BLACK}), {})
    if given is None and list(first.values()) == [_WHITE, _BLACK]:
        logger.warning(
            "%s: the palettes of the masks have white before black, and their indices count: white is the first class; "
            "`mask_colors: {background: [0, 0, 0], object: [255, 255, 255]}` makes it the second",
            scan.paths[0].parent,
        )
    return None


def _table(values: Mapping[int, int]) -> NDArray[np.uint8]:
    table = np.zeros(_MOST_CLASSES, np.uint8)
    table[list(values)] = list(values.values())
    return table


def _beside_greys(scan: MaskFiles, used: Sequence[Mapping[int, Colour]]) -> bool:
    """Return whether masks without a palette have the greys of those with one as their values."""
    values = frozenset[int]().union(
        *(found for found, palette in zip(scan.values, scan.palettes, strict=True) if palette is None)
    )
    is_distinct = all(len(set(one.values())) == len(one) for one in used)
    return is_distinct and {colour[0] for one in used for colour in one.values()} <= values


def _contradiction(scan: MaskFiles, places: Sequence[int], given: Given) -> str | None:
    """Return in words where a class has two colours, or a colour has two; a class of `mask_values` may have several."""
    # Behind the last index that is used some writers fill up with black.
    palettes = [(scan.palettes[place] or b"")[: 3 * (max(scan.values[place]) + 1)] for place in places]
    longest = max(palettes, key=len, default=b"")
    if all(palette and longest.startswith(palette) for palette in palettes):
        return None  # it is one palette, which may have a colour twice
    seen: dict[Any, tuple[Any, Path]] = {}
    for place in places:
        for index, colour in scan.colours(place).items():
            number = given.get(index, given.get("rest", index)) if isinstance(given, Mapping) else index
            pairs: list[tuple[Any, Any]] = [(colour, number), *([(number, colour)] if given is None else [])]
            for key, value in pairs:
                known, where = seen.setdefault(key, (value, scan.paths[place]))
                if known != value:
                    return f"{scan.paths[place]}: index {index} of the palette is {list(colour)}, unlike in {where}"
    return None


def number_classes(
    scan: MaskFiles, given: Given, names: Sequence[str] | None, ignored: Sequence[int | str] = ()
) -> tuple[str, ...]:
    """Take class numbers for values, by `mask_values` and `classes` if given, and return the classes.

    Without `mask_values` every mask must have been read.

    Args:
        ignored: values and names of classes that do not count; their pixels are `IGNORED`, and they are not returned.

    Raises:
        DataError: if a mask has a value that is not of a class; names the file and the values.
    """
    values = {one for one in ignored if isinstance(one, int)}
    found = frozenset[int]().union(*scan.values) - values
    sharp: set[int] | None = None
    if isinstance(given, Mapping):
        names = tuple(names or dict.fromkeys(given.values()))
        numbers = {value: names.index(name) for value, name in given.items() if isinstance(value, int)}
        if "rest" in given:
            sharp = {*numbers, 255}
            numbers = dict.fromkeys(range(_MOST_CLASSES), names.index(given["rest"])) | numbers
    elif given is not None:
        numbers = {value: number for number, value in enumerate(given)}
    elif found <= {0, 255} and 255 in found:
        numbers = {0: 0, 255: 1}
    else:
        counted = (value for value in range(_MOST_CLASSES) if value not in values)
        count = len(names) if names else _count_of(scan, found, values)
        numbers = {value: number for number, value in zip(range(count), counted, strict=False)}
    names = tuple(names or (str(value) for value in numbers))
    if given is None and len(names) != len(set(numbers.values())):
        raise DataError(
            f"{scan.paths[0].parent}: the masks have {len(set(numbers.values()))} classes, but `classes` names "
            f"{len(names)}: {listed(list(names))}"
        )
    known = numbers.keys() | values
    kept = [name for name in names if name not in ignored]
    classes = {value: names[number] for value, number in numbers.items() if value not in values}
    kept = [name for name in kept if name in classes.values()]
    if len(kept) < 2:
        raise DataError(f"{scan.paths[0].parent}: `ignore` leaves {listed(kept) or 'no class'}; expected two classes")
    table = np.full(_MOST_CLASSES, IGNORED, np.uint8)
    for value, name in classes.items():
        if name in kept:
            table[value] = kept.index(name)
    scan.number(table, known, sharp or known)
    return tuple(kept)


def _count_of(scan: MaskFiles, found: frozenset[int], ignored: Collection[int]) -> int:
    """Return the number of classes, where the values are class numbers beside those that are ignored."""
    for path, there in zip(scan.paths, scan.values, strict=True):
        _refuse_jpeg(path, there, {0, 255, *ignored})
    if len(found) == _MOST_CLASSES:
        raise DataError(
            f"{scan.paths[0].parent}: the masks have every value from 0 to 255, as soft edges give; expected one value "
            "for each class: save them again with hard edges, or say by `mask_values` which value is which class"
        )
    count = len(set(range(max(found, default=0) + 1)).difference(ignored))
    if len(found) < count or count < 2:
        values = listed([str(value) for value in sorted(found)])
        # Pascal VOC and Cityscapes say so of pixels that have none.
        border = ", or leave 255 out by `ignore: [255]`" if found == {*range(len(found) - 1), 255} else ""
        raise DataError(
            f"{scan.paths[0].parent}: the masks have the values {values}, which are neither 0 and 255 nor class "
            f"numbers without a gap; set `mask_values`: the value of each class, in order, or `classes`{border}"
        )
    return count


def _refuse_jpeg(path: Path, values: frozenset[int], known: Collection[int]) -> None:
    between = sorted(values.difference(known))
    if between and path.suffix.lower() in _JPEG:
        raise DataError(
            f"{path}: a mask as JPEG, which blurs values: it has {listed([str(value) for value in between], 5)}; "
            "save the masks again as PNG, from their origin"
        )
